"""What EC2, elbv2 and CloudFormation must know of a network, where ministack lacks it or says otherwise."""
