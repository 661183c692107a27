"""Why an endpoint does not answer: one cause from the verdicts on all its names and addresses. Pure functions."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from linkgate.health.causes import OPEN, RANK, SILENT, STRANGER, UNKNOWN
from linkgate.health.targets import Kind
from linkgate.health.verdict import Verdict
from linkgate.model import State

STATES = {
    State.PENDING_ACCEPTANCE: "connection_pending",
    State.PENDING: "connection_pending",
    State.REJECTED: "connection_rejected",
    **{state: "endpoint_deleted" for state in State if state.gone},
}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One cause (a key of `causes.CAUSES`, "" is healthy) with its evidence in one sentence.

    `verdict` is the one that shows it, `also` are other causes that are to be seen beside it, each with its evidence in
    `beside`.
    """

    cause: str = ""
    evidence: str = ""
    verdict: Verdict | None = None
    also: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def conclusive(self) -> bool:
        """Whether anybody knows how the endpoint is."""
        return self.cause != UNKNOWN


def diagnose(verdicts: Iterable[Verdict], state: State, private_dns_state: str = "", stranger: str = "") -> Diagnosis:
    """What is wrong with one endpoint that is let in.

    `state` is what EC2 shows of the connection after the probes, `private_dns_state` that of the service's private name
    ("" where it has none). The state comes first, then what stops every probe that gets that far, then what stops some;
    among equals, the earlier phase. Without a single probe that took place the cause is `probe_error`, which blames
    nobody. `stranger` is the canary if it never crossed this endpoint: where nothing answers it, they may not be in one
    VPC, which comes before any security group.
    """
    known = sorted(verdicts, key=lambda one: (list(Kind).index(one.target.name.kind), repr(one)))
    usable = [one for one in known if one.good or one.cause in RANK]
    if state in STATES:
        bad = next((one for one in usable if not one.good), None)
        return Diagnosis(STATES[state], f"EC2 shows the connection as {state}", bad)
    if usable:
        return _Comparison(usable, private_dns_state, stranger).diagnosis()
    return Diagnosis(UNKNOWN, known[0].detail, known[0]) if known else Diagnosis(UNKNOWN, "nothing was probed")


def diagnose_closed(verdicts: Sequence[Verdict]) -> Diagnosis:
    """Whether an endpoint that must stay out gets in: `unexpectedly_open`, or healthy where it does not."""
    opened = next((one for one in verdicts if one.cause == OPEN), None)
    if opened:
        return Diagnosis(OPEN, opened.detail, opened)
    return Diagnosis() if verdicts and all(one.good for one in verdicts) else Diagnosis(UNKNOWN)


class _Comparison:
    """All verdicts on an available endpoint side by side, and the cause that each stands for among the others."""

    def __init__(self, verdicts: Sequence[Verdict], private_dns_state: str, stranger: str) -> None:
        self._verdicts = verdicts
        self._stranger = stranger
        self._unverified = private_dns_state.lower() not in ("", "verified")
        resolved = [one for one in verdicts if one.rank >= RANK["tcp_timeout"]]
        self._own = {one.address for one in resolved if not one.private}
        self._addresses = self._own or {one.address for one in resolved}
        self._answering = {one.socket for one in verdicts if one.answered}
        self._zones = {one.address: one.zone for one in verdicts if one.zone}
        self._lossy = self._is_lossy()
        self._found = [(one, self._cause(one)) for one in verdicts]

    def diagnosis(self) -> Diagnosis:
        causes = {cause for _, cause in self._found if cause}
        found = sorted(causes, key=lambda cause: (not self._stops_everybody(cause), RANK[cause]))
        if not found:
            return Diagnosis()
        cause, *others = found
        evidence, also, beside = self._evidence(cause), tuple(others), tuple(map(self._evidence, others))
        shown = self._showing(cause)[0]
        if self._stranger and cause == "tcp_timeout" and not self._answering:
            said = f"canary {self._stranger} never crossed it; {evidence}"
            return Diagnosis(STRANGER, said, shown, also, beside)
        return Diagnosis(cause, evidence, shown, also, beside)

    def _showing(self, cause: str) -> list[Verdict]:
        return [one for one, other in self._found if other == cause]

    def _is_lossy(self) -> bool:
        """Whether a port of an address answers some and not others, or a quarter of the answered sent packets again.

        Of several, one alone may have: that happens.
        """
        answered = [one for one in self._verdicts if one.answered]
        again = [one for one in answered if one.retransmits]
        if len(again) >= max(min(2, len(answered)), len(answered) / 4, 1):
            return True
        good = {one.socket for one in answered if one.good}
        return any(
            one.socket in (self._answering if one.cause == "tcp_timeout" else good)
            for one in self._verdicts
            if one.cause == "tcp_timeout" or one.hangs
        )

    def _cause(self, one: Verdict) -> str:
        if one.good:
            return ""
        misled = one.cause in ("dns_not_found", "dns_unexpected_address") or one.address not in {"", *self._own}
        if one.private and self._own and misled:
            return "private_name_unverified" if self._unverified else "private_name_missing"
        if one.cause in SILENT and (self._lossy or one.hangs):
            return "packet_loss"
        # An endpoint's security groups are those of all its zones, so what one of them takes, none stops there.
        port = one.target.probe.port
        if one.cause == "tcp_timeout" and any((other, port) in self._answering for other in self._addresses):
            return "zone_unreachable"
        return one.cause

    def _arrived(self, cause: str) -> list[Verdict]:
        """The verdicts of probes that got as far as to tell whether a cause holds for them."""
        least = min(one.rank for one in self._showing(cause))
        return [one for one in self._verdicts if one.tries(cause) and one.rank >= least]

    def _stops_everybody(self, cause: str) -> bool:
        """Whether all that got that far failed so, or may have been stopped there by lost packets alone."""
        return all(cause in (one.cause, self._cause(one)) for one in self._arrived(cause))

    def _evidence(self, cause: str) -> str:
        """How many probes show it, where alone, and what the first of them found."""
        showing, arrived = self._showing(cause), self._arrived(cause)
        rest = [one for one in arrived if one not in showing]
        traits = (("at", self._place), ("on port", _port), ("at", self._socket))
        words = [
            f"{len(showing)} of {len(arrived)} probes",
            next(filter(None, (_only(word, showing, rest, trait) for word, trait in traits)), ""),
            _only("under", showing, rest, lambda one: one.target.name.text),
            f"{sum(one.retransmits for one in self._verdicts)} packets sent again" if cause == "packet_loss" else "",
        ]
        return f"{', '.join(filter(None, words))}: {showing[0].detail}"

    def _place(self, one: Verdict) -> str:
        return f"{one.address} ({self._zones[one.address]})" if one.address in self._zones else one.address

    def _socket(self, one: Verdict) -> str:
        return f"{self._place(one)} on port {_port(one)}" if one.address else ""


def _port(one: Verdict) -> str:
    return str(one.target.probe.port) if one.address else ""


def _only(word: str, showing: Sequence[Verdict], rest: Sequence[Verdict], trait: Callable[[Verdict], str]) -> str:
    """In words what those that show a cause have in common and the others lack; "" if there is no such trait."""
    mine, others = {trait(one) for one in showing}, {trait(one) for one in rest}
    apart = bool(others - {""}) and not mine & others and "" not in mine
    return f"only {word} {' and '.join(sorted(mine))}" if apart else ""
