"""How the process of a Lambda function enters its network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Launch:
    """What is added to the command that starts a function's process.

    `prefix` goes before the command and must end by executing it in the same process, or by forwarding SIGTERM
    to it; `environment` is added to the process's variables; `python_path` goes to the front of PYTHONPATH.
    The prefix finds the address of the Runtime API, a loopback address of the lab's own network, in the variable
    AWS_LAMBDA_RUNTIME_API (host:port) and may pass on another one. `inside(act)` calls what starts the Runtime API and
    the process, in the network that both are to live in.
    """

    prefix: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    python_path: tuple[str, ...] = ()
    inside: Callable[[Callable[[], Any]], Any] = lambda act: act()
