"""Schedules in the lab: rate() by the lab's speed, under the permissions that AWS asks for."""

import json
import time
from typing import Any

import pytest

from lab.eventbridge.schedules import PACE
from lab.harness.process import PROVIDER_ACCOUNT, REGION, SPEED, LabProcess
from tests.integration.conftest import Client
from tests.integration.deploy import (
    allow,
    arn_of,
    eventually,
    function,
    let_in,
    lines,
    only_for,
    queue,
    received,
    role,
    unique,
    waiting,
)

MINUTE = 60 / SPEED


@pytest.fixture
def schedules(client: Client) -> Any:
    """A function that makes a schedule every minute; all are deleted at the end."""
    names = []

    def make(name: str, **settings: Any) -> str:
        names.append(name)
        given = {"FlexibleTimeWindow": {"Mode": "OFF"}, "ScheduleExpression": "rate(1 minute)", **settings}
        return str(client("scheduler").create_schedule(Name=name, **given)["ScheduleArn"])

    yield make
    for name in names:
        client("scheduler").delete_schedule(Name=name)


@pytest.fixture
def rule(client: Client) -> Any:
    """A new rule that fires every minute: its name and ARN. It is deleted at the end."""
    name = unique("rule")
    arn = client("events").put_rule(Name=name, ScheduleExpression="rate(1 minute)")["RuleArn"]
    yield name, str(arn)
    client("events").remove_targets(Rule=name, Ids=["target"])
    client("events").delete_rule(Name=name)


def sent_at(message: dict[str, Any]) -> float:
    """The time in the event, which is when it was made, however long it then lay in the queue."""
    return time.mktime(time.strptime(json.loads(message["Body"])["time"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone


def test_a_rule_fires_after_each_minute_of_the_lab_and_not_at_its_creation(client: Client, rule: Any) -> None:
    name, arn = rule
    url, queue_arn = queue(client)
    let_in(client, url, queue_arn, "events", arn)
    created = time.time()
    client("events").put_targets(Rule=name, Targets=[{"Id": "target", "Arn": queue_arn}])
    messages = received(client, url, 3)
    events = [json.loads(message["Body"]) for message in messages]
    assert [event["detail-type"] for event in events] == ["Scheduled Event"] * 3
    assert events[0]["resources"] == [arn]
    # Whole seconds are all that an event tells.
    assert sent_at(messages[0]) - created > MINUTE - 2
    assert sent_at(messages[1]) - sent_at(messages[0]) >= MINUTE - 1


def test_a_rule_made_again_under_an_old_name_waits_its_minute(client: Client) -> None:
    name = unique("rule")
    url, queue_arn = queue(client)

    def make() -> float:
        arn = client("events").put_rule(Name=name, ScheduleExpression="rate(1 minute)")["RuleArn"]
        let_in(client, url, queue_arn, "events", arn)
        client("events").put_targets(Rule=name, Targets=[{"Id": "target", "Arn": queue_arn}])
        return time.time()

    def remove() -> None:
        client("events").remove_targets(Rule=name, Ids=["target"])
        client("events").delete_rule(Name=name)

    make()
    assert received(client, url)
    remove()
    # The clock of the lab has to pass more than an interval between the old rule and the new one.
    time.sleep(MINUTE)
    made = make()
    (message,) = received(client, url)
    remove()
    assert sent_at(message) - made > MINUTE - 2


def test_a_schedule_invokes_a_function_with_its_input_in_the_name_of_its_role(client: Client, schedules: Any) -> None:
    name = function(client, "def handler(event, context): print(event['why'])")
    may = role(client, "scheduler", allow("lambda:InvokeFunction", on=arn_of(client, name)))
    schedules(unique("schedule"), Target={"Arn": arn_of(client, name), "RoleArn": may, "Input": '{"why": "time"}'})
    assert eventually(lambda: lines(client, name))[0] == "time"


def test_a_schedule_sends_to_a_queue_in_the_name_of_its_role(client: Client, schedules: Any) -> None:
    url, arn = queue(client)
    may = role(client, "scheduler", allow("sqs:SendMessage", on=arn))
    schedules(unique("schedule"), Target={"Arn": arn, "RoleArn": may, "Input": "now"})
    assert received(client, url)[0]["Body"] == "now"


def test_a_schedule_whose_role_may_not_send_is_told_so(lab: LabProcess, client: Client, schedules: Any) -> None:
    url, arn = queue(client)
    name = unique("schedule")
    schedules(name, Target={"Arn": arn, "RoleArn": role(client, "scheduler"), "Input": "now"})
    expected = f"schedule/default/{name} did not deliver to {arn}"
    assert eventually(lambda: expected in lab.log.read_text(errors="replace"))
    assert waiting(client, url) == 0


def test_a_role_is_assumed_for_the_group_of_a_schedule(lab: LabProcess, client: Client, schedules: Any) -> None:
    """As AWS has it since 2023: a trust policy that names the schedule itself trusts nobody."""
    url, arn = queue(client)
    may, never = (role(client, "scheduler", allow("sqs:SendMessage", on=arn)) for _ in range(2))
    name = unique("schedule")
    before = f"arn:aws:scheduler:{REGION}:{PROVIDER_ACCOUNT}"
    only_for(client, never, "scheduler", f"{before}:schedule/default/*")
    only_for(client, may, "scheduler", f"{before}:schedule-group/default")
    schedules(name, Target={"Arn": arn, "RoleArn": never, "Input": "never"})
    assert eventually(
        lambda: f"schedule/default/{name} did not deliver to {arn}" in lab.log.read_text(errors="replace")
    )
    schedules(unique("schedule"), Target={"Arn": arn, "RoleArn": may, "Input": "now"})
    assert received(client, url)[0]["Body"] == "now"


def test_at_keeps_to_the_real_time(client: Client, schedules: Any) -> None:
    url, arn = queue(client)
    may = role(client, "scheduler", allow("sqs:SendMessage", on=arn))
    due = time.time() + 3
    moment = time.strftime("at(%Y-%m-%dT%H:%M:%S)", time.gmtime(due))
    schedules(unique("schedule"), ScheduleExpression=moment, Target={"Arn": arn, "RoleArn": may, "Input": "now"})
    assert received(client, url)[0]["Body"] == "now"
    assert time.time() >= int(due)


def test_a_look_at_the_schedules_is_short_against_a_minute_of_the_lab() -> None:
    assert PACE * 10 < MINUTE
