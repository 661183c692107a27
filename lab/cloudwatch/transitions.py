"""What follows from an alarm's change of state: history, topics, event, composite alarms."""

import logging
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import get_account_id  # type: ignore[import-untyped]
from ministack.services import cloudwatch, eventbridge, sns  # type: ignore[import-untyped]

from lab.cloudwatch.evaluation import Evaluation, compact, stamp

_log = logging.getLogger(__name__)

SERVICE = "cloudwatch.amazonaws.com"
ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}

# Every private name of ministack used here; _dispatch is its own dispatcher, which install() replaces.
_alarms = cloudwatch._alarms
_dispatch = cloudwatch._dispatch_alarm_actions
_record_history = cloudwatch._record_history
_evaluate_parents = cloudwatch._evaluate_parent_alarms
_is_topic = cloudwatch._is_sns_action_arn
_put_events = eventbridge._put_events


def install() -> None:
    """Let SetAlarmState and composite alarms carry out their changes as metric alarms do here."""
    cloudwatch._dispatch_alarm_actions = carry_out


def change(record: dict[str, Any], evaluation: Evaluation, now: float) -> None:
    """Put the alarm (ministack's own record) into the evaluation's state, with all that follows from it."""
    if _alarms.get(record["AlarmName"]) is not record:
        return  # Deleted or replaced while it was evaluated.
    old, before = record["StateValue"], _before(record)
    record.update(
        StateValue=evaluation.state,
        StateReason=evaluation.reason,
        StateReasonData=compact(evaluation.data),
        StateUpdatedTimestamp=int(now),
        StateTransitionedTimestamp=int(now),
    )
    _record_history(record["AlarmName"], old, evaluation.state, evaluation.reason, reason_data=evaluation.data)
    carry_out(record, old, evaluation.state, evaluation.reason, before)
    _evaluate_parents(record)


def carry_out(
    record: Mapping[str, Any], old: str, new: str, reason: str, before: Mapping[str, str] | None = None
) -> None:
    """Notify the topics that let CloudWatch publish, and send the event of the change to the default bus.

    `before` is the old state's reason and time. Also called by ministack, which does not tell it, for SetAlarmState and
    composite alarms.
    """
    field = ACTIONS.get(new, "")
    allowed = [action for action in record.get(field) or [] if _may_notify(record, action)]
    _dispatch({**record, field: allowed}, old, new, reason)
    entry = {
        "Source": "aws.cloudwatch",
        "DetailType": "CloudWatch Alarm State Change",
        "Resources": [record["AlarmArn"]],
        "Detail": compact(_detail(record, old, before or {})),
    }
    _put_events({"Entries": [entry]}, allow_aws_source=True)


def _may_notify(record: Mapping[str, Any], action: str) -> bool:
    if not record.get("ActionsEnabled", True) or not _is_topic(action):
        return True
    if sns.topic_policy_allows(action, SERVICE, record["AlarmArn"], get_account_id()):
        return True
    _log.warning("alarm %s: %s does not exist or does not let %s publish", record["AlarmName"], action, SERVICE)
    return False


def _before(record: Mapping[str, Any]) -> dict[str, str]:
    when = record.get("StateUpdatedTimestamp")
    return {"reason": record["StateReason"], **({"timestamp": stamp(when)} if when else {})}


def _detail(record: Mapping[str, Any], old: str, before: Mapping[str, str]) -> dict[str, Any]:
    """As in the User Guide, "Alarm events and EventBridge"; previousState has no reasonData."""
    data = {"reasonData": record["StateReasonData"]} if record.get("StateReasonData") else {}
    changed = stamp(record["StateUpdatedTimestamp"])
    return {
        "alarmName": record["AlarmName"],
        "configuration": {"description": record.get("AlarmDescription", ""), **_configuration(record)},
        "previousState": {"value": old, "reason": "", **before},
        "state": {"value": record["StateValue"], "reason": record["StateReason"], **data, "timestamp": changed},
    }


def _configuration(record: Mapping[str, Any]) -> dict[str, Any]:
    if "AlarmRule" in record:
        return {"alarmRule": record["AlarmRule"]}
    dimensions = {item["Name"]: item["Value"] for item in record.get("Dimensions") or []}
    metric = {"namespace": record.get("Namespace"), "name": record.get("MetricName"), "dimensions": dimensions}
    statistic = record.get("ExtendedStatistic") or record.get("Statistic")
    unit = {"unit": record["Unit"]} if record.get("Unit") else {}
    query = {"metric": metric, "period": record.get("Period"), "stat": statistic, **unit}
    return {"metrics": [{"id": "m1", "metricStat": query, "returnData": True}]}
