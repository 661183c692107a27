"""Linkgate on a machine that dies: a crash before or after any call to AWS, and what AWS does about it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from linkgate.events.bell import Bell

from tests.application import Application
from tests.fakes import FakeQueue
from tests.world import Killed

VISIBILITY = timedelta(seconds=360)
"""When a message comes back whose function died (template.yaml, BellQueue)."""
SCHEDULE = timedelta(seconds=300)


class Crashes:
    """Counts every call that it makes to AWS, and kills the function at one of them."""

    def __init__(self, app: Application, fatal: int = 0, after: bool = False) -> None:
        self.calls: list[str] = []
        self._fatal, self._after = fatal, after
        self.armed = True
        edges: dict[Any, tuple[str, ...]] = {
            app.services: ("managed", "ensure_notifications"),
            app.connections: ("_described", "_accept", "_reject"),
            app.allow_list: ("rows", "_query", "whole_table"),
            app.ledger.store: ("read", "query", "query_but", "write"),
            app.bus: ("publish",),
            app.bells: ("send",),
            app.looks: ("send",),
        }
        for edge, names in edges.items():
            for name in names:
                setattr(edge, name, self._watched(f"{type(edge).__name__}.{name}", getattr(edge, name)))

    def _watched(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            if not self.armed:
                return call(*args, **kwargs)
            self.calls.append(name)
            fatal = len(self.calls) == self._fatal
            if fatal and not self._after:
                raise Killed
            answer = call(*args, **kwargs)
            if not isinstance(answer, list | dict | tuple | type(None)):
                answer = iter(list(answer))  # a query is a call when it is made, not when it is read
            if fatal:
                raise Killed
            return answer

        return watched


class Machine:
    """Runs it as Lambda does: what dies comes back, by its queue, its stream or its schedule."""

    def __init__(self, app: Application) -> None:
        self.app = app
        self.deaths = 0
        self._edits: list[Callable[[], object]] = []
        self._next_sweep = app.world.now + SCHEDULE

    def edit(self, edit: Callable[[], object]) -> None:
        """An edit of the table reaches its stream; until it is taken, it is tried again."""
        self._edits.append(edit)
        self._drain()

    def run(self, seconds: float) -> None:
        """Let time pass."""
        app = self.app
        end = app.world.now + timedelta(seconds=seconds)
        while True:
            moments = [self._next_sweep, *filter(None, (app.bells.next_due(), app.looks.next_due()))]
            if self._edits:
                moments.append(app.world.now + timedelta(seconds=1))
            if min(moments) > end:
                break
            app.world.now = max(app.world.now, min(moments))
            self._drain()
            self._messages(app.bells, app.approver.answer)
            self._messages(app.looks, lambda bells: app.sweeper.look(bells, f"look {app.world.now}"))
            if self._next_sweep <= app.world.now:
                self._next_sweep += SCHEDULE
                self._alive(lambda: app.sweeper.sweep(f"sweep {app.world.now}"))
        app.world.now = end

    def _drain(self) -> None:
        while self._edits and self._alive(self._edits[0]):
            self._edits.pop(0)

    def _messages(self, queue: FakeQueue, answer: Callable[[list[Bell]], object]) -> None:
        now: datetime = self.app.world.now
        bodies = [body for due, body in queue.queue if due <= now]
        if (bells := queue.take()) and not self._alive(lambda: answer(bells)):
            queue.queue += [(now + VISIBILITY, body) for body in bodies]

    def _alive(self, run: Callable[[], object]) -> bool:
        try:
            run()
        except Killed:
            self.deaths += 1
            return False
        return True
