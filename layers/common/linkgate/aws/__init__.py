"""AWS as Linkgate uses it: one class for each service, the client passed in, its errors in Linkgate's own terms."""
