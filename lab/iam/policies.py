"""Policies that SQS and SNS refuse to put on a queue or a topic, where ministack takes any.

Sources: SQS developer guide, "Special Information for SQS Policies" ("Each policy must cover only a single queue");
SNS answers "Policy statement must apply to a single resource!" (seen in reports). Unconfirmed: that a policy whose one
resource is another topic gets the same words, and that `*` is taken.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ministack.services import sns, sqs  # type: ignore[import-untyped]
from ministack.services.cloudformation import provisioners  # type: ignore[import-untyped]

QUEUE_REFUSES = "Invalid value for the parameter Policy."
TOPIC_REFUSES = "Invalid parameter: Policy statement must apply to a single resource!"

_Record = dict[str, Any]


def fits(policy: str, arn: str) -> bool:
    """Whether each statement of the policy (JSON) is about the queue or topic `arn`, and about it alone."""
    try:
        document = json.loads(policy)
    except ValueError:
        return False
    statements = document.get("Statement", []) if isinstance(document, dict) else [None]
    listed = statements if isinstance(statements, list) else [statements]
    return all(isinstance(one, dict) and one.get("Resource") in (arn, [arn], "*", ["*"]) for one in listed)


def install() -> None:
    """Seams: the actions that set attributes, and CloudFormation's two types that put a policy on several."""
    _queues()
    _topics()
    provisioners._policy_attachment_create = _attachment(provisioners._policy_attachment_create, 1)
    provisioners._policy_attachment_update = _attachment(provisioners._policy_attachment_update, 2)


def _queues() -> None:
    create, change = sqs._HANDLERS["CreateQueue"], sqs._HANDLERS["SetQueueAttributes"]

    def require(policy: str, arn: str) -> None:
        if policy and not fits(policy, arn):
            raise sqs._Err("InvalidAttributeValue", QUEUE_REFUSES, 400)

    def created(data: _Record, url: str) -> Any:
        name = data.get("QueueName", "")
        own = f"arn:aws:sqs:{sqs.get_region()}:{sqs.get_account_id()}:{name}"
        require((data.get("Attributes") or {}).get("Policy", ""), own)
        return create(data, url)

    def changed(data: _Record, url: str) -> Any:
        queue = sqs._get_q(data.get("QueueUrl", url), "sqs:SetQueueAttributes")
        require((data.get("Attributes") or {}).get("Policy", ""), queue["attributes"]["QueueArn"])
        return change(data, url)

    sqs._HANDLERS.update(CreateQueue=created, SetQueueAttributes=changed)


def _topics() -> None:
    change = sns._set_topic_attributes

    def changed(parameters: Mapping[str, Any]) -> Any:
        name, policy, arn = (sns._p(parameters, key) for key in ("AttributeName", "AttributeValue", "TopicArn"))
        if name == "Policy" and not fits(policy, arn):
            return sns._error("InvalidParameter", TOPIC_REFUSES, 400)
        return change(parameters)

    sns._set_topic_attributes = changed


def _attachment(attach: Any, position: int) -> Any:
    """CloudFormation's way to put a policy on each of `members`; its properties are the argument at `position`."""

    def attached(*arguments: Any) -> Any:
        properties, (members, store) = arguments[position], arguments[3:]
        require_fit(properties, (store.get(name) for name in properties.get(members, [])))
        return attach(*arguments)

    return attached


def require_fit(properties: Mapping[str, Any], records: Iterable[_Record | None]) -> None:
    """ValueError unless the PolicyDocument is one that each of the queues or topics takes."""
    policy = provisioners._policy_document_json(properties)
    for record in filter(None, records):
        queue_arn = record["attributes"].get("QueueArn")
        if not fits(policy, queue_arn or record["attributes"]["TopicArn"]):
            raise ValueError(QUEUE_REFUSES if queue_arn else TOPIC_REFUSES)
