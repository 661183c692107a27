"""ministack as this package sees it: every one of its names that is used, private ones included, is on this page.

The exceptions are the network, which network.py reads, and what api/iam.py replaces, which it names at its top.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import ministack.core.iam_evaluator as iam  # type: ignore[import-untyped]
import ministack.core.responses as scope  # type: ignore[import-untyped]
import ministack.services.cloudformation.provisioners as provisioners  # type: ignore[import-untyped]
import ministack.services.ec2 as ec2  # type: ignore[import-untyped]
import ministack.services.eventbridge as eventbridge  # type: ignore[import-untyped]
import ministack.services.sns as sns  # type: ignore[import-untyped]

from lab.privatelink import protocol
from lab.privatelink.rules.model import Caller

Answer = tuple[int, dict[str, str], bytes]
Action = Callable[[Mapping[str, Any]], Answer]

ACTIONS: dict[str, Action] = ec2._ACTION_MAP
RESOURCE_TYPES: dict[str, dict[str, Any]] = provisioners._RESOURCE_HANDLERS
STACK_TAGS: dict[str, tuple[str, str]] = provisioners._STACK_TAG_PROPERTY
ORIGINALS: Mapping[str, Action] = dict(ec2._ACTION_MAP)


def flat(parameters: Mapping[str, Any]) -> dict[str, str]:
    """An action's parameters, whose values may be lists of one, as the client sent them."""
    first = {key: value[0] if isinstance(value, list) else value for key, value in parameters.items()}
    return {key: str(value) for key, value in first.items()}


def caller() -> Caller:
    """Who makes the current request."""
    return Caller(scope.get_account_id(), scope.get_region(), iam.caller_arn())


def acting(account: str, region: str) -> AbstractContextManager[None]:
    """Outside a request: act in that account and Region."""
    context: AbstractContextManager[None] = scope.request_scope(account, region)
    return context


def call(action: str, arguments: Mapping[str, Any], actions: Mapping[str, Action] = ACTIONS) -> dict[str, Any]:
    """Call an EC2 action as the current caller, in boto3's spelling. Raises Refusal."""
    ec2._ensure_defaults_initialized()
    status, _, body = actions[action](protocol.query(action, arguments))
    return protocol.values(action, status, body)


def tags(account: str, region: str, resource_id: str) -> dict[str, str]:
    """The tags that the account has put on the resource."""
    return {t["Key"]: t.get("Value", "") for t in ec2._tags.get_scoped(account, region, resource_id) or ()}


def tag(account: str, region: str, resource_id: str, given: Mapping[str, str]) -> None:
    """Tag a new resource."""
    if given:
        pairs = [{"Key": key, "Value": value} for key, value in given.items()]
        ec2._tags.set_scoped(account, region, resource_id, pairs)


def untag(account: str, region: str, resource_id: str) -> None:
    """Drop the tags of a resource that is gone."""
    ec2._tags.pop_scoped(account, region, resource_id, None)


def put_event(account: str, region: str, source: str, detail_type: str, detail: str) -> None:
    """Put an event of an AWS service on the account's default bus."""
    entry = {"Source": source, "DetailType": detail_type, "Detail": detail, "EventBusName": "default"}
    with acting(account, region):
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def publish(topic_arn: str, message: str, subject: str) -> None:
    """Publish to a topic of whatever account, as an AWS service would; nothing happens if it does not exist."""
    sns.publish_internal(topic_arn, message, subject)
