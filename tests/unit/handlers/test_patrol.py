"""The handler of patrol: rounds and visits, counted; and what the canary answers it."""

import json
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from linkgate.errors import Unavailable
from linkgate.model import State, Status
from linkgate.policy.probes import Probe
from prober.scope import Scope

from functions.canary import app as canary
from functions.patrol import app as patrol
from tests import gallery
from tests.application import SERVICE, Application
from tests.unit.handlers.scene import Context, Said, naming
from tests.unit.listeners import HOST, accepting, listening, refusing
from tests.world import CONSUMER, OTHER, endpoint_id, service_id

A, B = endpoint_id(1), endpoint_id(2)
SECOND = service_id(2)
TROUBLES = ("UnhealthyEndpoints", "UnexpectedlyOpenEndpoints", "ProbeErrors")


def test_a_round_is_counted_for_the_stack_and_for_each_service(accepted: Application, said: Said) -> None:
    accepted.world.offer(SECOND)
    patrol.handler(gallery.sample("schedule"), Context())
    wanted = {"ProbedEndpoints": 1.0} | dict.fromkeys(TROUBLES, 0.0)
    assert said.metrics() == wanted | {"DnsTime": 1.25, "TcpTime": 0.5, "TimeToVerified": 10_000}
    assert said.metrics(SERVICE) == {"UnhealthyEndpoints": 0, "TotalTime": 1.75}
    assert said.metrics(SECOND) == {"UnhealthyEndpoints": 0}
    assert said.fields(f"patrolled {SECOND}")["ProbedEndpoints"] == 0


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


def test_unhealthy_addresses_are_counted_by_zone_while_there_are_any(accepted: Application, said: Said) -> None:
    regional = accepted.world.links[A].dns_names[0]
    zonal = {zone: regional.replace("-abcdefgh.", f"-abcdefgh-{zone}.") for zone in ("eu-west-1a", "eu-west-1b")}
    accepted.world.links[A].dns_names = (regional, *zonal.values())
    patrol.handler(gallery.sample("schedule"), Context())
    assert finer(said, "Zone") == {}
    accepted.canary.causes[zonal["eu-west-1b"]] = "dns_not_found"
    patrol.handler(gallery.sample("schedule"), Context())
    assert finer(said, "Zone") == {"eu-west-1b": {"UnhealthyAddresses": 1}}


def test_the_days_of_a_certificate_are_a_metric_where_there_is_one(accepted: Application, said: Said) -> None:
    patrol.handler(gallery.sample("schedule"), Context())
    assert "CertificateDaysLeft" not in said.metrics()
    accepted.canary.extra = {"tls_days_left": 12.5}
    patrol.handler(gallery.sample("schedule"), Context())
    assert (said.metrics()["CertificateDaysLeft"], said.metrics(SERVICE)["CertificateDaysLeft"]) == (12.5, 12.5)


def test_addresses_that_the_canary_cannot_cross_are_logged_once(accepted: Application, said: Said) -> None:
    sentence = f"{A} is not probed at its IPv6 addresses, since its canary has no IPv6"
    accepted.world.links[A].ip_type = "dualstack"
    for _ in range(3):
        patrol.handler(gallery.sample("schedule"), Context())
    assert said.messages("INFO").count(sentence) == 1


def test_what_the_canary_could_not_probe_is_counted(accepted: Application, said: Said) -> None:
    accepted.canary.causes[A] = "probe_error"
    patrol.handler(gallery.sample("schedule"), Context())
    assert said.metrics() == dict.fromkeys(("ProbedEndpoints", *TROUBLES), 0) | {
        "ProbeErrors": 1,
    }
    assert said.fields("round")["UnprobedEndpoints"] == 1
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
    kind, detail = accepted.bus.published[-1]
    patrol.handler(gallery.records(json.dumps({"detail-type": kind, "detail": detail})), Context())
    assert said.metrics() == {"TimeToVerified": 10_000}
    assert accepted.known(A).status is Status.VERIFIED


def test_a_visit_by_a_canary_that_fails_is_counted_and_repeated_later(accepted: Application, said: Said) -> None:
    accepted.canary.error = Unavailable("the canary failed")
    patrol.handler(gallery.records(naming(A)), Context())
    assert said.metrics() == {"Failures": 1}
    assert len(accepted.visits.queue) == 1
    assert said.messages("ERROR") == ["could not send linkgate-own: Unavailable: the canary failed"]


@pytest.mark.parametrize("event", [gallery.records(naming(A)), gallery.sample("schedule")])
def test_a_run_that_ec2_does_not_answer_is_counted_and_tried_again(
    accepted: Application, said: Said, event: dict[str, Any]
) -> None:
    accepted.world.silence = Unavailable("no route")
    with pytest.raises(Unavailable):
        patrol.handler(event, Context())
    assert said.metrics() == {"Failures": 1}


def test_a_round_that_could_not_look_at_everything_is_counted_and_leaves_the_alarm_on_silence_alone(
    accepted: Application, said: Said
) -> None:
    accepted.world.offer(SECOND)
    accepted.world.connect(B, SECOND, state=State.AVAILABLE)
    accepted.ledger.seen(accepted.world.connection(B), Status.ACCEPTED, None, accepted.world.now)
    accepted.ledger.store.refuses[B] = Unavailable("no route")
    patrol.handler(gallery.sample("schedule"), Context())
    assert "ProbedEndpoints" not in said.metrics()
    assert (said.metrics()["Failures"], said.fields("round")["UnprobedEndpoints"]) == (1, 0)
    assert said.fields(f"patrolled {SERVICE}")["ProbedEndpoints"] == 1
    assert said.messages("ERROR") == [f"could not patrol {SECOND}: Unavailable: no route"]


def test_a_round_without_its_own_canary_leaves_the_alarm_on_silence_alone(accepted: Application, said: Said) -> None:
    accepted.canary.error = Unavailable("the canary failed")
    patrol.handler(gallery.sample("schedule"), Context())
    assert "ProbedEndpoints" not in said.metrics()
    assert (said.metrics()["Failures"], said.fields("round")["UnprobedEndpoints"]) == (1, 1)


def test_a_round_without_another_stacks_canary_is_a_round_all_the_same(accepted: Application, said: Said) -> None:
    foreign = f"arn:aws:lambda:eu-west-1:{OTHER}:function:linkgate-canary"
    accepted.allow_list.put("*", f"@canary:{CONSUMER}", function=foreign)
    accepted.canary.errors[foreign] = Unavailable("gone")
    patrol.handler(gallery.sample("schedule"), Context())
    assert said.metrics()["ProbedEndpoints"] == 0
    assert (said.metrics()["ProbeErrors"], said.fields("round")["UnprobedEndpoints"]) == (1, 1)
    assert "Failures" not in said.metrics()


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
    assert accepted.bus.published[-1][0] == "Endpoint Verified"
    assert accepted.bus.published[-1][1]["phases"].keys() == {"dns", "tcp", "total"}


def test_patrol_understands_what_the_canary_says_of_an_endpoint_that_does_not(
    accepted: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refusing() as port:
        for _ in range(3):
            patrolled(accepted, monkeypatch, port)
    assert accepted.known(A).status is Status.UNHEALTHY
    assert accepted.bus.published[-1][1]["cause"] == "tcp_refused"
