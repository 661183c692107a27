"""Why an endpoint does not answer: one cause from the verdicts of all its names and addresses. A pure function."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from linkgate.health.causes import OPEN, ORDER, RANK, SILENT, UNKNOWN
from linkgate.health.targets import Kind
from linkgate.model import State, Verdict

STATES = {
    State.PENDING_ACCEPTANCE: "connection_pending",
    State.PENDING: "connection_pending",
    State.REJECTED: "connection_rejected",
    **{state: "endpoint_deleted" for state in State if state.gone},
}
_ASTRAY = ("dns_not_found", "dns_unexpected_address")


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One verdict, and the kind of the name that was probed; `zone` is a zonal name's, as the consumer calls it."""

    verdict: Verdict
    kind: Kind = Kind.REGIONAL
    zone: str = ""

    @property
    def door(self) -> tuple[str, int | None]:
        """The address and the port that were knocked at."""
        try:
            return self.verdict.address, urlsplit(self.verdict.url).port
        except ValueError:
            return self.verdict.address, None

    @property
    def rank(self) -> int:
        """How far it got, as a place in ORDER."""
        return len(ORDER) if self.verdict.good else RANK[self.verdict.cause]

    @property
    def answered(self) -> bool:
        """Whether anything came back from the address, if only a reset."""
        return self.rank > RANK["tcp_timeout"]

    def tries(self, cause: str) -> bool:
        """Whether its probe goes through the phase that a cause belongs to."""
        needed = {"tls": ("tls", "https"), "http": ("http", "https"), "body": ("http", "https")}
        phase = cause.split("_")[0]
        return phase not in needed or self.verdict.url.split("://")[0] in needed[phase]

    @property
    def silent(self) -> bool:
        """Whether it may have been stopped by lost packets alone."""
        return self.verdict.cause in SILENT

    @property
    def hangs(self) -> bool:
        """Whether it got a connection and then sent packets again, in vain.

        Without a connection that proves nothing: nobody may be there.
        """
        return self.verdict.cause in SILENT[1:] and self.verdict.retransmits > 0


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One cause (a key of `cause.CAUSES`, "" is healthy) with its evidence in one sentence.

    `verdict` is the one that shows it, `also` are other causes that are to be seen beside it.
    """

    cause: str = ""
    evidence: str = ""
    verdict: Verdict | None = None
    also: tuple[str, ...] = ()


def diagnose(crossings: Sequence[ProbeResult], state: State, private_dns_state: str = "") -> Diagnosis:
    """What is wrong with one endpoint.

    `state` is what EC2 shows of the connection after the probes, `private_dns_state` that of the service's private name
    ("" where it has none). A closed door that is open comes first, then the state, then what stops everybody who gets
    that far, then what stops some; among equals, the earlier phase. Without a single crossing that got to try its door
    the cause is `probe_error`, which blames nobody.
    """
    known = sorted(crossings, key=lambda one: (list(Kind).index(one.kind), repr(one)))
    for one in known:
        if one.verdict.cause == OPEN:
            return Diagnosis(OPEN, one.verdict.detail, one.verdict)
    told = [one for one in known if one.verdict.good or one.verdict.cause in RANK]
    bad = [one.verdict for one in told if not one.verdict.good]
    if state in STATES:
        return Diagnosis(STATES[state], f"EC2 shows the connection as {state}", bad[0] if bad else None)
    if not told:
        verdict = known[0].verdict if known else None
        return Diagnosis(UNKNOWN, verdict.detail if verdict else "nothing was probed", verdict)
    return _Comparison(told, private_dns_state).diagnosis()


class _Comparison:
    """All crossings of an available endpoint side by side, and the cause that each stands for among the others."""

    def __init__(self, told: Sequence[ProbeResult], private_dns_state: str) -> None:
        self._told = told
        self._unverified = private_dns_state.lower() not in ("", "verified")
        entered = [one for one in told if one.rank >= RANK["tcp_timeout"]]
        self._own = {one.verdict.address for one in entered if one.kind is not Kind.PRIVATE}
        self._places = self._own or {one.verdict.address for one in entered}
        self._answering = {one.door for one in told if one.answered}
        self._zones = {one.verdict.address: one.zone for one in told if one.zone}
        self._lossy = self._is_lossy()
        self._causes = [self._cause(one) for one in told]

    def diagnosis(self) -> Diagnosis:
        found = sorted(set(self._causes) - {""}, key=lambda cause: (not self._stops_everybody(cause), RANK[cause]))
        if not found:
            return Diagnosis()
        first = self._showing(found[0])[0].verdict
        return Diagnosis(found[0], self._evidence(found[0]), first, tuple(found[1:]))

    def _showing(self, cause: str) -> list[ProbeResult]:
        return [one for one, other in zip(self._told, self._causes, strict=True) if other == cause]

    def _is_lossy(self) -> bool:
        """Whether a door answers some and not others, or a quarter of who was answered had to send packets again.

        Of several, one alone may have: that happens.
        """
        answered = [one for one in self._told if one.answered]
        again = [one for one in answered if one.verdict.retransmits]
        if len(again) >= max(min(2, len(answered)), len(answered) / 4, 1):
            return True
        open_doors = {one.door for one in answered if one.verdict.good}
        return any(
            one.door in (self._answering if one.verdict.cause == "tcp_timeout" else open_doors)
            for one in self._told
            if one.verdict.cause == "tcp_timeout" or one.hangs
        )

    def _cause(self, one: ProbeResult) -> str:
        verdict = one.verdict
        if verdict.good:
            return ""
        is_elsewhere = bool(verdict.address) and verdict.address not in self._own
        if one.kind is Kind.PRIVATE and self._own and (verdict.cause in _ASTRAY or is_elsewhere):
            return "private_name_unverified" if self._unverified else "private_name_missing"
        if one.silent and (self._lossy or one.hangs):
            return "packet_loss"
        # An endpoint's security groups are those of all its zones, so what one of them takes, none stops there.
        if verdict.cause == "tcp_timeout" and any((other, one.door[1]) in self._answering for other in self._places):
            return "zone_unreachable"
        return verdict.cause

    def _arrived(self, cause: str) -> list[ProbeResult]:
        """The crossings that got as far as to tell whether a cause holds for them."""
        return [one for one in self._told if one.tries(cause) and one.rank >= self._depth(cause)]

    def _depth(self, cause: str) -> int:
        return min(one.rank for one in self._showing(cause))

    def _stops_everybody(self, cause: str) -> bool:
        """Whether all who got that far failed so; one that only its lost packets may have stopped there counts, too."""
        return all(cause in (one.verdict.cause, self._cause(one)) for one in self._arrived(cause))

    def _evidence(self, cause: str) -> str:
        """How many crossings show it, where alone, and what the first of them said."""
        showing, arrived = self._showing(cause), self._arrived(cause)
        rest = [one for one in arrived if one not in showing]
        again = sum(one.verdict.retransmits for one in self._told)
        traits = (("at", self._place), ("on port", _port), ("at", self._door))
        words = [
            f"{len(showing)} of {len(arrived)} crossings",
            *next(filter(None, (_only(word, showing, rest, trait) for word, trait in traits)), []),
            *_only("under", showing, rest, lambda one: one.verdict.name),
            *([f"{again} packets sent again"] if cause == "packet_loss" else []),
        ]
        return f"{', '.join(words)}: {showing[0].verdict.detail}"

    def _place(self, one: ProbeResult) -> str:
        address = one.verdict.address
        return f"{address} ({self._zones[address]})" if address in self._zones else address

    def _door(self, one: ProbeResult) -> str:
        return f"{self._place(one)} on port {_port(one)}" if one.verdict.address else ""


def _port(one: ProbeResult) -> str:
    return str(one.door[1] or "") if one.verdict.address else ""


def _only(
    word: str, showing: Iterable[ProbeResult], rest: Iterable[ProbeResult], trait: Callable[[ProbeResult], str]
) -> list[str]:
    """In words what those that show a cause have in common and the others lack; nothing if there is no such trait."""
    mine, others = {trait(one) for one in showing}, {trait(one) for one in rest}
    apart = bool(others - {""}) and not mine & others and "" not in mine
    return [f"only {word} {' and '.join(sorted(mine))}"] if apart else []
