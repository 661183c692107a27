"""What the stack's parameters leave out is told once, and to somebody."""

import pytest
from linkgate.aws.topic import Topic
from linkgate.sweep.gaps import NOBODY, StackGaps

from tests.application import Application
from tests.unit.edges import stubbed

NO_EMAIL, NO_CANARY = "AlarmEmail is empty.", "CanarySubnetIds is empty."


@pytest.fixture
def app() -> Application:
    return Application()


def gaps(app: Application, *sentences: str) -> StackGaps:
    return StackGaps(app.sets, app.bus, app.subscribers, sentences)


def published(app: Application) -> list[object]:
    return [detail["gaps"] for kind, detail in app.bus.published if kind == "Stack Incomplete"]


def test_gaps_are_told_once_in_one_message(app: Application) -> None:
    for _ in range(3):
        assert gaps(app, NO_EMAIL, NO_CANARY).told() == (NO_EMAIL, NO_CANARY)
    assert published(app) == [[NO_EMAIL, NO_CANARY]]


def test_they_wait_until_somebody_hears_the_alarm_topic_and_the_log_says_that_nobody_does(app: Application) -> None:
    app.subscribers.somebody = False
    assert gaps(app, NO_CANARY).told() == (NO_CANARY, NOBODY)
    assert published(app) == []
    app.subscribers.somebody = True
    assert gaps(app, NO_CANARY).told() == (NO_CANARY,)
    assert published(app) == [[NO_CANARY]]


def test_a_gap_that_was_filled_and_is_there_again_is_told_again(app: Application) -> None:
    for sentences in ((NO_CANARY,), (), (NO_CANARY,)):
        gaps(app, *sentences).told()
    assert published(app) == [[NO_CANARY], [NO_CANARY]]


def test_a_stack_without_gaps_says_nothing(app: Application) -> None:
    assert app.settle().gaps == ()
    assert published(app) == []


@pytest.mark.parametrize(("confirmed", "heard"), [("0", False), ("2", True)])
def test_only_a_confirmed_subscription_hears_a_topic(confirmed: str, heard: bool) -> None:
    arn = "arn:aws:sns:eu-west-1:111111111111:alarms"
    with stubbed("sns") as (client, stubber):
        attributes = {"SubscriptionsConfirmed": confirmed, "SubscriptionsPending": "1"}
        stubber.add_response("get_topic_attributes", {"Attributes": attributes}, {"TopicArn": arn})
        assert Topic(client, arn).heard() is heard
