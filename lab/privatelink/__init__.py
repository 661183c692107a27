"""PrivateLink's control plane for the local AWS: services, permissions, connections, notifications.

`install` puts it into ministack. The data plane asks `endpoints()` what there is and hears by `on_change` when to
ask again. Everything that AWS does not document, or that is otherwise here, is said where it is done; search for
"unconfirmed". ministack's /_ministack/reset does not reset this state.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Timer

from lab.privatelink.rules.model import Address, ConnectionEvent, Endpoint
from lab.privatelink.rules.state import State

__all__ = ["Address", "Endpoint", "endpoints", "install", "on_change", "private_names"]

log = logging.getLogger(__name__)


def _later(seconds: float, act: Callable[[], None]) -> None:
    timer = Timer(seconds, act)
    timer.daemon = True
    timer.start()


class _Background:
    """One thread, started when first needed, for what must not hold up a request; in the order it was given."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "privatelink")

    def __call__(self, act: Callable[[], None]) -> None:
        self._executor.submit(act).add_done_callback(_complain)


def _complain(done: Future[None]) -> None:
    if error := done.exception():
        log.error("privatelink: %s", error, exc_info=error)


_background = _Background()


def _publish(event: ConnectionEvent) -> None:
    from lab.privatelink.api import notifications

    _background(lambda: notifications.publish(event))


_state = State(_later, _publish)


def install() -> None:
    """Add PrivateLink to ministack's EC2, CloudFormation and IAM. Call it once, before ministack serves."""
    from lab.privatelink import cloudformation
    from lab.privatelink.api import actions, iam

    actions.install(_state, _background)
    cloudformation.install(_state)
    iam.install(_state)


def endpoints() -> tuple[Endpoint, ...]:
    """A snapshot of every interface endpoint on a custom service, whatever its state. Thread-safe."""
    return _state.endpoints()


def private_names() -> dict[str, tuple[str, ...]]:
    """The private DNS names of the services behind each load balancer, by its ARN. Thread-safe."""
    return _state.private_names()


def on_change(callback: Callable[[], None]) -> None:
    """Call `callback` after every change, in the thread that made it, without any lock held."""

    def guarded() -> None:
        try:
            callback()
        except Exception:
            log.exception("a listener failed; the change stands")

    _state.listeners.append(guarded)
