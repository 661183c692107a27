"""Verdicts side by side: a dead zone, lost packets, a private name, and which of several faults comes first."""

import pytest
from linkgate.health.targets import Kind
from linkgate.health.verdict import Verdict

from tests.unit.health.verdicts import (
    ELSEWHERE,
    PORTS,
    A,
    B,
    again,
    causes,
    everything,
    one,
    seen,
    spoilt,
)

WELL, OWN = everything(), everything(private=False)
ONLY_PRIVATE = [verdict for verdict in WELL if verdict.private]
ZONE_DEAD = spoilt(WELL, "tcp_timeout", address=A)
NO_PRIVATE = spoilt(WELL, "dns_not_found", kind=Kind.PRIVATE)
LOSSY = spoilt(WELL, "tcp_timeout", kind=Kind.ZONAL)
PORT_DEAD = spoilt(WELL, "tcp_timeout", scheme="https")
STRANGER = [one(Kind.PRIVATE, ELSEWHERE, "", scheme) for scheme in PORTS]
HANGS = [one(Kind.REGIONAL, A, "tls_timeout", "https", retransmits=1), one(Kind.ZONAL, B, "http_timeout")]
SLOW = spoilt(WELL, "http_timeout")
CASES = {
    "both zones dead": (spoilt(ZONE_DEAD, "tcp_timeout"), "tcp_timeout"),
    "a dead zone, by the private name alone": (spoilt(ONLY_PRIVATE, "tcp_timeout", address=A), "zone_unreachable"),
    "a stranger answers under the private name": ([*spoilt(OWN, "tcp_timeout"), *STRANGER], "tcp_timeout"),
    "no zone to compare with": (spoilt([it for it in WELL if it.address == A], "tcp_timeout"), "tcp_timeout"),
    "a port that no zone answers": (spoilt(PORT_DEAD, "tcp_refused", address=A), "tcp_timeout tcp_refused"),
    "a dead zone beside a reset": (spoilt(ZONE_DEAD, "tcp_refused"), "tcp_refused zone_unreachable"),
    "a dead zone beside silence": (spoilt(ZONE_DEAD, "http_timeout"), "http_timeout zone_unreachable"),
    "a dead zone beside a status": (spoilt(ZONE_DEAD, "http_status"), "http_status zone_unreachable"),
    "a dead zone beside a certificate": (
        spoilt(ZONE_DEAD, "tls_expired", scheme="https"),
        "tls_expired zone_unreachable",
    ),
    "a hang where another works makes every silence loss": ([*HANGS, *WELL], "packet_loss"),
    "sent again, never answered": (again(spoilt(WELL, "tcp_timeout"), 2), "tcp_timeout"),
    "sent again, always reset": (again(spoilt(WELL, "tcp_refused"), 1), "tcp_refused"),
    "loss beside a reset": (spoilt(LOSSY, "tcp_refused"), "tcp_refused packet_loss"),
    "loss beside a status": (spoilt(LOSSY, "http_status"), "http_status packet_loss"),
    "a hang of a service that never answers": ([*again(SLOW[:1], 1), *SLOW[1:]], "http_timeout packet_loss"),
    "loss of everything": (spoilt(again(NO_PRIVATE, 2), "http_timeout"), "packet_loss private_name_missing"),
    "a reset of a packet sent again": (spoilt(again(ZONE_DEAD, 1), "tcp_refused"), "tcp_refused packet_loss"),
    "the private name drops": ([*OWN, one(Kind.PRIVATE, ELSEWHERE, "tcp_timeout")], "private_name_missing"),
    "the private name resets": ([*OWN, one(Kind.PRIVATE, ELSEWHERE, "tcp_refused")], "private_name_missing"),
    "the private name is another's": (
        [*OWN, one(Kind.PRIVATE, ELSEWHERE, "tls_name_mismatch", "https")],
        "private_name_missing",
    ),
    "the resolver is silent": (spoilt(WELL, "dns_timeout", kind=Kind.PRIVATE), "dns_timeout"),
    "no name but the private one": (spoilt(ONLY_PRIVATE, "dns_not_found"), "dns_not_found"),
    "no private name, all dropped": (spoilt(NO_PRIVATE, "tcp_timeout"), "tcp_timeout private_name_missing"),
    "no private name, all reset": (spoilt(NO_PRIVATE, "tcp_refused"), "tcp_refused private_name_missing"),
    "no private name, a bad status": (spoilt(NO_PRIVATE, "http_status"), "http_status private_name_missing"),
    "no private name, a dead zone": (
        spoilt(NO_PRIVATE, "tcp_timeout", address=A),
        "private_name_missing zone_unreachable",
    ),
    "the earlier phase": (
        spoilt(spoilt(WELL, "tls_expired", scheme="https"), "http_status"),
        "tls_expired http_status",
    ),
}


@pytest.mark.parametrize(("verdicts", "expected"), CASES.values(), ids=CASES)
def test_of_several_faults_the_one_that_stops_everybody_comes_first(verdicts: list[Verdict], expected: str) -> None:
    assert causes(verdicts) == tuple(expected.split())


@pytest.mark.parametrize(
    ("cause", "where", "expected", "evidence"),
    [
        ("tcp_refused", {"scheme": "https"}, "tcp_refused", "6 of 12 probes, only on port 443"),
        ("tcp_timeout", {"scheme": "https"}, "tcp_timeout", "6 of 12 probes, only on port 443"),
        ("http_status", {"address": B}, "http_status", f"6 of 12 probes, only at {B} (eu-west-1b)"),
        ("tcp_refused", {"address": A}, "tcp_refused", f"6 of 12 probes, only at {A} (eu-west-1a)"),
        ("tcp_timeout", {"address": A}, "zone_unreachable", f"6 of 12 probes, only at {A} (eu-west-1a)"),
        (
            "tcp_timeout",
            {"address": A, "scheme": "https"},
            "zone_unreachable",
            f"3 of 12 probes, only at {A} (eu-west-1a) on port 443",
        ),
        ("tcp_timeout", {}, "tcp_timeout", "12 of 12 probes"),
    ],
)
def test_the_evidence_says_where_alone_a_cause_is_seen(
    cause: str, where: dict[str, str], expected: str, evidence: str
) -> None:
    address = where.get("address", A)
    found = seen(spoilt(WELL, cause, **where))
    assert (found.cause, found.also, found.evidence) == (expected, (), f"{evidence}: {cause} at {address}")
    assert found.verdict is not None
    assert found.verdict.address == address


def test_an_address_that_answers_under_one_name_and_not_under_another_is_no_dead_zone() -> None:
    lost = spoilt(everything(), "tcp_timeout", address=A, kind=Kind.ZONAL)
    found = seen(lost)
    assert (found.cause, found.also) == ("packet_loss", ())
    assert "0 packets sent again" in found.evidence


def test_packets_sent_again_elsewhere_tell_loss_from_a_dead_zone() -> None:
    lost = spoilt(again(everything(), 2), "tcp_timeout", address=A)
    assert causes(lost) == ("packet_loss",)
    assert "24 packets sent again" in seen(lost).evidence


def test_a_packet_sent_again_now_and_then_is_no_loss() -> None:
    first, *rest = [verdict for verdict in everything() if verdict.address == B]
    dead = [verdict for verdict in spoilt(everything(), "tcp_timeout", address=A) if not verdict.good]
    assert causes([*again([first], 1), *rest, *dead]) == ("zone_unreachable",)


def test_of_many_verdicts_a_quarter_must_have_sent_packets_again() -> None:
    dead = spoilt(everything(), "tcp_timeout", address=A, scheme="https")
    bad, good = ([one for one in dead if one.good is well] for well in (False, True))
    assert causes([*bad, *again(good[:2], 1), *good[2:]]) == ("zone_unreachable",)
    assert causes([*bad, *again(good[:3], 1), *good[3:]]) == ("packet_loss",)


def test_of_few_verdicts_one_alone_says_nothing_unless_it_is_the_only_one() -> None:
    regional = [verdict for verdict in everything() if verdict.target.name.kind is Kind.REGIONAL]
    *dead, first, second = spoilt(regional, "tcp_timeout", address=A)
    assert causes([*dead, *again([first], 2), second]) == ("zone_unreachable",)
    assert causes([*dead[:1], *again([first], 2)]) == ("packet_loss",)


@pytest.mark.parametrize("cause", ["tls_timeout", "http_timeout"])
def test_a_connection_that_hangs_after_packets_were_sent_again_is_loss(cause: str) -> None:
    slow = spoilt(everything(), cause, scheme="https", kind=Kind.PRIVATE)
    assert causes(slow) == (cause,)
    hangs = [*again([verdict for verdict in slow if not verdict.good], 3), *everything()]
    assert causes(hangs) == ("packet_loss",)
