"""An endpoint's health from its last probe rounds: unhealthy when three of five are bad, as the alarm counts."""

from linkgate.model import Status

ROUNDS, BAD_ROUNDS = 5, 3


def grown(recent: str, good: bool) -> str:
    """The last rounds with one more, newest last: `1` good, `0` bad."""
    return (recent + ("1" if good else "0"))[-ROUNDS:]


def status_after(status: Status, recent: str) -> Status:
    """Where an accepted endpoint stands after its last rounds."""
    if recent.count("0") >= BAD_ROUNDS and (status is Status.UNHEALTHY or recent.endswith("0")):
        return Status.UNHEALTHY
    if status is Status.ACCEPTED:
        return Status.VERIFIED if recent.endswith("1") else Status.ACCEPTED
    return Status.VERIFIED
