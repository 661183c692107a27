"""Everything that is, behind one lock, and who hears of it when it changes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from lab.privatelink.rules.model import Connection, Endpoint, News, Notification, Service

Later = Callable[[float, Callable[[], None]], object]


class State:
    """The services, connections and notifications of all accounts; the modules of rules change them.

    `later(seconds, act)` calls `act` after `seconds`; `publish(news)` tells what happened to a connection;
    `settle_after` is how many seconds a state that passes by itself (`pending`, `deleting`) lasts. AWS takes
    seconds to minutes.
    """

    def __init__(self, later: Later, publish: Callable[[News], None], settle_after: float = 0.2) -> None:
        self.lock = threading.Lock()
        self.services: dict[str, Service] = {}
        self.connections: dict[str, Connection] = {}
        self.notifications: dict[str, Notification] = {}
        self.listeners: list[Callable[[], None]] = []
        self.later = later
        self.settle_after = settle_after
        self._publish = publish

    @contextmanager
    def change(self) -> Iterator[list[News]]:
        """The lock, for one change. What is put into the list is published, and listeners are called, after it."""
        news: list[News] = []
        with self.lock:
            yield news
        for listener in tuple(self.listeners):
            listener()
        for item in news:
            self._publish(item)

    def move(self, connection: Connection, to: str, event: str) -> News:
        """Put a connection into another state; the news of it. The caller holds the lock."""
        moved = replace(connection, state=to)
        self.connections[moved.endpoint_id] = moved
        return self.news(event, moved)

    def news(self, event: str, connection: Connection) -> News:
        """News of a connection; the caller holds the lock."""
        sources = (connection.service_id, connection.endpoint_id)
        wanted = tuple(n for n in self.notifications.values() if n.source_id in sources and event in n.events)
        return News(event, self.services[connection.service_id], connection, wanted)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """A snapshot of every interface endpoint on a custom service, whatever its state."""
        with self.lock:
            return tuple(_snapshot(c, self.services[c.service_id]) for c in self.connections.values())


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
