"""A question to AWS: what it asks, what Linkgate assumes, what it needs and costs, and how it is answered."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import boto3
from botocore.exceptions import ClientError

from lab.harness.deploy import Deployed

POLL_SECONDS = 2
"""Between two looks at something that AWS takes its time for."""


class Needs(IntEnum):
    """What there must be before a question can be asked, the cheapest first."""

    NOTHING = 0
    STACKS = 1
    SECOND_ACCOUNT = 2


@dataclass(frozen=True)
class Answer:
    """What was seen, in one line; `right` is whether what Linkgate assumes holds, None where nobody can tell."""

    seen: str
    right: bool | None = None


Ask = Callable[["Account"], Answer]
CANNOT_TELL = Answer("the lab cannot tell")


@dataclass(frozen=True)
class Question:
    """One question; `minutes` is how long it takes on AWS, `dollars` what it costs beside the stacks."""

    name: str
    asks: str
    assumed: str
    needs: Needs
    minutes: float
    dollars: float
    in_lab: bool
    ask: Ask


QUESTIONS: dict[str, Question] = {}
"""Every question by its name, in the order of asking."""


def question(
    assumed: str, needs: Needs = Needs.NOTHING, minutes: float = 0.1, dollars: float = 0.0, in_lab: bool = False
) -> Callable[[Ask], Ask]:
    """Make a question of a function: its docstring asks, its name with dashes is the question's.

    `in_lab`: the lab imitates what is asked for, so that the question can be tried there.
    """

    def enter(ask: Ask) -> Ask:
        name = ask.__name__.replace("_", "-")
        asks = " ".join(str(ask.__doc__).split())
        QUESTIONS[name] = Question(name, asks, assumed, needs, minutes, dollars, in_lab, ask)
        return ask

    return enter


@dataclass
class Account:
    """The caller's account and Region, what this run made there, and what AWS said that is worth keeping.

    `name` begins the name of everything that is made. `lab` is whether it is no AWS at all.
    """

    session: boto3.Session
    number: str
    name: str
    lab: bool = False
    second: boto3.Session | None = None
    deployed: Deployed | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each stack took to come and to go."""
    samples: dict[str, Any] = field(default_factory=dict)
    """What AWS sent, by the name of its file."""
    left: list[str] = field(default_factory=list)
    """What could not be removed, and why."""
    cache: dict[str, Any] = field(default_factory=dict)
    """What several questions read and one made."""
    _removal: ExitStack = field(default_factory=ExitStack)

    @property
    def region(self) -> str:
        return str(self.session.region_name)

    def client(self, service: str) -> Any:
        """A client of the caller."""
        return self.session.client(service)  # type: ignore[call-overload]

    @contextmanager
    def place(self) -> Iterator[None]:
        """What is made within is removed at its end, the last thing first, however it ends."""
        outer, self._removal = self._removal, ExitStack()
        try:
            with self._removal:
                yield
        finally:
            self._removal = outer

    def made(self, what: str, remove: Callable[[], object]) -> None:
        """Something was made, or is about to be; `remove` is called at the end and may find it gone."""

        def removed() -> None:
            try:
                remove()
            except Exception as error:
                if not gone(error):
                    self.left.append(f"{what}: {error}")

        self._removal.callback(removed)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` returns, made once a run."""
        if name not in self.cache:
            self.cache[name] = make()
        return self.cache[name]

    def keep(self, name: str, sample: Any) -> None:
        """Remember what AWS sent."""
        self.samples[name] = sample

    def until(self, look: Callable[[], Any], seconds: float = 300) -> Any:
        """The first true answer of `look`, or the last one."""
        deadline = time.monotonic() + (min(seconds, 20) if self.lab else seconds)
        while not (found := look()) and time.monotonic() < deadline:
            time.sleep(0.1 if self.lab else POLL_SECONDS)
        return found

    def pause(self, seconds: float) -> None:
        """Let time pass, on AWS: the lab's passes faster than it can be awaited."""
        time.sleep(0.1 if self.lab else seconds)


def gone(error: Exception) -> bool:
    """Whether AWS says that something does not exist (any more)."""
    code = str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""
    return bool(re.search(r"NotFound|NoSuch|NonExistent|ResourceNotFound|does not exist", code + str(error)))


def tried(call: Callable[[], Any]) -> str:
    """The code with which AWS refuses; empty if it does what it is asked for."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def taken(call: Callable[[], Any]) -> Answer:
    """Whether AWS takes a call."""
    code = tried(call)
    return Answer(f"refused: {code}" if code else "taken", not code)
