"""What is typed, and what becomes of it: subjects, times, and where `wait` ends."""

from dataclasses import replace

import pytest
from linkgate.health.targets import Kind, Name, Target
from linkgate.health.verdict import Verdict
from linkgate.model import Status
from linkgate.policy.probes import Probe
from linkgate_cli.commands.probe import line
from linkgate_cli.commands.wait import lost, seconds, stands
from linkgate_cli.failures import Failure
from linkgate_cli.subjects import endpoint, service, subject

from tests.unit.cli.views import ENDPOINT, SERVICE, record
from tests.world import CONSUMER


def test_an_endpoint_and_an_account_are_taken_as_they_are() -> None:
    assert subject(f" {ENDPOINT} ") == ENDPOINT
    assert subject(CONSUMER) == CONSUMER
    assert endpoint(ENDPOINT) == ENDPOINT


@pytest.mark.parametrize("word", ["2222-2222-2222", "arn:aws:iam::222222222222:root", "22222222-2222"])
def test_an_account_in_another_form_is_asked_back(word: str) -> None:
    with pytest.raises(Failure, match="did you mean 222222222222\\?"):
        subject(word)


@pytest.mark.parametrize("word", ["", "2222", "vpce-svc-00000000000000001", "vpce-xyz", "everybody"])
def test_other_words_are_refused(word: str) -> None:
    with pytest.raises(Failure, match="is neither an endpoint such as vpce-0123456789abcdef0 nor a 12-digit account"):
        subject(word)


def test_a_service_is_named_by_its_id_or_its_name() -> None:
    assert service(SERVICE) == SERVICE
    assert service(f"com.amazonaws.vpce.eu-west-1.{SERVICE}") == SERVICE
    for word in ("*", "shop", ENDPOINT, f"{SERVICE} x"):
        with pytest.raises(Failure, match="is no endpoint service"):
            service(word)


@pytest.mark.parametrize(("text", "value"), [("90", 90), ("90s", 90), ("10m", 600), ("1h", 3600)])
def test_a_time_is_seconds(text: str, value: int) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "m", "10 m", "-1", "1d", "1e3"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Failure, match="expected 90s, 10m or 1h"):
        seconds(text)


def test_waiting_ends_where_every_endpoint_is_let_in_or_has_been_crossed() -> None:
    accepted, verified, held = (record(status) for status in (Status.ACCEPTED, Status.VERIFIED, Status.HELD))
    assert stands([accepted, verified], "accepted")
    assert not stands([accepted, verified], "verified")
    assert stands([verified], "verified")
    assert not stands([verified, held], "accepted")
    assert not stands([], "accepted")


def test_waiting_is_in_vain_once_it_is_rejected_cut_or_gone_unless_it_is_being_accepted_again() -> None:
    for status in (Status.REJECTED, Status.CUT, Status.CLOSED):
        assert lost(record(status))
    assert not lost(record(Status.HELD))
    assert not lost(replace(record(Status.REJECTED, outcome="accept"), settled=False))


def test_a_bar_has_a_part_for_each_phase_and_says_what_is_wrong() -> None:
    target = Target(ENDPOINT, SERVICE, Name("n", Kind.REGIONAL), Probe("tcp://:443"))
    phases = {"dns": 1.0, "tcp": 3.0, "total": 4.0}
    text = line(Verdict(target, "10.2.1.4", "tcp_refused", "10.2.1.4:443: refused", phases), 8.0).plain
    assert text.splitlines()[0].split() == ["10.2.1.4", "▇" * 12, "dns", "1,", "tcp", "3,", "total", "4", "ms"]
    assert text.splitlines()[1].strip() == "tcp_refused: 10.2.1.4:443: refused"


def test_what_was_never_probed_has_no_bar() -> None:
    target = Target(ENDPOINT, SERVICE, Name("n", Kind.REGIONAL), Probe("tcp://:443"))
    assert "▇" not in line(Verdict(target, cause="dns_not_found", detail="n"), 1.0).plain
