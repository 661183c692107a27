"""The organisation of the lab: its management account, and the role through which Linkgate may read it."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from lab.harness.process import PROVIDER_ACCOUNT

MANAGEMENT_ACCOUNT = "999999999999"
ROLE = "linkgate-reads-organizations"


def reader(client: Callable[[str], Any]) -> str:
    """The ARN of a role that the provider's account may assume; `client` is the management account's."""
    client("organizations").list_roots()  # ministack makes the organisation at the first request for it
    iam = client("iam")
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{PROVIDER_ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
    }
    with suppress(iam.exceptions.EntityAlreadyExistsException):  # the stack is deployed again
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(_policy(trust)))
    allowed = ["organizations:ListParents", "organizations:DescribeOrganization"]
    grant = {"Effect": "Allow", "Action": allowed, "Resource": "*"}
    iam.put_role_policy(RoleName=ROLE, PolicyName="read", PolicyDocument=json.dumps(_policy(grant)))
    return str(iam.get_role(RoleName=ROLE)["Role"]["Arn"])


def _policy(statement: Mapping[str, object]) -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": [statement]}
