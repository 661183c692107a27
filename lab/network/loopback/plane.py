"""The data plane that needs no privileges: real sockets on loopback addresses.

What it shows: names resolve; a connect to an endpoint times out unless its connection is available, is reset without
a healthy target, is refused without a listener on the port, and else reaches a provider's server; an open connection
hangs when its state stops being available; a VPC function reaches nothing else.

What it cannot show:
- Addresses are 127.X.Y.Z instead of private ones of the consumer's subnets (see addresses.py); any process
  of this machine reaches them, not only the consumer VPC's.
- Security groups, network ACLs, routes, IPv6 and zones without a healthy target are not looked at.
- A port without a listener is refused in every state, and so is every port of an endpoint that was deleted (on AWS
  both are dropped unless the connection is available).
- A VPC function is kept inside in Python only (lab/network/loopback/resolver/sitecustomize.py).
- Packets of a cut connection are not dropped but left unread (lab.network.loopback.proxy).
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab.launch import Launch
from lab.network.follower import Follower
from lab.network.loopback.addresses import Addresses
from lab.network.loopback.sockets import Sockets
from lab.network.plane import Usage
from lab.network.topology import Target, Topology, Vpc, vpc_of_function

_RESOLVER = Path(__file__).parent / "resolver"


class LoopbackPlane:
    """Follows `look`, the control plane's state, in one daemon thread with one event loop.

    Raises AddressError if there are no loopback addresses for it.
    """

    def __init__(self, look: Callable[[], Topology]) -> None:
        self.addresses = Addresses()
        self._sockets = Sockets(self.addresses)
        self._follower = Follower(look, self._sockets.apply, self._sockets.close)
        self.start, self.wake, self.refresh = self._follower.start, self._follower.wake, self._follower.refresh

    def stop(self) -> None:
        """Close the plane's sockets and end its thread."""
        self._follower.stop()
        self.addresses.release()

    def launch(self, config: Mapping[str, Any]) -> Launch:
        """How a Lambda process is started: one in a VPC resolves and connects as lab/network/loopback/resolver says."""
        vpc = vpc_of_function(config)
        if vpc is None:
            return Launch(environment={})
        return Launch(
            prefix=(sys.executable, "-S", str(_RESOLVER / "enter.py")),
            environment=self.environment(vpc),
            python_path=(str(_RESOLVER),),
        )

    def fails(self, target: Target) -> bool:
        """No health is checked here."""
        return False

    def usage(self) -> tuple[Usage, ...]:
        """Nothing is counted here."""
        return ()

    def environment(self, vpc: Vpc) -> dict[str, str]:
        """What lab/network/loopback/resolver/sitecustomize.py reads: a VPC's DNS server, its block and the void."""
        resolver = self._follower.call(self._sockets.resolver(vpc))
        return {
            "LAB_RESOLVER": "{}:{}".format(*resolver),
            "LAB_NETWORK": str(self.addresses.vpc(vpc)),
            "LAB_VOID": "{}:{}".format(*self._sockets.void),
        }
