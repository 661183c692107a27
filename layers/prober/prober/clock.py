"""The clock of one probe: how long each phase took, how long it may take, and what ended it."""

import time
from dataclasses import dataclass, field
from typing import Self


class Failed(Exception):
    """A phase found a cause, with a detail in words; it ends one probe."""

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
    _name: str = ""
    _start: float = 0.0

    def phase(self, name: str) -> Self:
        """`with clock.phase("tcp"):` times what happens inside, and gives it a timeout of its own."""
        self._name, self._start = name, time.monotonic()
        self.until = min(self._start + self.timeout, self.deadline)
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.phases[self._name] = round((time.monotonic() - self._start) * 1000, 3)

    def left(self) -> float:
        """Seconds left of the phase; raises TimeoutError where there are none."""
        if (seconds := self.until - time.monotonic()) <= 0:
            raise TimeoutError
        return seconds

    @property
    def over(self) -> bool:
        """Whether the whole run is out of time, so that what fails now says nothing about the other side."""
        return time.monotonic() >= self.deadline
