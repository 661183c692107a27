"""EC2's actions on PrivateLink, a module for each subject of rules/; requests and answers as boto3 spells them."""
