"""The house behind the doors in functions/: what Linkgate knows and does.

bell        something happened somewhere: which endpoints or services to look at
connections what EC2 says now;  allowlist  what the table says now
policy      the decision, a pure function of the two
ledger      the decision written down before the act, and EC2's answer after it
approve     the story of one batch of bells: look, decide, record, act, record
sweep       finds what no bell told;  patrol  proves with probe that accepted endpoints answer
"""
