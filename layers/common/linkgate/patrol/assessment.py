"""What a run makes of one endpoint: where it stands after the last five rounds."""

from dataclasses import dataclass

from linkgate.health.causes import OPEN
from linkgate.health.diagnosis import Diagnosis
from linkgate.health.evidence import Evidence
from linkgate.health.status import grown, is_open, status_after
from linkgate.model import Status
from linkgate.patrol.selection import Candidate


@dataclass(frozen=True, slots=True)
class Assessment:
    """One endpoint after the probes."""

    candidate: Candidate
    evidence: Evidence
    diagnosis: Diagnosis
    forgotten: bool = False
    """It was verified so long ago, and nobody has found anything out since, that it is so no more."""

    @property
    def healthy(self) -> bool:
        """Whether it was probed, and nothing is wrong."""
        return not self.diagnosis.cause

    @property
    def recent(self) -> str:
        """The last rounds with this one, if it found anything out.

        Of an endpoint that must stay out, those since one found it open: before that it was live.
        """
        before = "" if self.forgotten else self.candidate.recent
        if not self.diagnosis.conclusive:
            return before
        return grown("" if self.candidate.closed and self.candidate.cause != OPEN else before, self.healthy)

    @property
    def status(self) -> Status | None:
        """Where it stands after this round; None: the ledger does not know it."""
        known = self.candidate.known
        if self.forgotten:
            return Status.ACCEPTED
        if known is None or not known.status.live or not self.diagnosis.conclusive:
            return known.status if known else None
        return status_after(known.status, self.recent)

    @property
    def unprobed(self) -> bool:
        """Whether nobody knows how it is, although it is let in."""
        return not self.candidate.closed and not self.diagnosis.conclusive

    @property
    def probed(self) -> bool:
        """Whether it is let in, and probes found something out."""
        return not self.candidate.closed and self.diagnosis.conclusive and self.evidence.probed

    @property
    def left_out(self) -> str:
        """The addresses that its canary cannot cross, in words; where nobody found out, as before."""
        return self.evidence.left_out if self.evidence.probed else self.candidate.left_out

    @property
    def unhealthy(self) -> bool:
        """Whether it counts as unhealthy: until a canary says otherwise, if one reaches it."""
        reached = self.diagnosis.conclusive or bool(self.candidate.targets)
        return self.status is Status.UNHEALTHY and reached

    @property
    def open(self) -> bool:
        """Whether it must stay out and has got in for long enough; where nobody found out, as before."""
        cause = self.diagnosis.cause if self.diagnosis.conclusive else self.candidate.cause
        return self.candidate.closed and is_open(self.recent, cause)
