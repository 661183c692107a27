"""Again, and when: every repeat that Linkgate makes by itself, in one place.

- A question that could not be answered is a bell with one attempt more; SQS holds it back by `delay`. After PATIENCE
  attempts it is left to the sweep, or to patrol's rounds; a question that EC2 throttles is asked until it is answered.
- What EC2 refuses is kept with its decision and asked again after a `pause` that grows with each refusal.
- A cut that somebody else's work on the connection held up is looked at again SOON.
"""

from datetime import timedelta

from linkgate.errors import Throttled

PATIENCE = 9
"""Delayed repeats of one question, about four minutes in all."""
THROTTLED = 2
"""The attempt (2 seconds) as which every throttled question is asked again: later ones would find no fuller calls."""
LONGEST_DELAY = 900
"""Seconds; the longest that SQS holds one message back."""
LONGEST_PAUSE = timedelta(hours=1)
SOON = timedelta(seconds=5)


def delay(attempt: int) -> int:
    """Seconds before a bell's n-th repeat: 0, 1, 2, 4 … up to what SQS allows."""
    return 0 if attempt <= 0 else int(min(2 ** min(attempt - 1, 16), LONGEST_DELAY))


def pause(tries: int) -> timedelta:
    """How long after its n-th refusal EC2 is left in peace: 2, 4, 8 … seconds, an hour at most."""
    return min(timedelta(seconds=2 ** min(tries, 12)), LONGEST_PAUSE)


def lasts(attempt: int, error: Exception | None = None) -> bool:
    """Whether a question that was repeated so often is asked once more."""
    return attempt < PATIENCE or isinstance(error, Throttled)


def following(attempt: int, error: Exception | None = None) -> int:
    """The attempt after this one."""
    return THROTTLED if isinstance(error, Throttled) else attempt + 1
