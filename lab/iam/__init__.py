"""IAM for AWS services: what one may do in the name of a role, or by a resource's policy."""
