"""The data plane that needs no privileges: real sockets on loopback addresses.

What it shows: names resolve; a connect to an endpoint times out unless its connection is available, is reset without
a healthy target, is refused without a listener on the port, and else reaches a provider's server; an open connection
hangs when its state stops being available; a VPC function reaches nothing else.

What it cannot show:
- Addresses are 127.X.Y.Z instead of private ones of the consumer's subnets (lab.network.addresses); any process of this
  machine reaches them, not only the consumer VPC's.
- Security groups, network ACLs, routes, IPv6 and zones without a healthy target are not looked at.
- A port without a listener is refused in every state, and so is every port of an endpoint that was deleted (on AWS
  both are dropped unless the connection is available).
- A VPC function is kept inside in Python only (lab/network/resolver/sitecustomize.py).
- Packets of a cut connection are not dropped but left unread (lab.network.crossing).
"""

import asyncio
import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from lab.functions.launch import Launch
from lab.network.addresses import Addresses
from lab.network.sockets import Sockets
from lab.network.topology import Topology, Vpc, vpc_of_function

POLL_SECONDS = 0.2
"""How often elbv2 and ec2 are looked at, which tell nobody of their changes."""

_RESOLVER = Path(__file__).parent / "resolver"
_log = logging.getLogger("lab.network")
_T = TypeVar("_T")


class LoopbackPlane:
    """Follows `look`, the control plane's state, in one daemon thread with one event loop.

    Raises AddressError if there are no loopback addresses for it.
    """

    def __init__(self, look: Callable[[], Topology]) -> None:
        self._look = look
        self._seen = Topology()
        self.addresses = Addresses()
        self._sockets = Sockets(self.addresses)
        self._loop = asyncio.new_event_loop()
        self._woken = asyncio.Event()
        self._turn = asyncio.Lock()
        self._thread = threading.Thread(target=self._run, name="lab-network", daemon=True)

    def start(self) -> None:
        """Start following."""
        self._following = self._loop.create_task(self._follow_on())
        self._thread.start()

    def stop(self) -> None:
        """Close the plane's sockets and end its thread."""
        self._loop.call_soon_threadsafe(self._following.cancel)
        self._thread.join()
        self.addresses.release()

    def wake(self) -> None:
        """Look at the control plane now instead of at the next poll; returns at once, safe in any thread."""
        self._loop.call_soon_threadsafe(self._woken.set)

    def refresh(self) -> None:
        """Look at the control plane, and return when the plane is as it says."""
        self._call(self._follow())

    def launch(self, config: Mapping[str, Any]) -> Launch:
        """How a Lambda process is started: one in a VPC resolves and connects as lab/network/resolver says."""
        vpc = vpc_of_function(config)
        if vpc is None:
            return Launch(environment={})
        return Launch(
            prefix=(sys.executable, "-S", str(_RESOLVER / "enter.py")),
            environment=self.environment(vpc),
            python_path=(str(_RESOLVER),),
        )

    def environment(self, vpc: Vpc) -> dict[str, str]:
        """What lab/network/resolver/sitecustomize.py reads: a VPC's DNS server, its block and the void."""
        resolver = self._call(self._sockets.resolver(vpc))
        return {
            "LAB_RESOLVER": "{}:{}".format(*resolver),
            "LAB_NETWORK": str(self.addresses.vpc(vpc)),
            "LAB_VOID": "{}:{}".format(*self._sockets.void),
        }

    def _call(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._following)
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        await self._sockets.close()
        # What was aborted is closed in the loop's next turn, and ends the tasks that served it.
        await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _follow_on(self) -> None:
        complaint = ""
        while True:
            try:
                await self._follow()
                complaint = ""
            except Exception as error:
                # A look that fails must not end the plane: there will be another. The same failure is told once.
                if complaint != (complaint := repr(error)):
                    _log.exception("the data plane could not follow the control plane")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), POLL_SECONDS)
            self._woken.clear()

    async def _follow(self) -> None:
        async with self._turn:
            topology = self._look()
            if topology != self._seen:
                await self._sockets.apply(topology)
                self._seen = topology
