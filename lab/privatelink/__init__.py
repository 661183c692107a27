"""PrivateLink's control plane for the local AWS: services, permissions, connections, notifications.

`install` puts it into ministack. The data plane asks `endpoints()` what there is, and `on_change` calls it when to
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


_executor = ThreadPoolExecutor(1, "privatelink")


def _background(act: Callable[[], None]) -> None:
    """Do in one thread, in the order given, what must not hold up a request; the thread starts when first needed."""
    _executor.submit(act).add_done_callback(_report)


def _report(done: Future[None]) -> None:
    if error := done.exception():
        log.error("privatelink: %s", error, exc_info=error)


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


endpoints, private_names, on_change = _state.endpoints, _state.private_names, _state.on_change
