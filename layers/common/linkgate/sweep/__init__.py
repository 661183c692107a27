"""One sweep, in the steps of `sweeper`:

1. Take the lease: one sweep at a time (lease).
2. Look after the endpoint services themselves: notifications, principals, configuration (services).
3. Read the whole table; publish what is wrong with rows and keep in mind whom that blocks (validator), and, once, what
   means nothing or ends soon (once, expiring).
4. Compare each service: EC2, the table and the ledger; send bells for what differs, heal slots (compare).
5. Report or cut live connections that are no longer allowed, after the grace and within the breaker (reconcile).
6. Tag accepted connections (tags), and look again where a grace runs.
"""
