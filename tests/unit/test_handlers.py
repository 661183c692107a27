"""The doors: records in, one application, and what must come back out; and nothing at all at import."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError
from linkgate.config import Settings
from linkgate.errors import SettingsError, Unavailable
from linkgate.events.bell import Bell
from linkgate.model import State, Status
from linkgate.policy.probes import Probe
from prober.scope import Scope

from functions.approve import app as approve
from functions.canary import app as canary
from functions.patrol import app as patrol
from functions.sweep import app as sweep
from tests import gallery
from tests.application import SERVICE, Application
from tests.unit.listeners import HOST, accepting, listening, refusing
from tests.world import CONSUMER, OTHER, endpoint_id, service_id

A, B = endpoint_id(1), endpoint_id(2)
SECOND = service_id(2)
SETTINGS = Settings(stack="linkgate")
DOORS = (approve, sweep, patrol)
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Context:
    """What the handlers and Powertools read of Lambda's context."""

    function_name: str = "linkgate-function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:111111111111:function:linkgate-function"
    aws_request_id: str = "0d1d9c6c-9d15-4c5f-a3e0-6a3a5dd0fd05"

    def get_remaining_time_in_millis(self) -> int:
        return 120_000


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Application:
    """The house behind every door, with CONSUMER allowed everywhere."""
    made = Application()
    made.allow_list.put("*", CONSUMER, effect="allow")
    monkeypatch.setattr(approve, "application", lambda: (SETTINGS, made.approver))
    monkeypatch.setattr(sweep, "application", lambda: (SETTINGS, made.sweeper))
    monkeypatch.setattr(patrol, "application", lambda: (SETTINGS, made.patrol))
    return made


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> "Said":
    return Said(capsys, monkeypatch)


class Stdout:
    """The stdout of the moment: the doors' loggers took that of their import, which no test reads."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


class Said:
    """What a door wrote on stdout: its log, and metrics in CloudWatch's embedded format."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys = capsys
        for door in DOORS:
            monkeypatch.setattr(door.logger.registered_handler, "stream", Stdout())
        self.lines: list[dict[str, Any]] = []

    def read(self) -> "Said":
        self.lines += [json.loads(line) for line in self.capsys.readouterr().out.splitlines()]
        return self

    def metrics(self, service: str = "") -> dict[str, float]:
        """The metrics of the stack, or of one service."""
        found = [line for line in self.read().lines if "_aws" in line and line.get("Service", "") == service]
        mine = [line for line in found if not line.keys() & {"Status", "Zone", "Endpoint"}]
        names = [metric["Name"] for line in mine for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
        return {name: line[name][0] for line in mine for name in names if name in line}

    def messages(self, level: str) -> list[str]:
        return [line["message"] for line in self.read().lines if line.get("level") == level]


def naming(*endpoints: str) -> str:
    return json.dumps({"detail-type": "Endpoint Connection Notification", "detail": list(endpoints)})


def denied() -> ClientError:
    response: Any = {"Error": {"Code": "UnauthorizedOperation", "Message": "You are not authorized"}}
    return ClientError(response, "AcceptVpcEndpointConnections")


# ------------------------------------------------------------------ approve


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


def test_an_unmanaged_service_is_named_in_one_sentence(app: Application, said: Said) -> None:
    app.world.offer(SECOND, managed=False)
    app.world.connect(A, SECOND)
    approve.handler(gallery.records(naming(A)), Context())
    assert said.messages("WARNING") == [f"{SECOND} does not carry the tag linkgate = managed: nothing is done for it"]


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


def test_a_missing_table_is_named_in_the_log_and_its_messages_come_back(app: Application, said: Said) -> None:
    app.world.broken[SERVICE] = SettingsError("table ledger does not exist in this account and Region")
    app.world.connect(A, SERVICE)
    assert approve.handler(gallery.records(naming(A)), Context())["batchItemFailures"] == [{"itemIdentifier": "m0"}]
    assert "table ledger does not exist in this account and Region" in said.messages("ERROR")[0]


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
    requeued = [Bell(frozenset({A}), attempt=9), Bell(frozenset({B}), attempt=9)]
    answer = approve.handler(gallery.records(*[json.dumps(bell.event()) for bell in requeued]), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert said.metrics() == {"Failures": 1}


def test_an_approver_that_fails_as_a_whole_is_counted(app: Application, said: Said) -> None:
    app.world.silence = denied()
    with pytest.raises(ClientError):
        approve.handler(gallery.records(naming(A)), Context())
    assert said.metrics() == {"Failures": 1}


# ------------------------------------------------------------------ sweep


def test_a_batch_of_the_stream_rings_for_the_services_it_touches_and_names_its_malformed_rows(
    app: Application, said: Said
) -> None:
    sample = gallery.sample("stream")
    service = sample["Records"][0]["dynamodb"]["Keys"]["service"]["S"]
    app.world.offer(service)
    app.world.connect(A, service)
    sweep.handler(sample, Context())
    assert [bell.endpoints for bell in app.bells.waiting()] == [{A}]
    ((kind, detail),) = app.bus.told
    assert (kind, detail["row"], detail["attribute"]) == (
        "Allow List Row Invalid",
        f"{service}/333333333333",
        "expires",
    )
    assert said.metrics() == {"InvalidRows": 1}
    assert any("attribute 'expires' is not known here" in message for message in said.messages("WARNING"))


def test_the_schedule_looks_at_everything_and_counts_it(app: Application, said: Said) -> None:
    app.world.connect(A, SERVICE, "444444444444")
    app.world.services[SERVICE].acceptance_required = False
    app.world.advance(4 * 86400)
    sweep.handler(gallery.sample("schedule"), Context())
    assert said.metrics() == {
        "InvalidRows": 0,
        "PendingRequests": 1,
        "StaleRequests": 1,
        "RefusedConnections": 0,
        "UnwantedConnections": 0,
        "TrippedBreakers": 0,
        "MisconfiguredGates": 1,
    }
    assert said.messages("WARNING") == [f"{SERVICE}: AcceptanceRequired is off: EC2 accepts every connection by itself"]


def edited(name: str, keys: dict[str, Any], **image: Any) -> dict[str, Any]:
    change = {"Keys": keys} | ({"NewImage": keys | image} if name != "REMOVE" else {"OldImage": keys | image})
    return {"Records": [{"eventName": name, "eventSource": "aws:dynamodb", "dynamodb": change}]}


KEYS = {"service": {"S": SERVICE}, "consumer": {"S": "222222222222"}}


@pytest.mark.parametrize("name", sorted(gallery.malformed()))
def test_every_malformed_row_is_named_as_soon_as_it_is_written(name: str, app: Application, said: Said) -> None:
    typed = gallery.sample(f"malformed-{name}")
    keys = {key: typed.pop(key) for key in ("service", "consumer")}
    sweep.handler(edited("INSERT", keys, **typed), Context())
    assert [kind for kind, _ in app.bus.told] == ["Allow List Row Invalid"]
    assert said.metrics()["InvalidRows"] == 1


def test_a_malformed_row_that_was_deleted_is_not_named(app: Application, said: Said) -> None:
    sweep.handler(edited("REMOVE", KEYS, effect={"S": "permit"}), Context())
    assert app.bus.told == []
    assert said.metrics() == {"InvalidRows": 0}


def test_a_row_of_nothing_but_its_key_is_named(app: Application) -> None:
    sweep.handler(edited("INSERT", KEYS), Context())
    assert [kind for kind, _ in app.bus.told] == ["Allow List Row Invalid"]


@pytest.mark.parametrize("event", [edited("INSERT", KEYS, effect={"S": "allow"}), gallery.sample("schedule")])
def test_a_sweep_that_fails_is_counted_and_tried_again(app: Application, said: Said, event: dict[str, Any]) -> None:
    app.world.silence = Unavailable("no route")
    with pytest.raises(Unavailable):
        sweep.handler(event, Context())
    assert said.metrics() == {"Failures": 1}


@pytest.fixture
def half_blind(app: Application) -> Application:
    """A house with two services, of which EC2 shows the connections of one."""
    app.world.offer(SECOND)
    app.world.hidden[SECOND] = Unavailable("no route")
    app.world.connect(A, SERVICE)
    return app


def test_what_one_edit_could_not_do_is_tried_again_after_the_rest_was_done_and_told(
    half_blind: Application, said: Said
) -> None:
    keys = {"service": {"S": "*"}, "consumer": {"S": "222222222222"}}
    with pytest.raises(Unavailable):
        sweep.handler(edited("INSERT", keys, effect={"S": "permit"}), Context())
    assert [bell.endpoints for bell in half_blind.bells.waiting()] == [{A}]
    assert said.metrics() == {"InvalidRows": 1, "Failures": 1}


def test_what_one_scheduled_sweep_could_not_do_is_counted_and_left_to_the_next(
    half_blind: Application, said: Said
) -> None:
    sweep.handler(gallery.sample("schedule"), Context())
    assert [bell.endpoints for bell in half_blind.bells.waiting()] == [{A}]
    assert (said.metrics()["Failures"], said.metrics()["PendingRequests"]) == (1, 1)
    assert said.messages("ERROR") == [f"could not sweep {SECOND}: Unavailable: no route"]


def test_looks_from_the_queue_cut_what_a_grace_was_given_to(app: Application, said: Said) -> None:
    app.allow_list.put(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="5s")
    app.allow_list.put(SERVICE, OTHER, effect="allow")
    app.connect(A, OTHER)
    app.work(100)
    key = app.allow_list.delete(SERVICE, OTHER)
    keys = {"service": {"S": key.service}, "consumer": {"S": key.consumer}}
    sweep.handler(edited("REMOVE", keys, effect={"S": "allow"}), Context())
    app.world.advance(6)
    bodies = [json.dumps(bell.event()) for bell in app.looks.take()]
    assert len(bodies) == 1
    sweep.handler(gallery.records(*bodies), Context())
    assert app.known(A).status is Status.CUT
    assert said.metrics()["Cuts"] == 1


def test_a_change_of_a_service_that_cloudtrail_tells_of_is_a_look_at_everything(app: Application, said: Said) -> None:
    call = {"eventName": "ModifyVpcEndpointServiceConfiguration", "requestParameters": {"ServiceId": SERVICE}}
    app.world.services[SERVICE].acceptance_required = False
    sweep.handler(
        gallery.records(json.dumps({"detail-type": "AWS API Call via CloudTrail", "detail": call})), Context()
    )
    assert said.metrics()["MisconfiguredGates"] == 1


def test_a_sweep_while_another_is_at_work_asks_for_a_look_a_little_later(app: Application, said: Said) -> None:
    app.world.connect(A, SERVICE)
    assert app.sweeper.lease.take("another run")
    sweep.handler(gallery.sample("schedule"), Context())
    assert (app.bells.waiting(), len(app.looks.waiting())) == ([], 1)
    app.sweeper.lease.give_back("another run")
    app.work(10)
    assert app.known(A).entry


def test_a_tripped_breaker_is_counted_while_it_keeps_somebody(app: Application, said: Said) -> None:
    app.allow_list.put(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="1s", max_cuts="0")
    app.allow_list.put(SERVICE, OTHER, effect="allow")
    app.connect(A, OTHER)
    app.work(100)
    app.allow_list.delete(SERVICE, OTHER)
    for _ in range(3):
        sweep.handler(gallery.sample("schedule"), Context())
        app.world.advance(300)
        assert said.metrics()["TrippedBreakers"] == 1
    assert A in said.messages("WARNING")[-1]


# ------------------------------------------------------------------ patrol

TROUBLES = ("UnhealthyEndpoints", "UnprobedEndpoints", "UnexpectedlyOpenEndpoints", "ProbeErrors")
TIMES = {"DnsTime": 1.25, "TcpTime": 0.5, "TotalTime": 1.75}


@pytest.fixture
def accepted(app: Application, said: Said) -> Application:
    """A house with one available connection."""
    app.connect(A)
    app.work(10)
    said.read()
    return app


def test_a_round_is_counted_for_the_stack_and_for_each_service(accepted: Application, said: Said) -> None:
    accepted.world.offer(SECOND)
    patrol.handler(gallery.sample("schedule"), Context())
    wanted = {"ProbedEndpoints": 1.0} | dict.fromkeys(TROUBLES, 0.0)
    assert said.metrics() == wanted | {"TimeToVerified": 10_000}
    assert said.metrics(SERVICE) == wanted | TIMES
    assert said.metrics(SECOND) == dict.fromkeys(wanted, 0)


def finer(said: Said, dimension: str) -> dict[str, dict[str, float]]:
    """What was written of each value of a dimension."""
    lines = [line for line in said.read().lines if "_aws" in line and dimension in line]
    names = [metric["Name"] for line in lines for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    return {line[dimension]: {name: line[name][0] for name in names if name in line} for line in lines}


def test_an_endpoint_has_a_metric_of_its_own_only_while_it_fails(accepted: Application, said: Said) -> None:
    patrol.handler(gallery.sample("schedule"), Context())
    assert finer(said, "Endpoint") == {}
    accepted.canary.causes[A] = "tcp_timeout"
    for _ in range(3):
        assert finer(said, "Endpoint") == {}
        patrol.handler(gallery.sample("schedule"), Context())
    assert finer(said, "Endpoint") == {A: {"UnhealthyEndpoints": 1}}
    assert said.metrics()["UnhealthyEndpoints"] == 1


def test_unhealthy_addresses_are_counted_by_zone(accepted: Application, said: Said) -> None:
    regional = accepted.world.links[A].dns_names[0]
    zonal = {zone: regional.replace("-abcdefgh.", f"-abcdefgh-{zone}.") for zone in ("eu-west-1a", "eu-west-1b")}
    accepted.world.links[A].dns_names = (regional, *zonal.values())
    accepted.canary.causes[zonal["eu-west-1b"]] = "dns_not_found"
    patrol.handler(gallery.sample("schedule"), Context())
    assert finer(said, "Zone") == {
        "eu-west-1a": {"UnhealthyAddresses": 0},
        "eu-west-1b": {"UnhealthyAddresses": 1},
    }


def test_the_days_of_a_certificate_are_told_where_there_is_one(accepted: Application, said: Said) -> None:
    patrol.handler(gallery.sample("schedule"), Context())
    assert "CertificateDaysLeft" not in said.metrics()
    accepted.canary.extra = {"tls_days_left": 12.5}
    patrol.handler(gallery.sample("schedule"), Context())
    assert (said.metrics()["CertificateDaysLeft"], said.metrics(SERVICE)["CertificateDaysLeft"]) == (12.5, 12.5)


def test_what_the_canary_could_not_probe_is_counted(accepted: Application, said: Said) -> None:
    accepted.canary.causes[A] = "probe_error"
    patrol.handler(gallery.sample("schedule"), Context())
    assert said.metrics() == dict.fromkeys(("ProbedEndpoints", *TROUBLES), 0) | {
        "ProbeErrors": 1,
        "UnprobedEndpoints": 1,
    }
    assert said.messages("WARNING") == [f"{A} could not be probed: as told"]


def test_an_endpoint_that_gets_in_although_it_must_stay_out_is_counted(accepted: Application, said: Said) -> None:
    accepted.world.turn(A, State.REJECTED)
    accepted.ledger.alter(A, status=Status.CUT)
    for opened in (0, 1):
        accepted.world.advance(120)
        patrol.handler(gallery.sample("schedule"), Context())
        assert said.metrics()["UnexpectedlyOpenEndpoints"] == opened
    assert said.metrics()["ProbedEndpoints"] == 0


def test_a_round_with_nothing_to_probe_is_counted_too(app: Application, said: Said) -> None:
    patrol.handler(gallery.sample("schedule"), Context())
    assert said.metrics() == {"ProbedEndpoints": 0} | dict.fromkeys(TROUBLES, 0)


def test_a_visit_counts_how_long_it_took_and_is_no_round(accepted: Application, said: Said) -> None:
    kind, detail = accepted.bus.told[-1]
    patrol.handler(gallery.records(json.dumps({"detail-type": kind, "detail": detail})), Context())
    assert said.metrics() == {"TimeToVerified": 10_000}
    assert accepted.known(A).status is Status.VERIFIED


def test_a_visit_by_a_canary_that_fails_is_counted_and_repeated_later(accepted: Application, said: Said) -> None:
    accepted.canary.error = Unavailable("the canary failed")
    patrol.handler(gallery.records(naming(A)), Context())
    assert said.metrics() == {"Failures": 1}
    assert len(accepted.visits.queue) == 1
    assert said.messages("ERROR") == ["could not send linkgate-own: Unavailable: the canary failed"]


def test_a_visit_that_ec2_does_not_answer_is_counted_and_tried_again(accepted: Application, said: Said) -> None:
    accepted.world.silence = Unavailable("no route")
    with pytest.raises(Unavailable):
        patrol.handler(gallery.records(naming(A)), Context())
    assert said.metrics() == {"Failures": 1}


def test_a_round_that_could_not_look_at_everything_is_counted_and_leaves_the_alarm_on_silence_alone(
    accepted: Application, said: Said
) -> None:
    accepted.world.offer(SECOND)
    accepted.world.hidden[SECOND] = Unavailable("no route")
    patrol.handler(gallery.sample("schedule"), Context())
    assert "ProbedEndpoints" not in said.metrics()
    assert (said.metrics()["Failures"], said.metrics()["UnprobedEndpoints"]) == (1, 0)
    assert said.metrics(SERVICE)["ProbedEndpoints"] == 1
    assert said.messages("ERROR") == [f"could not patrol {SECOND}: Unavailable: no route"]


def test_a_round_without_its_own_canary_leaves_the_alarm_on_silence_alone(accepted: Application, said: Said) -> None:
    accepted.canary.error = Unavailable("the canary failed")
    patrol.handler(gallery.sample("schedule"), Context())
    assert "ProbedEndpoints" not in said.metrics()
    assert (said.metrics()["Failures"], said.metrics()["UnprobedEndpoints"]) == (1, 1)


def test_a_round_without_another_stacks_canary_is_a_round_all_the_same(accepted: Application, said: Said) -> None:
    foreign = f"arn:aws:lambda:eu-west-1:{OTHER}:function:linkgate-canary"
    accepted.allow_list.put("*", f"@canary:{CONSUMER}", function=foreign)
    accepted.canary.errors[foreign] = Unavailable("gone")
    patrol.handler(gallery.sample("schedule"), Context())
    assert said.metrics()["ProbedEndpoints"] == 0
    assert (said.metrics()["ProbeErrors"], said.metrics()["UnprobedEndpoints"]) == (1, 1)
    assert "Failures" not in said.metrics()


def test_a_round_that_cannot_find_its_services_is_counted_and_tried_again(accepted: Application, said: Said) -> None:
    accepted.world.silence = Unavailable("no route")
    with pytest.raises(Unavailable):
        patrol.handler(gallery.sample("schedule"), Context())
    assert said.metrics() == {"Failures": 1}


# ------------------------------------------------------------------ canary


def patrolled(app: Application, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """One round over A, whose name is an address of loopback, by the real canary: JSON in, JSON out."""

    def invoked(region: str, FunctionName: str, Payload: str) -> dict[str, Any]:
        return {"Payload": BytesIO(json.dumps(canary.handler(json.loads(Payload), Context())).encode())}

    monkeypatch.setattr(canary, "application", lambda: Scope.parse(HOST, str(port), "127.0.0.0/8"))
    monkeypatch.setattr(app.canary, "_invoked", invoked)
    app.world.links[A].dns_names = (HOST,)
    replace(app.patrol, default_probe=(Probe(f"tcp://:{port}"),)).round(lambda: 900)


def test_patrol_understands_what_the_canary_says_of_an_endpoint_that_answers(
    accepted: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(accepting) as listener:
        patrolled(accepted, monkeypatch, listener.port)
    assert accepted.known(A).status is Status.VERIFIED
    assert accepted.bus.told[-1][0] == "Endpoint Verified"
    assert accepted.bus.told[-1][1]["phases"].keys() == {"dns", "tcp", "total"}


def test_patrol_understands_what_the_canary_says_of_an_endpoint_that_does_not(
    accepted: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refusing() as port:
        for _ in range(3):
            patrolled(accepted, monkeypatch, port)
    assert accepted.known(A).status is Status.UNHEALTHY
    assert accepted.bus.told[-1][1]["cause"] == "tcp_refused"


# ------------------------------------------------------------------ environment

NEEDED = {
    approve: approve.REQUIRED,
    sweep: sweep.REQUIRED,
    patrol: patrol.REQUIRED,
}
VALUES = {"DEFAULT_PROBE": "tcp://:443", "EXPIRING_SOON_DAYS": "14"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """No setting in the environment, and doors that have not been opened."""
    for field in Settings.__dataclass_fields__:
        monkeypatch.delenv(field.upper(), raising=False)
    for door in DOORS:
        door.application.cache_clear()
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    yield monkeypatch
    for door in DOORS:
        door.application.cache_clear()


def provide(environment: pytest.MonkeyPatch, door: ModuleType) -> None:
    for name in NEEDED[door]:
        environment.setenv(name.upper(), VALUES.get(name.upper(), "something"))


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_a_door_needs_its_environment_and_says_in_one_sentence_what_is_missing(
    door: Any, environment: pytest.MonkeyPatch
) -> None:
    for name in NEEDED[door]:
        provide(environment, door)
        environment.delenv(name.upper())
        with pytest.raises(SettingsError) as raised:
            door.handler({"Records": []}, Context())
        assert str(raised.value).startswith(f"environment variable {name.upper()} is missing or empty: ")
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_a_door_with_its_environment_builds_one_application(door: Any, environment: pytest.MonkeyPatch) -> None:
    provide(environment, door)
    assert door.application() is door.application()


def test_without_a_canary_of_its_own_patrol_has_none(environment: pytest.MonkeyPatch) -> None:
    provide(environment, patrol)
    assert patrol.application()[1].own_canary == ""
    patrol.application.cache_clear()
    environment.setenv("CANARY_FUNCTION", "linkgate-canary")
    assert patrol.application()[1].own_canary == "linkgate-canary"


def test_a_canary_elsewhere_is_invoked_in_its_region(environment: pytest.MonkeyPatch) -> None:
    provide(environment, patrol)
    lookout = patrol.application()[1].probing
    regions = [lookout.canaries._functions(region).meta.region_name for region in ("", "us-east-2")]
    assert regions == ["eu-west-1", "us-east-2"]


IMPORT = """
import socket, sys, threading
import boto3

def forbidden(*_, **__):
    raise AssertionError("at import")

boto3.client = boto3.resource = boto3.Session = boto3.session.Session = forbidden
socket.socket.connect = socket.create_connection = socket.getaddrinfo = forbidden
import functions.approve.app, functions.sweep.app, functions.patrol.app, functions.canary.app
assert threading.active_count() == 1, threading.enumerate()
"""


def test_importing_the_doors_needs_no_environment_and_makes_no_client_thread_or_connection() -> None:
    paths = os.pathsep.join([str(ROOT), *map(str, (ROOT / "layers").iterdir())])
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], env={"PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
