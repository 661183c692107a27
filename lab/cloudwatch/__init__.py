"""CloudWatch: metrics from log lines and services, and alarms as it evaluates them."""
