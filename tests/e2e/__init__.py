"""What only a real account can tell: `make verify-aws` asks it, and says where Linkgate believes something else.

question    what a question is, and the account it is asked of
free        questions that need nothing, or things that cost nothing
deployed    questions to a deployed Linkgate and stacks/demo.yaml
walk        one endpoint from request to deletion, which many of those read
gateway     a question to a service behind a Gateway Load Balancer
second      questions that need a second account
things      queues, roles and functions that questions make for themselves
stacks      both stacks, deployed and removed
checks      why a run would fail, found before it makes anything
samples     what AWS really sent, without account ids, below events/aws
__main__    the command
"""
