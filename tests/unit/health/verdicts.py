"""Verdicts on an endpoint in two zones, and ways to spoil them."""

from collections.abc import Sequence
from dataclasses import replace

from linkgate.health.diagnosis import Diagnosis, diagnose
from linkgate.health.targets import Kind, Name, Target
from linkgate.health.verdict import Verdict
from linkgate.model import State
from linkgate.policy.probes import Probe

A, B, ELSEWHERE = "10.2.1.4", "10.2.2.4", "10.2.9.9"
ZONES = {A: "eu-west-1a", B: "eu-west-1b"}
REGIONAL, PRIVATE = "vpce-1-x.vpce-svc-1.eu-west-1.vpce.amazonaws.com", "hello.example.com"
PORTS = {"http": 80, "https": 443}
UNKNOWN = "cause_of_a_newer_canary"


def one(
    kind: Kind, address: str, cause: str = "", scheme: str = "http", retransmits: int = 0, detail: str = ""
) -> Verdict:
    """A verdict of the name of this kind; that of a zonal name belongs to its address."""
    names = {Kind.REGIONAL: REGIONAL, Kind.PRIVATE: PRIVATE, Kind.ZONAL: f"zone{address[5:6]}.{REGIONAL}"}
    name = Name(names[kind], kind, ZONES[address] if kind is Kind.ZONAL else "")
    return Verdict(
        Target("vpce-1", "vpce-svc-1", name, Probe(f"{scheme}://:{PORTS[scheme]}/")),
        address="" if cause.startswith("dns_") and cause != "dns_unexpected_address" else address,
        cause=cause,
        detail=detail or (f"{cause} at {address}" if cause else ""),
        retransmits=retransmits,
    )


def everything(private: bool = True) -> list[Verdict]:
    """All names at both addresses, over HTTP and HTTPS, and all is well."""
    kinds = [Kind.REGIONAL, Kind.ZONAL, *([Kind.PRIVATE] if private else [])]
    return [one(kind, address, "", scheme) for kind in kinds for address in (A, B) for scheme in PORTS]


def spoilt(verdicts: Sequence[Verdict], cause: str, **where: object) -> list[Verdict]:
    """The same verdicts, but those at an address, of a kind or over a scheme fail with a cause."""
    traits = {
        "address": lambda c: c.address,
        "kind": lambda c: c.target.name.kind,
        "scheme": lambda c: c.target.probe.scheme,
    }

    def is_meant(verdict: Verdict) -> bool:
        return verdict.good and all(str(traits[trait](verdict)) == str(value) for trait, value in where.items())

    def worse(verdict: Verdict) -> Verdict:
        scheme = verdict.target.probe.scheme
        return one(verdict.target.name.kind, verdict.address, cause, scheme, verdict.retransmits)

    return [worse(verdict) if is_meant(verdict) else verdict for verdict in verdicts]


def again(verdicts: Sequence[Verdict], packets: int) -> list[Verdict]:
    """The same verdicts, each with packets that were sent again."""
    return [replace(found, retransmits=packets) for found in verdicts]


def seen(verdicts: Sequence[Verdict], state: State = State.AVAILABLE, private_dns_state: str = "verified") -> Diagnosis:
    return diagnose(verdicts, state, private_dns_state)


def causes(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    found = seen(verdicts)
    return (found.cause, *found.also)
