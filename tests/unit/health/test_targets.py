"""Targets: probes as people write them, names as EC2 lists them, and what a canary is sent to."""

from datetime import UTC, datetime

import pytest
from linkgate.health.targets import Kind, Name, closed_targets, names_of, targets_of
from linkgate.model import Connection, State
from linkgate.policy.probes import Probe

ENDPOINT, SERVICE = "vpce-0a1b2c3d4e5f60718", "vpce-svc-0123456789abcdef0"
DOMAIN = f"{SERVICE}.eu-west-1.vpce.amazonaws.com"
REGIONAL = f"{ENDPOINT}-g5hws96k.{DOMAIN}"
ZONAL = [f"{ENDPOINT}-g5hws96k-eu-west-1{letter}.{DOMAIN}" for letter in "ab"]
PRIVATE = "api.example.com"


def connection(*names: str) -> Connection:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    return Connection(SERVICE, ENDPOINT, "222222222222", "eu-west-1", State.AVAILABLE, now, names)


# ------------------------------------------------------------------ names


def test_names_are_those_that_ec2_lists_told_apart_by_their_form() -> None:
    assert names_of(connection(REGIONAL, *ZONAL, PRIVATE)) == (
        Name(REGIONAL, Kind.REGIONAL),
        Name(ZONAL[0], Kind.ZONAL, "eu-west-1a"),
        Name(ZONAL[1], Kind.ZONAL, "eu-west-1b"),
        Name(PRIVATE, Kind.PRIVATE),
    )


@pytest.mark.parametrize(
    ("label", "zone"),
    [
        (f"{ENDPOINT}-g5hws96k", ""),
        (f"{ENDPOINT}-g5hws96k-eu-west-1a", "eu-west-1a"),
        (f"{ENDPOINT}-g5hws96k-us-west-2-lax-1a", "us-west-2-lax-1a"),
        (f"{ENDPOINT}-g5hws96k-euw1-az1", "euw1-az1"),
        ("vpce-01234567-abcdefgh", ""),
        (ENDPOINT, ""),
    ],
)
def test_a_zonal_name_has_its_zone_behind_the_suffix(label: str, zone: str) -> None:
    assert [name.zone for name in names_of(connection(f"{label}.{DOMAIN}"))] == [zone]


def test_names_are_read_in_any_case_once_each_and_without_a_dot_at_their_end() -> None:
    assert names_of(connection(f"{REGIONAL.upper()}.", REGIONAL)) == (Name(REGIONAL, Kind.REGIONAL),)


def test_a_wildcard_can_be_no_target() -> None:
    assert names_of(connection("*.example.com", "")) == ()


# ------------------------------------------------------------------ targets


def test_every_probe_of_every_name_is_a_target() -> None:
    probes = [Probe.parse("tcp://:80"), Probe.parse("https://:443/healthz")]
    urls = {target.url for target in targets_of(connection(REGIONAL, *ZONAL), probes, "")}
    assert urls == {url for name in (REGIONAL, *ZONAL) for url in (f"tcp://{name}:80", f"https://{name}:443/healthz")}


def test_the_private_name_of_the_service_is_probed_too_once() -> None:
    for listed in ((REGIONAL,), (REGIONAL, PRIVATE)):
        targets = targets_of(connection(*listed), [Probe.parse("tcp://:443")], f"{PRIVATE}.")
        assert [(target.name.text, target.name.kind) for target in targets] == [
            (REGIONAL, Kind.REGIONAL),
            (PRIVATE, Kind.PRIVATE),
        ]


def test_an_endpoint_of_which_ec2_lists_no_name_has_no_target() -> None:
    assert targets_of(connection(), [Probe.parse("tcp://:443")], PRIVATE) == ()


def test_without_probes_there_is_no_target() -> None:
    assert targets_of(connection(REGIONAL), [], PRIVATE) == ()
    assert closed_targets(connection(REGIONAL), []) == ()


@pytest.mark.parametrize(
    ("probe", "private", "server_name"),
    [
        ("tcp://:443", PRIVATE, None),
        ("tls://:443", PRIVATE, PRIVATE),
        ("http://:80", PRIVATE, PRIVATE),
        ("https://:443", PRIVATE, PRIVATE),
        ("https://:443", "", None),
        ("https://:443", "*.example.com", None),
        ("https://:443#server_name=other.example.com", PRIVATE, "other.example.com"),
        ("https://:443#server_name=one.example.com", "*.example.com", "one.example.com"),
    ],
)
def test_certificates_are_asked_for_by_the_private_name_unless_the_probe_says_otherwise(
    probe: str, private: str, server_name: str | None
) -> None:
    target = targets_of(connection(REGIONAL), [Probe.parse(probe)], private)[0]
    assert target.payload().get("server_name") == server_name


def test_a_target_is_what_the_canary_reads() -> None:
    (target,) = targets_of(connection(REGIONAL), [Probe.parse("https://:443/h#status=204&body=ok*")], "")
    assert target.payload() == {
        "endpoint_id": ENDPOINT,
        "service_id": SERVICE,
        "name": REGIONAL,
        "url": f"https://{REGIONAL}:443/h",
        "expect": "open",
        "timeout_seconds": 3,
        "expect_status": 204,
        "expect_body": "ok*",
    }


def test_whoever_must_stay_out_is_tried_by_tcp_on_the_regional_name_alone() -> None:
    probes = [Probe.parse("https://:8443/healthz#status=204"), Probe.parse("tcp://:80")]
    (target,) = closed_targets(connection(ZONAL[0], REGIONAL, PRIVATE), probes)
    assert target.payload() == {
        "endpoint_id": ENDPOINT,
        "service_id": SERVICE,
        "name": REGIONAL,
        "url": f"tcp://{REGIONAL}:8443",
        "expect": "closed",
        "timeout_seconds": 1,
    }


def test_options_never_cross_the_wire_in_the_url() -> None:
    (target,) = targets_of(connection(REGIONAL), [Probe.parse("https://:443/h#status=204&body=ok")], "")
    assert target.payload()["url"] == f"https://{REGIONAL}:443/h"
