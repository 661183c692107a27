"""An endpoint's health, decided in pure functions: what canaries are asked, what their verdicts mean side by side.

targets and verdict are what goes to a canary and comes back, evidence and diagnosis find one cause (causes has all of
them), and status says when bad rounds make an endpoint unhealthy.
"""
