"""The state as its listeners and the data plane see it."""

import itertools
import subprocess
import sys

import pytest

from lab.privatelink.rules import connections, decisions
from lab.privatelink.rules.state import State
from tests.unit.lab.privatelink.conftest import BALANCER, CONSUMER, PROVIDER, Clock, connect, offer


def test_importing_the_package_starts_nothing_and_does_not_need_ministack() -> None:
    script = (
        "import sys, threading, lab.privatelink as p\n"
        "assert p.Endpoint and p.Address and p.endpoints() == ()\n"
        "assert not any(name.startswith('ministack') for name in sys.modules), 'ministack'\n"
        "assert threading.active_count() == 1, 'threads'\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_snapshot_says_what_the_data_plane_needs(state: State) -> None:
    service = offer(state)
    connection = connect(state, service)
    (endpoint,) = state.endpoints()
    assert (endpoint.owner, endpoint.service_owner) == ("222222222222", "111111111111")
    assert endpoint.load_balancer_arns == (BALANCER,)
    assert endpoint.security_group_ids == ("sg-1",)
    assert endpoint.state == "pendingAcceptance"
    assert endpoint.addresses == connection.addresses
    assert endpoint.private_dns_name is None


def test_listeners_hear_of_every_change_without_the_lock_held(state: State, clock: Clock) -> None:
    seen: list[tuple[str, ...]] = []
    state.on_change(lambda: seen.append(tuple(e.state for e in state.endpoints())))
    service = offer(state)
    connection = connect(state, service)
    decisions.accept(state, PROVIDER, service.service_id, [connection.endpoint_id])
    clock.pass_()
    connections.delete(state, CONSUMER, connection.endpoint_id)
    clock.pass_()
    states = [state for state, _ in itertools.groupby(seen)]
    assert states == [(), ("pendingAcceptance",), ("pending",), ("available",), ("deleting",), ()]


def test_a_listener_that_fails_is_logged_and_the_change_is_made(state: State, caplog: pytest.LogCaptureFixture) -> None:
    state.on_change(lambda: [].pop())
    assert offer(state).service_id in state.services
    assert "a listener failed" in caplog.text
