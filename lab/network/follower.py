"""A thread with an event loop in which a data plane follows the control plane."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from lab.network.topology import Topology

POLL_SECONDS = 0.2
"""How often elbv2 and ec2 are looked at, which announce no changes."""
SHARE, LONGEST_REST = 0.1, 1.0
"""Looking and applying take this share of a CPU, and then rest, at most so many seconds: both cost the more the more
endpoints there are, and the requests of a thousand new ones a minute want the same process."""

_log = logging.getLogger("lab.network")
_T = TypeVar("_T")


class Follower:
    """Calls `apply(topology)` whenever `look()` shows another topology, and `close()` at the end, all in one thread.

    `enter`, if given, is what the thread does first of all.
    """

    def __init__(
        self,
        look: Callable[[], Topology],
        apply: Callable[[Topology], Awaitable[None]],
        close: Callable[[], Awaitable[None]],
        enter: Callable[[], None] = lambda: None,
    ) -> None:
        self._look, self._apply, self._close, self._enter = look, apply, close, enter
        self._seen: Topology | None = None
        self._loop = asyncio.new_event_loop()
        self._woken = asyncio.Event()
        self._turn = asyncio.Lock()
        self._thread = threading.Thread(target=self._run, name="lab-network", daemon=True)

    def start(self) -> None:
        """Start following."""
        self._following = self._loop.create_task(self._follow_on())
        self._thread.start()

    def stop(self) -> None:
        """Close what was applied, and end the thread."""
        self._loop.call_soon_threadsafe(self._following.cancel)
        self._thread.join()

    def wake(self) -> None:
        """Look now instead of at the next poll; returns at once, safe in any thread."""
        self._loop.call_soon_threadsafe(self._woken.set)

    def refresh(self) -> None:
        """Look, and return when what was seen is applied."""
        self.call(self._follow())

    def forget(self) -> None:
        """Apply at the next look even if it shows nothing new; to be called in the follower's own thread."""
        self._seen = None
        self._woken.set()

    def call(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The result of a coroutine that runs in the follower's thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _run(self) -> None:
        self._enter()
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._following)
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        await self._close()
        # What was aborted is closed in the loop's next turn, and ends the tasks that served it.
        await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _follow_on(self) -> None:
        complaint = ""
        while True:
            begun = time.thread_time()
            try:
                await self._follow()
                complaint = ""
            except Exception as error:
                # A look that fails must not end the plane: there will be another. The same failure is logged once.
                if complaint != (complaint := repr(error)):
                    _log.exception("the data plane could not follow the control plane")
            await asyncio.sleep(min((time.thread_time() - begun) * (1 / SHARE - 1), LONGEST_REST))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), POLL_SECONDS)
            self._woken.clear()

    async def _follow(self) -> None:
        async with self._turn:
            topology = self._look()
            if topology != self._seen:
                # Before the work: what happens meanwhile may ask to apply again.
                self._seen, seen = topology, self._seen
                try:
                    await self._apply(topology)
                except BaseException:
                    self._seen = seen
                    raise
