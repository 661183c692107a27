"""What the rest of the lab knows of a data plane."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from lab.launch import Launch
from lab.network.topology import Target


class Usage(NamedTuple):
    """What passed through one endpoint in a minute: open connections and bytes, for the provider's account, `owner`."""

    owner: str
    region: str
    service: str
    endpoint: str
    connections: int
    bytes: int


class Plane(Protocol):
    """A data plane: it runs by itself, and says how a Lambda process enters its network."""

    def start(self) -> None:
        """Start following the control plane."""

    def wake(self) -> None:
        """Look at the control plane now; returns at once, safe in any thread."""

    def refresh(self) -> None:
        """Look at the control plane, and return when the plane is as it says."""

    def launch(self, config: Mapping[str, Any]) -> Launch:
        """How a process of the function with this configuration (as GetFunctionConfiguration shows it) is started.

        A function without VpcConfig.SubnetIds gets an empty Launch.
        """

    def fails(self, target: Target) -> bool:
        """Whether the last health check of a target that is up failed."""

    def usage(self) -> Iterable[Usage]:
        """What passed through each endpoint since the last call; nothing of those through which nothing did."""
