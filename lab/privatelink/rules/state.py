"""The services, connections and notifications of all accounts behind one lock, and the listeners to their changes."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from lab.privatelink.rules.model import INTERFACE, Connection, ConnectionEvent, Endpoint, Notification, Service

log = logging.getLogger(__name__)
Later = Callable[[float, Callable[[], None]], object]


class State:
    """The state of PrivateLink; the modules of rules change it.

    `later(seconds, act)` calls `act` after `seconds`; `publish(event)` sends the notifications of an event;
    `settle_after` is how many seconds a state that passes by itself (`pending`, `deleting`) lasts. AWS takes
    seconds to minutes.
    """

    def __init__(self, later: Later, publish: Callable[[ConnectionEvent], None], settle_after: float = 0.2) -> None:
        self.lock = threading.Lock()
        self.services: dict[str, Service] = {}
        self.connections: dict[str, Connection] = {}
        self.notifications: dict[str, Notification] = {}
        self._listeners: list[Callable[[], None]] = []
        self.later = later
        self.settle_after = settle_after
        self._publish = publish

    @contextmanager
    def change(self) -> Iterator[list[ConnectionEvent]]:
        """The lock, for one change. Events put into the list are published, and listeners are called, after it."""
        events: list[ConnectionEvent] = []
        with self.lock:
            yield events
        for listener in tuple(self._listeners):
            try:
                listener()
            except Exception:
                log.exception("a listener failed; the change is made")
        for event in events:
            self._publish(event)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every change, in the thread that made it, without the lock. Thread-safe."""
        self._listeners.append(listener)

    def move(self, connection: Connection, to: str, name: str) -> ConnectionEvent:
        """Put a connection into another state; the event of it, called `name`. The caller holds the lock."""
        moved = replace(connection, state=to)
        self.connections[moved.endpoint_id] = moved
        return self.event(name, moved)

    def event(self, name: str, connection: Connection) -> ConnectionEvent:
        """An event of a connection; the caller holds the lock."""
        sources = (connection.service_id, connection.endpoint_id)
        wanted = tuple(n for n in self.notifications.values() if n.source_id in sources and name in n.events)
        return ConnectionEvent(name, self.services[connection.service_id], connection, wanted)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """A snapshot of every interface endpoint on a custom service, whatever its state. Thread-safe."""
        with self.lock:
            interfaces = [c for c in self.connections.values() if c.kind == INTERFACE]
            return tuple(_snapshot(c, self.services[c.service_id]) for c in interfaces)

    def private_names(self) -> dict[str, tuple[str, ...]]:
        """The private DNS names of the services behind each load balancer, by its ARN. Thread-safe."""
        found: dict[str, tuple[str, ...]] = {}
        with self.lock:
            for service in self.services.values():
                if service.private_name and not service.deleted:
                    for arn in service.load_balancer_arns:
                        found[arn] = (*found.get(arn, ()), service.private_name.name)
        return found


def _snapshot(connection: Connection, service: Service) -> Endpoint:
    return Endpoint(
        endpoint_id=connection.endpoint_id,
        owner=connection.owner,
        region=connection.region,
        vpc_id=connection.vpc_id,
        service_id=service.service_id,
        service_owner=service.owner,
        load_balancer_arns=service.load_balancer_arns,
        state=connection.state,
        dns_names=connection.dns_names(service),
        addresses=connection.addresses,
        security_group_ids=connection.security_group_ids,
        private_dns_name=service.verified_name if connection.private_dns else None,
    )
