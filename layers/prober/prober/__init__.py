"""The prober: all code of ours that runs in a consumer's account, besides functions/canary/app.py, which calls it.

To be read in this order; it imports the standard library and nothing else.

1. scope    what a canary may probe: names, ports and addresses, fixed by its own stack
2. target   what one target asks for, checked word by word and against the scope
3. verdict  what a canary answers
4. run      targets in, verdicts out: threads, their pace, one deadline
5. clock    how long a phase of a probe may take
6. dns      names to addresses
7. probe    one address through the phases that follow
8. tcp, tls, http   those phases; trust and alerts are what tls needs, message what http reads
"""
