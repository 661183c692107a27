"""One batch of bells, in the steps of `approver`:

1. Look: what EC2 shows of all that the bells name. A full batch is sent on as fewer, fuller bells instead (batch).
2. Record what happened to connections that wait for nobody: live, rejected, gone (tracker).
3. Decide on those that wait, the oldest first (judge), by the rows, the ledger and how their accounts stand (context).
4. Record each decision in the ledger, before anybody acts.
5. Act: tell EC2 to accept or reject, a hundred connections of a service in a call.
6. Record what EC2 answered, after the events are published: a repeated event harms less than a lost one.
7. Send bells for whatever could not be answered yet (batch, retry), and for those whom a freed slot may serve.
"""
