"""What an AWS service may do in the name of a role, or because a resource's own policy lets it.

Only where ministack enforces IAM (AUTH=true), as the lab has it do.
"""

import hashlib
from typing import Any

from ministack import app  # type: ignore[import-untyped]
from ministack.core import iam_evaluator  # type: ignore[import-untyped]
from ministack.core.responses import get_region  # type: ignore[import-untyped]
from ministack.services import iam, sts  # type: ignore[import-untyped]

# The private names of ministack used here.
_all_roles = iam._roles
_policies_of_role = iam_evaluator._gather_role_policies
_policy_of_resource = iam_evaluator._resource_policy

DELIVERY = {"sqs": "sqs:SendMessage", "sns": "sns:Publish", "lambda": "lambda:InvokeFunction"}
"""What delivers to a target, by the service of its ARN."""


def session(role_arn: str, service: str, name: str) -> dict[str, str]:
    """The credentials of `role_arn` for `service` ("pipes.amazonaws.com"), as keyword arguments of a boto3 client.

    They are good for the same session again, and carry what the role may do at each moment. Whether the role trusts
    the service is the caller's question (`trusts`).
    """
    account, role = _account_and_name(role_arn)
    digest = hashlib.sha256(f"{role_arn} {service} {name}".encode()).hexdigest()
    key, secret, token = f"ASIA{digest[:16].upper()}", digest, digest[::-1]
    arn = f"arn:aws:sts::{account}:assumed-role/{role}/{name}"
    sts.register_session(
        key, {"Arn": arn, "UserId": f"{role}:{name}", "SecretAccessKey": secret, "SessionToken": token}
    )
    return {"aws_access_key_id": key, "aws_secret_access_key": secret, "aws_session_token": token}


def trusts(role_arn: str, service: str, source_arn: str = "") -> bool:
    """Whether the role exists and `service` may assume it, for the resource `source_arn` where it names one."""
    account, name = _account_and_name(role_arn)
    role = _all_roles.get_scoped(account, None, name)
    if role is None:
        return False
    # The service comes for a resource of the same account (IAM user guide, "The confused deputy problem").
    keys = {"aws:sourceaccount": account} | ({"aws:sourcearn": source_arn} if source_arn else {})
    context = _service_context("sts:AssumeRole", role_arn, keys)
    return _allows(role["AssumeRolePolicyDocument"], context, service)


def role_allows(role_arn: str, service: str, action: str, resource_arn: str, source_arn: str = "") -> bool:
    """Whether the role trusts `service` (see `trusts`) and its policies allow `action` on the resource."""
    if not app.AUTH:
        return True
    account, name = _account_and_name(role_arn)
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{name}/{service}",
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource_arn,
        region=get_region(),
    )
    allowed = iam_evaluator.evaluate(context, _policies_of_role(name, account)).decision == "Allow"
    return allowed and trusts(role_arn, service, source_arn)


def resource_allows(service: str, action: str, resource_arn: str, source_arn: str) -> bool:
    """Whether the policy of the queue, topic or function lets `service` act on it for the resource `source_arn`.

    "You can't use Condition blocks in Amazon SNS topic policies for EventBridge" (EventBridge user guide): a statement
    with one admits it to no topic.
    """
    if not app.AUTH:
        return True
    found = _policy_of_resource(action.partition(":")[0], resource_arn)
    if found is None:
        return False
    keys = {"aws:sourcearn": source_arn, "aws:sourceaccount": source_arn.split(":")[4]}
    if (service, action) == ("events.amazonaws.com", DELIVERY["sns"]):
        keys = {}
    return _allows(found[0], _service_context(action, resource_arn, keys), service)


def _allows(policy: Any, context: Any, service: str) -> bool:
    decision = iam_evaluator.evaluate_resource_policy(policy, context, service=service).decision
    return bool(decision == "Allow")


def _service_context(action: str, resource_arn: str, keys: dict[str, str]) -> Any:
    return iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource_arn,
        region=get_region(),
        service_context=keys,
    )


def _account_and_name(role_arn: str) -> tuple[str, str]:
    return role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
