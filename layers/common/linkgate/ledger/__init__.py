"""The ledger table: each endpoint's state, every decision with EC2's answer, slots under limits, and the breaker."""
