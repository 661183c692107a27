"""Probing many endpoints at once: canaries are invoked, and each endpoint gets one diagnosis of what they found."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from linkgate.aws.connections import Connections
from linkgate.errors import Unavailable
from linkgate.health.causes import UNKNOWN
from linkgate.health.diagnosis import Diagnosis, diagnose, diagnose_closed
from linkgate.health.evidence import Evidence, gather
from linkgate.health.status import forgotten
from linkgate.model import Connection, State, Status
from linkgate.patrol.assessment import Assessment
from linkgate.patrol.canaries import Canaries, Group
from linkgate.patrol.run import Run
from linkgate.patrol.selection import Candidate


@dataclass(frozen=True, slots=True)
class Probing:
    """Invokes canaries, and asks EC2 once more about those that look like anything but an available connection."""

    connections: Connections
    canaries: Canaries
    now: Callable[[], datetime]

    def assess(self, candidates: Sequence[Candidate], run: Run) -> list[Assessment]:
        """What is wrong with each; `run` gets the canaries that gave no verdicts."""
        jobs = defaultdict[str, list[Group]](list)
        for one in candidates:
            if one.targets:
                jobs[one.canary].append(one.targets)
        verdicts, absent = self.canaries.probe(jobs, run.left)
        run.absent |= absent
        evidence = {}
        for one in candidates:
            seen_at = str(one.known.health.get("private_seen_at", "")) if one.known else ""
            endpoint = one.connection.endpoint
            evidence[endpoint] = gather(one.connection, verdicts.get(endpoint, ()), seen_at, self.now())
        states = self._states([one.connection for one in candidates if evidence[one.connection.endpoint].doubtful])
        return [_assessed(one, evidence[one.connection.endpoint], states, self.now()) for one in candidates]

    def _states(self, doubtful: Sequence[Connection]) -> dict[str, State]:
        """EC2's states by now: a connection rejected a second ago is not to be blamed on a security group."""
        accounts, services = {one.endpoint: one.account for one in doubtful}, {one.service for one in doubtful}
        try:
            now = {one.endpoint: one.state for one in self.connections.named(accounts, services)}
        except Unavailable:
            return {}  # what EC2 showed before the probes stands
        return {endpoint: now.get(endpoint, State.DELETED) for endpoint in accounts}


def _assessed(candidate: Candidate, evidence: Evidence, states: dict[str, State], now: datetime) -> Assessment:
    state = states.get(candidate.connection.endpoint, candidate.connection.state)
    if candidate.closed:
        diagnosis = diagnose_closed(evidence.verdicts if state is State.REJECTED else ())
    elif evidence.elsewhere and not candidate.crossed:
        # EC2 tells no VPC of an endpoint; only one that this canary once verified is known to be in the canary's own.
        diagnosis = Diagnosis(
            UNKNOWN, f"its names lead out of the VPC of its canary {candidate.canary}, which never crossed it"
        )
    else:
        stranger = "" if candidate.crossed else candidate.canary
        diagnosis = diagnose(evidence.verdicts, state, candidate.private_dns_state, stranger)
        if not diagnosis.conclusive and not evidence.verdicts:
            diagnosis = Diagnosis(UNKNOWN, candidate.unreached)
    known, unknown = candidate.known, not (candidate.closed or diagnosis.conclusive)
    if known is None or not unknown:
        return Assessment(candidate, evidence, diagnosis)
    lost = not candidate.canary and known.status in (Status.VERIFIED, Status.UNHEALTHY)
    return Assessment(
        candidate, evidence, diagnosis, lost or forgotten(known.status, known.health, now, bool(candidate.targets))
    )
