"""A local AWS: ministack in one process with what it lacks for Linkgate, and the harness and story around it.

server.py is that process: cloudwatch, eventbridge, functions (Lambda), iam, network (the data plane of VPCs) and
privatelink put themselves into ministack. __main__.py and commands.py are what a person types: harness starts such a
process, deploys into it and looks inside; story tells of Linkgate there, and puts faults in force.
"""
