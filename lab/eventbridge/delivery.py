"""EventBridge and Scheduler deliver only where they may, and what they cannot deliver goes to the dead-letter queue.

ministack delivers to any queue, topic or function and has no target-level dead-letter queue. As on AWS, a rule needs
the target's own policy to admit events.amazonaws.com (with a RoleArn on the target: the role's policy), a schedule
its role; a function is invoked asynchronously. Not like AWS: nothing is retried before it is given up, and the
default policy of a topic admits no service (so it is for EventBridge: its guide says to add a statement).
"""

import json
import logging
from dataclasses import dataclass
from typing import Any

from ministack.core import iam_evaluator  # type: ignore[import-untyped]
from ministack.core.arn import ArnParseError, parse_arn  # type: ignore[import-untyped]
from ministack.services import eventbridge, lambda_svc, sqs  # type: ignore[import-untyped]

from lab.iam.permissions import DELIVERY, resource_allows, role_allows

log = logging.getLogger("lab.delivery")

_Record = dict[str, Any]


@dataclass(frozen=True)
class Undelivered:
    """Why an event was not delivered; `code` is one of EventBridge's ERROR_CODE values."""

    code: str
    message: str


def install() -> None:
    """Seams: ministack's delivery of one event to one target, of a rule or a schedule; its way to a function."""
    deliver_anyway = eventbridge._invoke_target

    def deliver(target: _Record, event: _Record, rule: _Record, view: Any = None) -> None:
        seen = view or eventbridge._pattern_event_view(event)
        undelivered = refuse(target, rule["Arn"]) or _garbled(target, rule, seen)
        if undelivered is None:
            deliver_anyway(target, event, rule, view)
        else:
            log.warning("%s did not deliver to %s: %s", rule["Arn"], target.get("Arn"), undelivered.message)
            _send_to_dead_letters(target, event, rule["Arn"], undelivered, view)

    eventbridge._invoke_target = deliver
    eventbridge._dispatch_to_lambda = invoke


def refuse(target: _Record, source_arn: str) -> Undelivered | None:
    """Why nothing of the rule or schedule `source_arn` may reach the target, or None."""
    arn = target.get("Arn", "")
    try:
        service = parse_arn(arn).service
    except ArnParseError:
        return None
    if service not in DELIVERY:
        return None
    if iam_evaluator._resource_policy(service, arn) is None:
        return Undelivered("NO_RESOURCE", f"{arn} does not exist")
    if not _permitted(target, DELIVERY[service], arn, source_arn):
        return Undelivered("NO_PERMISSIONS", f"{DELIVERY[service]} on {arn} is not allowed")
    return None


def _garbled(target: _Record, rule: _Record, view: Any) -> Undelivered | None:
    transformer = target.get("InputTransformer")
    if not transformer:
        return None
    text = eventbridge._apply_input_transformer(transformer, rule, view)
    if is_input(transformer.get("InputTemplate", ""), text):
        return None
    return Undelivered("INVALID_PARAMETER", f"the input is no JSON: {text[:200]}")


def is_input(template: str, rendered: str) -> bool:
    """Whether a filled-in InputTemplate can be delivered: what has quotes must be JSON, as a whole or line by line.

    EventBridge user guide, "Common issues with transforming input": "EventBridge doesn't escape values extracted by
    Input Path", so a value with a quote breaks the text around it. Unconfirmed: that AWS then delivers nothing, and the
    error's code. `InputPath` alone has no such trouble: a text it leads to becomes a JSON string.
    """
    return '"' not in template or _is_json(rendered) or all(map(_is_json, rendered.splitlines()))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def invoke(arn: str, payload: str) -> None:
    """Invoke a function as the Event invocation type does, with its retries and destinations."""
    function, config, _name = lambda_svc._get_func_record_for_ref(arn)
    record = lambda_svc._execution_record_for_config(function, config)
    lambda_svc.invoke_async_with_retry(record, json.loads(payload))


def _permitted(target: _Record, action: str, arn: str, source_arn: str) -> bool:
    service = f"{source_arn.split(':')[2]}.amazonaws.com"
    if target.get("RoleArn"):
        return role_allows(target["RoleArn"], service, action, arn, _assumes(source_arn))
    return resource_allows(service, action, arn, source_arn)


def _assumes(source_arn: str) -> str:
    """For which resource a role is assumed: a schedule's group (Scheduler user guide, "Confused deputy prevention")."""
    before, is_schedule, name = source_arn.partition(":schedule/")
    return f"{before}:schedule-group/{name.partition('/')[0]}" if is_schedule else source_arn


def _send_to_dead_letters(
    target: _Record, event: _Record, source_arn: str, undelivered: Undelivered, view: Any
) -> None:
    """Send the event to the target's dead-letter queue, with the attributes that EventBridge gives it there."""
    queue_arn = (target.get("DeadLetterConfig") or {}).get("Arn")
    if not queue_arn:
        return
    # A rule always needs the queue's policy; only a schedule sends in the name of its role.
    holder = target if ":scheduler:" in source_arn else {}
    queue = sqs._queue_by_arn(queue_arn)
    if queue is None or not _permitted(holder, DELIVERY["sqs"], queue_arn, source_arn):
        log.warning("%s could not use its dead-letter queue %s either", source_arn, queue_arn)
        return
    facts = {
        "RULE_ARN": source_arn,
        "TARGET_ARN": target["Arn"],
        "ERROR_CODE": undelivered.code,
        "ERROR_MESSAGE": undelivered.message,
    }
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in facts.items()}
    body = json.dumps((view or eventbridge._pattern_event_view(event)).event_with_detail())
    url = sqs._queue_url(queue_arn.rsplit(":", 1)[1])
    sqs._act_send_message({"QueueUrl": url, "MessageBody": body, "MessageAttributes": attributes}, url)
