"""Patrol: accepted is not working. Canaries probe the endpoints, and the ledger keeps each endpoint's health.

A round, on a schedule:

1. EC2 lists the connections of every managed service, the ledger what is known of their endpoints (patrol).
2. Of these it is chosen who is probed, and by which canary (selection, routing).
3. The canaries are invoked side by side; their verdicts become evidence (canaries, probing).
4. EC2 is asked once more about those that look rejected or deleted; each endpoint gets one diagnosis (probing).
5. Five rounds give the status (assessment); what changed is published and written to the ledger (recorder).
6. The round is logged and counted (report).

A visit, after `Endpoint Connection Accepted`:

1. EC2 is asked for the endpoints alone, and those that are available are probed as in a round.
2. A good result is recorded at once; a bad one says nothing yet, since EC2's data path follows its state.
3. What is not verified is visited again a little later, a few times; then it is left to the rounds.
"""
