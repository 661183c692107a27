"""The handler of approve: SQS records in, and the messages that must come back out."""

import json

import pytest
from botocore.exceptions import ClientError
from linkgate.errors import Unavailable
from linkgate.events.bell import Bell
from linkgate.model import State

from functions.approve import app as approve
from functions.sweep import app as sweep
from tests import gallery
from tests.application import SERVICE, Application
from tests.unit.handlers.scene import Context, Said, denied, naming
from tests.world import CONSUMER, endpoint_id, service_id

A, B = endpoint_id(1), endpoint_id(2)
SECOND = service_id(2)


def test_messages_that_were_answered_do_not_come_back(app: Application, said: Said) -> None:
    app.world.connect(A, SERVICE)
    answer = approve.handler(gallery.records(naming(A), naming(A), gallery.text("pipe-garbage")), Context())
    assert answer == {"batchItemFailures": []}
    assert app.state(A) is State.PENDING
    assert said.metrics() == {"Decisions": 1, "UnreadableNotifications": 1}


def test_only_the_messages_of_a_service_that_failed_come_back(app: Application, said: Said) -> None:
    app.world.offer(SECOND)
    app.allow_list.put(SECOND, "@settings", mode="enforce")
    app.world.broken[SECOND] = RuntimeError("nobody thought of it")
    app.world.connect(A, SERVICE)
    app.world.connect(B, SECOND)
    answer = approve.handler(gallery.records(naming(A), naming(B), naming(A, B), naming(B)), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": name} for name in ("m1", "m2", "m3")]}
    assert said.metrics()["Failures"] >= 1
    (message, *_) = said.messages("ERROR")
    assert message == "a service could not be judged: RuntimeError: nobody thought of it"


def test_when_every_message_fails_each_comes_back_by_its_name(app: Application) -> None:
    app.world.broken[SERVICE] = RuntimeError("nobody thought of it")
    app.world.connect(A, SERVICE)
    answer = approve.handler(gallery.records(naming(A), naming(A)), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m1"}]}


def test_an_unreadable_notification_is_logged_with_its_body(app: Application, said: Said) -> None:
    approve.handler(gallery.records("}{ nothing to see", naming(A)), Context())
    (line,) = [line for line in said.read().lines if "bodies" in line]
    assert line["message"] == "no id in a notification: looking at every managed service"
    assert line["bodies"] == ["}{ nothing to see"]


def test_an_item_of_the_ledger_that_cannot_be_read_is_named_and_counted(app: Application, said: Said) -> None:
    app.connect(A)
    app.work(5)
    app.ledger.alter(A, version=2)
    approve.handler(gallery.records(json.dumps(Bell(frozenset({A})).event())), Context())
    assert said.metrics()["Failures"] == 1
    words = "version is 2: expected 1 at most: newer code wrote it"
    assert said.messages("ERROR") == [f"the ledger's item of {A} cannot be read, so it is left alone: {words}"]


def test_an_unmanaged_service_is_named_in_one_sentence(app: Application, said: Said) -> None:
    app.world.offer(SECOND, managed=False)
    app.world.connect(A, SECOND)
    approve.handler(gallery.records(naming(A, SECOND)), Context())
    assert said.messages("WARNING") == [
        f"{SECOND} does not carry the tag linkgate = TagValue of this stack: nothing is done for it"
    ]


def test_every_decision_is_logged_with_its_reason(app: Application, said: Said) -> None:
    app.world.connect(A, SERVICE)
    approve.handler(gallery.records(naming(A)), Context())
    (line,) = [line for line in said.read().lines if "decision" in line]
    assert line["message"] == f"{A} of {CONSUMER} on {SERVICE}: accept (allowed)"
    (entry,) = [one.entry for one in app.ledger.lines(A)]
    assert (line["endpoint_id"], line["decision"], line["row"], line["mode"]) == (A, entry, f"*/{CONSUMER}", "enforce")


def test_an_endpoint_that_was_never_visible_is_named_in_the_end(app: Application, said: Said) -> None:
    approve.handler(gallery.records(json.dumps(Bell(frozenset({A}), attempt=9).event())), Context())
    assert said.messages("WARNING") == [f"EC2 still does not show {A}, or others are busy with it: left to the sweep"]


def test_a_refusal_of_ec2_is_logged_and_counted_and_its_message_is_done_with(app: Application, said: Said) -> None:
    app.world.connect(A, SERVICE)
    app.world.forbidden.add(SERVICE)
    assert approve.handler(gallery.records(naming(A)), Context()) == {"batchItemFailures": []}
    assert said.metrics() == {"Decisions": 1}
    (message,) = said.messages("ERROR")
    assert message.startswith(f"EC2 refused to act on {A}: UnauthorizedOperation: You are not authorized")
    sweep.handler(gallery.sample("schedule"), Context())
    assert said.metrics()["RefusedConnections"] == 1


def test_a_message_that_nobody_could_answer_for_long_comes_back(app: Application, said: Said) -> None:
    app.world.connect(A, SERVICE)
    app.world.broken[SERVICE] = Unavailable("no route")
    bells = [Bell(frozenset({A}), attempt=9), Bell(frozenset({B}), attempt=9)]
    answer = approve.handler(gallery.records(*[json.dumps(bell.event()) for bell in bells]), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert said.metrics() == {"Failures": 1}


def test_an_approver_that_fails_as_a_whole_is_counted(app: Application, said: Said) -> None:
    app.world.silence = denied()
    with pytest.raises(ClientError):
        approve.handler(gallery.records(naming(A)), Context())
    assert said.metrics() == {"Failures": 1}
