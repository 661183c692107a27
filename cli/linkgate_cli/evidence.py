"""What `doctor` looks at, read part by part: what cannot be read is said, and keeps nothing else back."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from linkgate.policy.decide import Rows

from linkgate_cli.offered import Offered, offered, principals
from linkgate_cli.overview import Overview, look
from linkgate_cli.refusals import failure_of
from linkgate_cli.session import Session

T = TypeVar("T")
QUEUES = ("NotificationQueue", "BellQueue", "SweepQueue", "PatrolQueue")
DEAD_LETTERS = ("NotificationDeadLetters", "BellDeadLetters", "RoundDeadLetters")
FUNCTIONS = ("ApproveFunction", "SweepFunction", "PatrolFunction", "CanaryFunction")
RECENT = timedelta(hours=1)


class Alarm(NamedTuple):
    """An alarm of the stack, by its heading in the runbook."""

    heading: str
    state: str
    told: bool


@dataclass
class Evidence:
    """What was read; `unread` says of each part that was not why."""

    overview: Overview
    topic: str = ""
    alarm_topic: str = ""
    tag_value: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    offered: Mapping[str, Offered] = field(default_factory=dict)
    principals: Mapping[str, frozenset[str]] = field(default_factory=dict)
    rows: Rows = field(default_factory=dict)
    alarms: tuple[Alarm, ...] = ()
    subscribers: tuple[str, ...] | None = None
    queues: Mapping[str, int] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)
    swept: datetime | None = None
    own_canary: str = ""
    account: str = ""
    unread: dict[str, str] = field(default_factory=dict)


def read(session: Session) -> Evidence:
    """Read everything. Failure where there is no stack, or its endpoints cannot be read at all."""
    found = Evidence(look(session))
    found.alarm_topic, found.tag_value = session.outputs["AlarmTopic"], session.tag_value
    found.own_canary = session.outputs.get("CanaryFunction", "")

    def part(name: str, reader: Callable[[], T], otherwise: T) -> T:
        try:
            return reader()
        except Exception as error:  # whatever it is, the other parts are still worth reading
            found.unread[name] = str(failure_of(error))
            return otherwise

    resources: Mapping[str, str] = part("the stack's resources", lambda: session.resources, dict[str, str]())
    found.topic = resources.get("NotificationTopic", "")
    with ThreadPoolExecutor(8) as pool:
        parameters = pool.submit(part, "the stack's parameters", lambda: session.parameters, {})
        services = pool.submit(part, "endpoint services", lambda: offered(session), {})
        rows = pool.submit(part, "the allow-list", lambda: session.allow_list.whole_table(), {})
        alarms = pool.submit(part, "alarms", lambda: _alarms(session), ())
        subscribers = pool.submit(part, "subscriptions of the alarm topic", lambda: _subscribers(session), None)
        queues = pool.submit(part, "queues", lambda: _queues(session, resources), {})
        functions = pool.submit(part, "functions", lambda: _functions(session, resources), {})
        swept = pool.submit(part, "the last sweep", lambda: _swept(session, found.overview.now), None)
        account = pool.submit(part, "the account", lambda: session.account, "")
    found.parameters, found.offered, found.rows = parameters.result(), services.result(), rows.result()
    found.alarms, found.subscribers, found.queues = alarms.result(), subscribers.result(), queues.result()
    found.functions, found.swept, found.account = functions.result(), swept.result(), account.result()
    managed = [one.service for one in found.offered.values() if one.managed]
    found.principals = part("allowed principals", lambda: {one: principals(session, one) for one in managed}, {})
    return found


def _alarms(session: Session) -> tuple[Alarm, ...]:
    prefix = f"{session.stack}-"
    pages = session.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix)
    return tuple(
        Alarm(
            one["AlarmName"].removeprefix(prefix),
            one["StateValue"],
            bool(one.get("ActionsEnabled", True) and one.get("AlarmActions")),
        )
        for page in pages
        for one in page["MetricAlarms"]
    )


def _subscribers(session: Session) -> tuple[str, ...]:
    """The ARNs of the alarm topic's subscriptions; `PendingConfirmation` for one that nobody confirmed."""
    pages = session.client("sns").get_paginator("list_subscriptions_by_topic")
    found = pages.paginate(TopicArn=session.outputs["AlarmTopic"])
    return tuple(one["SubscriptionArn"] for page in found for one in page["Subscriptions"])


def _queues(session: Session, resources: Mapping[str, str]) -> dict[str, int]:
    """How many messages each queue holds, by its logical name."""
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    found = {}
    for queue in (*QUEUES, *DEAD_LETTERS):
        if url := resources.get(queue):
            name = url.rpartition("/")[2]  # the URL may be another way to the same queue
            sqs = session.client("sqs")
            asked: Any = sqs.get_queue_url(QueueName=name)["QueueUrl"]
            values = sqs.get_queue_attributes(QueueUrl=asked, AttributeNames=list(names))["Attributes"]
            found[queue] = sum(int(values.get(one, 0)) for one in names)
    return found


def _functions(session: Session, resources: Mapping[str, str]) -> dict[str, str]:
    """The state of each function, by its logical name."""
    client = session.client("lambda")
    return {
        one: str(client.get_function_configuration(FunctionName=resources[one]).get("State", ""))
        for one in FUNCTIONS
        if one in resources
    }


def _swept(session: Session, now: datetime) -> datetime | None:
    """When the sweep's function last ran within the last hour; None: it did not."""
    found = session.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Invocations",
        Dimensions=[{"Name": "FunctionName", "Value": session.outputs["SweepFunction"]}],
        StartTime=now - RECENT,
        EndTime=now,
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    moments: list[datetime] = [one["Timestamp"] for one in found if one["Sum"]]
    return max(moments, default=None)
