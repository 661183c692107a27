"""Faults by name: what each breaks in the demo's stack, and what a client in the consumer VPC then sees.

The symptoms are those that AWS documents or that follow from it; tests/integration/test_faults.py holds the namespaces
plane to them with curl and getent, tests/integration/test_canary.py the canary to the causes.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lab.harness.dataplane import DataPlane
from lab.harness.process import LabError, LabProcess
from lab.network.namespaces import certificates, plane, rules
from lab.story import sabotage
from lab.story.sabotage import DemoStack, Memory


class Fault(NamedTuple):
    """One fault. Without `inject` and `repair` the data plane makes it; else AWS's own APIs do.

    `cause` is what the canary must report: from inside the VPC, faults with the same one look the same. `beside` are
    the causes that probes without TLS meet of the same fault.
    """

    what: str
    symptom: str
    cause: str
    inject: Callable[[DemoStack], Memory] | None = None
    repair: Callable[[DemoStack, Memory], None] | None = None
    beside: tuple[str, ...] = ()


FAULTS: Mapping[str, Fault] = {
    "connection-rejected": Fault(
        "the provider rejects the live connection",
        "timeout",
        "connection_rejected",
        sabotage.reject_connection,
        sabotage.ask_again,
    ),
    "endpoint-deleted": Fault(
        "the consumer deletes the endpoint",
        "its names do not exist",
        "endpoint_deleted",
        sabotage.delete_endpoint,
        sabotage.replace_endpoint,
    ),
    "security-group-closed": Fault(
        "the endpoint's security group admits nobody",
        "timeout",
        "tcp_timeout",
        sabotage.close_groups,
        sabotage.open_groups,
    ),
    "private-dns-disabled": Fault(
        "the endpoint no longer uses the private name",
        "the private name does not exist, the regional one works",
        "private_name_missing",
        sabotage.disable_private_name,
        sabotage.enable_private_name,
    ),
    "listener-deleted": Fault(
        "the load balancer loses its listeners",
        "reset",
        "tcp_refused",
        sabotage.delete_listeners,
        sabotage.create_listeners,
    ),
    "targets-deregistered": Fault(
        "the target groups lose their targets",
        "reset",
        "tcp_refused",
        sabotage.deregister_targets,
        sabotage.register_targets,
    ),
    "servers-stopped": Fault(
        "both instances are stopped", "reset", "tcp_refused", sabotage.stop_servers, sabotage.start_servers
    ),
    plane.SERVER_DEAD: Fault("the instances run, but their servers do not", "reset", "tcp_refused"),
    plane.SERVER_503: Fault("the servers answer with an error", "HTTP status 503", "http_status"),
    plane.SERVER_SLOW: Fault(
        f"the servers answer after {plane.SLOW_SECONDS:g} s", "connects, then waits", "http_timeout"
    ),
    certificates.EXPIRED: Fault("the servers' certificate has expired", "TLS: expired", "tls_expired"),
    certificates.WRONG_NAME: Fault(
        "the servers' certificate is for another name", "TLS: name mismatch", "tls_name_mismatch"
    ),
    certificates.UNTRUSTED: Fault(
        "the servers' certificate is from an unknown authority", "TLS: unknown issuer", "tls_untrusted"
    ),
    certificates.CHAIN_EXPIRED: Fault("a certificate above the servers' has expired", "TLS: expired", "tls_expired"),
    plane.SERVER_WANTS_CERTIFICATE: Fault(
        "the servers demand a certificate of their clients",
        "TLS: the server's alert 116",
        "tls_client_certificate",
    ),
    plane.SERVER_RESETS: Fault(
        "the servers reset every connection that they took",
        "connects, then reset",
        "tls_closed",
        beside=("http_closed",),
    ),
    plane.SERVER_WANTS_PROXY: Fault(
        "the servers expect a header of the PROXY protocol, and the load balancer sends none",
        "connects, then the server hangs up",
        "tls_closed",
        beside=("http_closed",),
    ),
    plane.LARGE_DROPPED: Fault(
        f"packets of more than {rules.LONGEST} bytes are dropped on the way back",
        "short answers come, handshakes do not end",
        "tls_timeout",
    ),
    plane.ANSWERS_DROPPED: Fault(
        "a network ACL lets no answers back in, which come to ephemeral ports", "timeout", "tcp_timeout"
    ),
    plane.ZONE_DOWN: Fault(
        "the first Availability Zone is gone",
        "timeout at that zone's address, the other one answers",
        "zone_unreachable",
    ),
    plane.DNS_DOWN: Fault("the VPCs' DNS servers do not answer", "names cannot be resolved for now", "dns_timeout"),
    plane.PACKET_LOSS: Fault(
        f"{rules.LOSS_PERCENT} % of the endpoint's packets are lost", "slow, and timeouts", "packet_loss"
    ),
}

CONDITIONS: Mapping[str, Fault] = {
    plane.DNS64: Fault("the VPC's resolver does DNS64", "names have addresses below 64:ff9b::/96 as well", ""),
    plane.DUAL_STACK: Fault("names have addresses of both families", "those of IPv6 are unreachable", ""),
}
"""What is no fault: an endpoint is well all the same, and nothing may be reported."""
KNOWN: Mapping[str, Fault] = {**FAULTS, **CONDITIONS}

_STATES = ("endpoint-deleted", "connection-rejected")
_CERTIFICATES = (*certificates.FLAWS, plane.SERVER_WANTS_CERTIFICATE)
"""A client looks at the server's certificate before it shows its own."""
_HANDSHAKES = frozenset({*_CERTIFICATES, plane.LARGE_DROPPED})
_HANGUPS = (plane.SERVER_RESETS, plane.SERVER_WANTS_PROXY)
_ANSWERS = frozenset({*_HANDSHAKES, plane.SERVER_503, plane.SERVER_SLOW})
_RESETS = ("listener-deleted", "targets-deregistered", "servers-stopped", plane.SERVER_DEAD)
_LOSSES = (plane.ZONE_DOWN, plane.PACKET_LOSS)

HIDES: Mapping[str, frozenset[str]] = {
    **{name: frozenset(FAULTS.keys() - set(_STATES[: number + 1])) for number, name in enumerate(_STATES)},
    plane.DNS_DOWN: frozenset(FAULTS.keys() - {*_STATES, plane.DNS_DOWN}),
    "security-group-closed": frozenset({plane.ANSWERS_DROPPED, *_RESETS, *_HANGUPS, *_ANSWERS, *_LOSSES}),
    plane.ANSWERS_DROPPED: frozenset({*_RESETS, *_HANGUPS, *_ANSWERS, *_LOSSES}),
    **dict.fromkeys(_RESETS, _ANSWERS | {*_HANGUPS}),
    plane.SERVER_RESETS: _ANSWERS | {plane.SERVER_WANTS_PROXY},
    plane.SERVER_WANTS_PROXY: _ANSWERS,
    plane.LARGE_DROPPED: frozenset(_CERTIFICATES),
    **{name: frozenset(_CERTIFICATES[number + 1 :]) for number, name in enumerate(_CERTIFICATES[:-1])},
    plane.SERVER_SLOW: frozenset({plane.SERVER_503}),
    plane.PACKET_LOSS: frozenset({plane.ZONE_DOWN, plane.LARGE_DROPPED}),
}
"""The faults that cannot be seen from inside the VPC while another one is in force."""


def visible(*names: str) -> list[str]:
    """Those of the faults in force together that none of the others hides."""
    return [name for name in names if not any(name in HIDES.get(other, ()) for other in names if other != name)]


class Faults:
    """The faults of a running lab, in which the demo's stack is deployed with these outputs."""

    def __init__(self, lab: LabProcess, demo: Mapping[str, str]) -> None:
        self._stack = DemoStack(lab, demo)
        self._data_plane = DataPlane(lab.folder)
        self._notes = lab.folder / "faults.json"

    def injected(self) -> list[str]:
        """The faults that are in force."""
        return [*self._memories(), *self._data_plane.faults()]

    def waiting(self) -> bool:
        """Whether the endpoint waits to be accepted, so that nobody probes it."""
        return self._stack.waiting()

    def inject(self, name: str) -> None:
        """Put a fault in force. LabError if there is no such fault, or it cannot be had here."""
        fault = self._known(name)
        if name in self.injected():
            return
        if fault.inject is None:
            self._require_namespaces(name)
            self._data_plane.set_faults([*self._data_plane.faults(), name])
        else:
            self._remember({**self._memories(), name: fault.inject(self._stack)})

    def repair(self, name: str) -> None:
        """End a fault; nothing happens if it is not in force. LabError if there is no such fault."""
        fault, memories = self._known(name), self._memories()
        if fault.repair is None:
            self._require_namespaces(name)
            self._data_plane.set_faults([other for other in self._data_plane.faults() if other != name])
        elif name in memories:
            fault.repair(self._stack, memories.pop(name))
            self._remember(memories)

    def _known(self, name: str) -> Fault:
        if name not in KNOWN:
            raise LabError(f"there is no fault {name!r}; there are {', '.join(KNOWN)}")
        return KNOWN[name]

    def _require_namespaces(self, name: str) -> None:
        if self._data_plane.kind != "namespaces":
            raise LabError(f"{name} needs the data plane of namespaces: {self._data_plane.because}")

    def _memories(self) -> dict[str, Any]:
        """What was changed through AWS's APIs, by the fault's name."""
        return dict(json.loads(self._notes.read_text())) if self._notes.exists() else {}

    def _remember(self, memories: Mapping[str, Memory]) -> None:
        self._notes.write_text(json.dumps(memories, default=str))
