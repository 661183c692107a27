"""EventBridge: deliveries, archives, pipes and schedules."""
