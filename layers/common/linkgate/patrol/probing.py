"""A look at many endpoints at once: canaries go out, and what they find side by side is diagnosed for each."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from linkgate.aws.connections import Connections
from linkgate.errors import Unavailable
from linkgate.health.causes import OPEN, UNKNOWN
from linkgate.health.diagnosis import Diagnosis, diagnose
from linkgate.health.evidence import Evidence, gather
from linkgate.health.status import grown, is_open, status_after
from linkgate.model import State, Status
from linkgate.patrol.canaries import Canaries, Found, Group, Left
from linkgate.patrol.counts import Round
from linkgate.patrol.selection import Candidate


class Seen(NamedTuple):
    """One endpoint after the probes. Without a diagnosis nobody looked; `probe_error` is one that could not look."""

    case: Candidate
    evidence: Evidence
    diagnosis: Diagnosis | None

    @property
    def known(self) -> bool:
        """Whether anybody knows how it is."""
        return self.diagnosis is not None and self.diagnosis.cause != UNKNOWN

    @property
    def healthy(self) -> bool:
        """Whether it was crossed, and nothing is wrong."""
        return self.diagnosis is not None and not self.diagnosis.cause

    @property
    def status(self) -> Status | None:
        """Where it stands after this look; None: the ledger does not know it as live."""
        known = self.case.known
        if known is None or not known.status.live:
            return None
        return status_after(known.status, self.recent) if self.known else known.status

    @property
    def unhealthy(self) -> bool:
        """Whether it counts as unhealthy: until a canary says otherwise, if one reaches it."""
        return self.status is Status.UNHEALTHY and (self.known or bool(self.case.targets))

    @property
    def recent(self) -> str:
        """The last rounds with this one, if it found anything out.

        Of a door that must be shut, the looks since one found it open: what came before are rounds of a live endpoint.
        """
        known = self.case.known
        before = known.recent if known else ""
        if not self.known:
            return before
        return grown("" if self.case.shut and known and known.cause != OPEN else before, self.healthy)

    @property
    def open(self) -> bool:
        """Whether it must stay out and has got in for long enough; where nobody found out, as before."""
        cause = self.diagnosis.cause if self.diagnosis else self.case.known.cause if self.case.known else ""
        return self.case.shut and is_open(self.recent, cause)


@dataclass(frozen=True, slots=True)
class Probing:
    """Sends canaries, and asks EC2 once more about those that look like anything but an available connection."""

    connections: Connections
    canaries: Canaries
    now: Callable[[], datetime]

    def look(self, cases: Sequence[Candidate], left: Left, seen: Round) -> list[Seen]:
        """What is wrong with whom; `seen` gets the canaries that did not come back."""
        found = self.canaries.send(_errands(cases), left)
        seen.absent |= found.absent
        gathered = [(case, self._evidence(case, found)) for case in cases]
        states = self._asked_again([case.connection.endpoint for case, evidence in gathered if evidence.doubtful])
        return [_seen(case, evidence, states) for case, evidence in gathered]

    def _evidence(self, case: Candidate, found: Found) -> Evidence:
        verdicts = {target: found.verdicts[target] for target in case.targets if target in found.verdicts}
        before = case.known.health if case.known else {}
        return gather(case.connection, verdicts, str(before.get("private_seen_at", "")), self.now())

    def _asked_again(self, endpoints: Sequence[str]) -> dict[str, State]:
        """EC2's states by now: a connection rejected a second ago is not to be blamed on a security group."""
        try:
            now = {one.endpoint: one.state for one in self.connections.named(endpoints)}
        except Unavailable:
            return {}  # what EC2 showed before the probes stands
        return {endpoint: now.get(endpoint, State.DELETED) for endpoint in endpoints}


def _errands(cases: Iterable[Candidate]) -> dict[str, list[Group]]:
    errands: dict[str, list[Group]] = {}
    for case in cases:
        if case.targets:
            errands.setdefault(case.canary, []).append(case.targets)
    return errands


def _seen(case: Candidate, evidence: Evidence, states: Mapping[str, State]) -> Seen:
    state = states.get(case.connection.endpoint, case.connection.state)
    case = replace(case, connection=replace(case.connection, state=state))
    if case.shut:
        return Seen(case, evidence, _shut(evidence) if state is State.REJECTED else None)
    if evidence.elsewhere and not (case.known and case.known.verified_at):
        # Nobody tells in which VPC an endpoint is; only one that this canary once crossed is known to be in its own.
        return Seen(case, evidence, Diagnosis(UNKNOWN, "its names lead out of its canary's VPC"))
    found = diagnose(evidence.crossings, state, case.endpoint_service.private_dns_state)
    if found.cause == UNKNOWN:
        return Seen(case, evidence, found if evidence.crossings else None)
    # Whatever a diagnosis says: nobody is healthy without a crossing.
    return Seen(case, evidence, found if found.cause or evidence.crossed else None)


def _shut(evidence: Evidence) -> Diagnosis | None:
    """Of a door that must be shut: "" where it is."""
    found = [one.verdict for one in evidence.crossings]
    first = next((one for one in found if one.cause == OPEN), None)
    if first:
        return Diagnosis(OPEN, first.detail, first)
    return Diagnosis() if found and all(one.good for one in found) else None
