"""Health checks of targets, as a load balancer's nodes make them: TCP, HTTP or HTTPS, again and again.

Not like AWS: a check comes every second and one answer decides, so that a lab need not wait.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import NamedTuple

from lab.network.namespaces.kernel import Namespace
from lab.network.topology import Check, Place, Target, Topology, Vpc

INTERVAL_SECONDS = 1.0
_TIMEOUT_SECONDS = 10.0
"""NLB's default for TCP and HTTPS, 6 s for HTTP (ELBv2 API, HealthCheckTimeoutSeconds).

Far above plane.SLOW_SECONDS: a busy machine that adds seconds to one answer must not take one zone out of service.
"""


class CheckedTarget(NamedTuple):
    """A target as it is checked."""

    vpc: Vpc
    place: Place
    check: Check


class Checks:
    """The health of every target; `changed` is called, in the loop's thread, when one changes."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._health: dict[CheckedTarget, bool] = {}
        self._tasks: dict[CheckedTarget, asyncio.Task[None]] = {}

    def healthy(self, vpc: Vpc, target: Target, check: Check) -> bool:
        """Whether a target passed its last check; not before its first."""
        return self._health.get(_checked(vpc, target, check), False)

    def fails(self, target: Target) -> bool:
        """Whether a target failed its last check; safe in any thread."""
        known = list(self._health.items())
        return any(not passed for one, passed in known if one.place == _checked(one.vpc, target, one.check).place)

    def keep(self, topology: Topology, namespaces: Mapping[Vpc, Namespace]) -> None:
        """Check the running targets of every listener, and no others."""
        vpcs = {balancer.arn: balancer.vpc for balancer in topology.balancers}
        wanted = {
            _checked(vpcs[listener.balancer], target, listener.check)
            for listener in topology.listeners
            if listener.balancer in vpcs
            for target in listener.targets
            if target.up
        }
        for checked in set(self._tasks) - wanted:
            self._tasks.pop(checked).cancel()
            self._health.pop(checked, None)
        for checked in wanted - set(self._tasks):
            look = self._watch(checked, namespaces[checked.vpc])
            self._tasks[checked] = asyncio.get_running_loop().create_task(look)

    async def _watch(self, checked: CheckedTarget, namespace: Namespace) -> None:
        while True:
            passed = await _passes(checked, namespace)
            if passed != self._health.get(checked):
                self._health[checked] = passed
                self._changed()
            await asyncio.sleep(INTERVAL_SECONDS)


def _checked(vpc: Vpc, target: Target, check: Check) -> CheckedTarget:
    return CheckedTarget(vpc, (target.address, check.port or target.port), check)


async def _passes(checked: CheckedTarget, namespace: Namespace) -> bool:
    sock = namespace.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    sock.setblocking(False)
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            await asyncio.get_running_loop().sock_connect(sock, checked.place)
            return checked.check.protocol == "TCP" or await _answers(sock, checked)
    except (OSError, TimeoutError, ValueError, IndexError, asyncio.IncompleteReadError):
        return False
    finally:
        sock.close()


async def _answers(sock: socket.socket, checked: CheckedTarget) -> bool:
    """Whether the server answers with a status from 200 to 399, the default; the certificate is not looked at."""
    host, _ = checked.place
    context = ssl._create_unverified_context() if checked.check.protocol == "HTTPS" else None  # noqa: S323
    reader, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname=host if context else None)
    try:
        writer.write(f"GET {checked.check.path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        status = (await reader.readline()).split()[1]
        return 200 <= int(status) < 400
    finally:
        # Not close: a TLS transport that still shuts down while its socket is closed below would later let go of a
        # descriptor that is another socket's by then.
        writer.transport.abort()
