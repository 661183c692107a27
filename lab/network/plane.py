"""What the rest of the lab knows of a data plane."""

from collections.abc import Mapping
from typing import Any, Protocol

from lab.functions.launch import Launch


class Plane(Protocol):
    """A data plane: it runs by itself, and tells how a Lambda process enters its network."""

    def launch(self, config: Mapping[str, Any]) -> Launch:
        """How a process of the function with this configuration (as GetFunctionConfiguration shows it) is started.

        A function without VpcConfig.SubnetIds gets an empty Launch.
        """
        ...
