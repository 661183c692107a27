"""What a program needs to run a lab: its process, deployments into it, commands in its VPCs, a person's actions."""
