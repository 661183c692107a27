"""What Linkgate knows and does; functions/ only wire it. Packages import in one direction, from below upwards:

model, errors   the nouns, and what can stop Linkgate from deciding;  retry  what is tried again, and when
policy          pure: what the rows of the allow-list mean, and the decision on a connection
health          pure: what probes found, and the one cause that it shows
aws             EC2, DynamoDB and Organizations, one class for each
events          bells (an event says where to look, and no more) and the events that Linkgate publishes
ledger          decisions written down before the act, EC2's answer after it, slots, the breaker
approve, sweep, patrol   what the functions of these names do, each with its steps in its own docstring
config, metrics what the template tells a function, and every metric that it emits
"""
