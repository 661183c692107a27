"""The handler that tells people: text with a subject, whatever quotes, backslashes and line breaks are in it."""

from typing import Any

import pytest
from linkgate.aws.topic import Topic
from linkgate.config import Settings

from functions.message import app
from tests.infrastructure.stage import Context

TOPIC = "arn:aws:sns:eu-west-1:111111111111:alarms"


class Sns:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.published: list[dict[str, str]] = []

    def publish(self, **request: str) -> None:
        self.published.append(request)


@pytest.fixture
def sns(monkeypatch: pytest.MonkeyPatch) -> Sns:
    sns = Sns()
    monkeypatch.setattr(app, "application", lambda: (Settings(stack="linkgate"), Topic(sns, TOPIC)))
    return sns


def test_an_event_of_ours_is_sent_as_it_reads(sns: Sns) -> None:
    summary = 'INVALID ROW: x\n\nWhat: effect is "alow" \\ or worse\nNext: mend it'
    app.handler(
        {"source": "linkgate", "detail-type": "Allow List Row Invalid", "detail": {"summary": summary}}, Context(30)
    )
    assert sns.published == [{"TopicArn": TOPIC, "Subject": "[linkgate] INVALID ROW: x", "Message": summary}]


def test_an_alarm_of_which_nobody_says_when_it_rang_is_told_all_the_same(sns: Sns) -> None:
    detail = {"alarmName": "a", "state": {"value": "OK"}, "previousState": {"value": "ALARM"}}
    app.handler({"source": "aws.cloudwatch", "detail": detail | {"configuration": {"description": "b"}}}, Context(30))
    assert sns.published[0]["Message"] == "OK: the alarm a is over\n\nIt was about: b\nNext: nothing"


def test_an_alarm_that_is_over_is_told_with_how_long_it_lasted(sns: Sns) -> None:
    detail: dict[str, Any] = {
        "alarmName": "linkgate-invalid-rows",
        "state": {"value": "OK", "timestamp": "2026-11-28T03:30:00.000+0000"},
        "previousState": {"value": "ALARM", "timestamp": "2026-11-28T03:18:30.000+0000"},
        "configuration": {"description": "A row cannot be read. Runbook: docs/runbook.md#invalid-rows"},
    }
    app.handler({"source": "aws.cloudwatch", "detail": detail}, Context(30))
    (sent,) = sns.published
    assert sent["Subject"] == "[linkgate] OK: the alarm linkgate-invalid-rows is over"
    assert sent["Message"].splitlines()[2:] == [
        "It was about: A row cannot be read.",
        "It lasted: 11 minutes, 2026-11-28 03:18 UTC to 2026-11-28 03:30 UTC",
        "Next: nothing",
        "Runbook: docs/runbook.md#invalid-rows",
    ]
