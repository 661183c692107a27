"""The prober: what a canary runs inside a consumer's VPC."""
