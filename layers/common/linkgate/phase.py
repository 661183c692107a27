"""The phases of one probe: how long each took, how long it may take, and what ended them."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field


class Failed(Exception):
    """A phase found a cause (a key of `cause.CAUSES`), with a detail in words; it ends one probe."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause


@dataclass(slots=True)
class Clock:
    """The monotonic clock of one probe: `timeout` seconds a phase, none beyond `deadline`; `phases` in milliseconds."""

    timeout: float
    deadline: float
    phases: dict[str, float] = field(default_factory=dict)
    until: float = 0.0

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what happens inside, and give it a timeout of its own."""
        start = time.monotonic()
        self.until = min(start + self.timeout, self.deadline)
        try:
            yield
        finally:
            self.phases[name] = round((time.monotonic() - start) * 1000, 3)

    def left(self) -> float:
        """Seconds left of the phase; raises TimeoutError where there are none."""
        if (seconds := self.until - time.monotonic()) <= 0:
            raise TimeoutError
        return seconds

    @property
    def over(self) -> bool:
        """Whether the whole run is out of time, so that what fails now says nothing about the other side."""
        return time.monotonic() >= self.deadline
