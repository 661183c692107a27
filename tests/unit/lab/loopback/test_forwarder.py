"""What passes an endpoint, what is cut, and which target it reaches."""

import os
import socket
import threading
from dataclasses import replace

import pytest

from lab.harness.process import free_port
from lab.network.loopback.listening import ListeningSocket
from lab.network.topology import Target
from tests.unit.lab.loopback.conftest import (
    NOT_YET,
    WEB,
    World,
    read_all,
    send_much,
    serving,
)

# What passes


def test_an_available_endpoint_leads_to_the_server_of_the_running_instance(world: World) -> None:
    assert world.get() == (200, "hello from i-web\n")
    assert world.get(world.address("subnet-b")) == (200, "hello from i-web\n")


@pytest.mark.parametrize("state", ["pendingAcceptance", "pending", "rejected", "deleting", "failed"])
def test_a_connect_times_out_unless_the_state_is_available(world: World, state: str) -> None:
    world.change(state)
    with pytest.raises(TimeoutError):
        world.connect(NOT_YET)


def test_an_accepted_endpoint_answers_the_next_connect(world: World) -> None:
    world.change("pendingAcceptance")
    world.change("available")
    assert world.get()[0] == 200


def test_a_connect_that_waited_for_the_acceptance_succeeds_when_it_comes(world: World) -> None:
    world.change("pendingAcceptance")
    with socket.socket() as waiting:
        waiting.setblocking(False)
        assert waiting.connect_ex((world.address(), world.port)) != 0
        world.change("available")
        waiting.settimeout(10)
        waiting.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert read_all(waiting).startswith(b"HTTP/1.1 200 ")


def test_bytes_pass_both_ways_in_order_and_the_end_of_one_way_leaves_the_other_open(world: World) -> None:
    sent = os.urandom(4_000_000)

    def echo(connection: socket.socket) -> None:
        connection.sendall(read_all(connection))

    with serving(echo) as target:
        world.change(targets=(target,))
        with world.connect() as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == sent


def test_a_server_that_does_not_read_makes_the_client_wait(world: World) -> None:
    is_over = threading.Event()
    with serving(lambda connection: is_over.wait(20)) as target:
        world.change(targets=(target,))
        with world.connect(NOT_YET) as client, pytest.raises(TimeoutError):
            send_much(client)
        is_over.set()


def test_an_open_socket_keeps_a_burst_of_clients_and_shows_nothing_of_its_own() -> None:
    listener = ListeningSocket(("127.0.0.2", 0))
    listener.open()
    clients = [socket.create_connection(listener.place, timeout=10) for _ in range(20)]
    accepted = [one for one in (listener.accept() for _ in range(22)) if one is not None]
    assert [one.getpeername() for one in accepted] == [one.getsockname() for one in clients]
    listener.close()
    for one in clients + accepted:
        one.close()


def test_a_socket_that_was_open_leaves_every_port_of_its_address_free() -> None:
    listener = ListeningSocket(("127.0.0.2", 0))
    plug = listener._plug
    assert plug is not None
    port = plug.getsockname()[1]
    listener.open()
    listener.accept()
    listener.close()
    ListeningSocket(("127.0.0.2", port)).close()


# What is cut


def test_a_rejected_connection_hangs_without_a_reset_and_goes_on_when_it_is_accepted_again(world: World) -> None:
    with world.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        world.change("rejected")
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        client.settimeout(NOT_YET)
        with pytest.raises(TimeoutError):
            client.recv(65536)
        world.change("available")
        client.settimeout(10)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_what_the_provider_sends_after_the_cut_does_not_arrive(world: World) -> None:
    is_cut = threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"before")
        is_cut.wait(10)
        connection.sendall(b"after")

    with serving(talk) as target:
        world.change(targets=(target,))
        with world.connect() as client:
            assert client.recv(100) == b"before"
            world.change("rejected")
            is_cut.set()
            client.settimeout(NOT_YET)
            with pytest.raises(TimeoutError):
                client.recv(100)


def test_a_connection_of_a_deleted_endpoint_hangs_and_its_address_answers_no_more(world: World) -> None:
    with world.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        world.endpoints = ()
        world.plane.refresh()
        client.settimeout(NOT_YET)
        with pytest.raises(TimeoutError):
            client.recv(65536)
    with pytest.raises(ConnectionRefusedError):
        world.connect()


# Targets and listeners


@pytest.mark.parametrize(
    "targets",
    [
        (),
        (replace(WEB, up=False),),
        (Target("127.0.0.1", free_port(), up=True),),
    ],
    ids=["none", "stopped instance", "nothing listens"],
)
def test_without_a_healthy_target_a_connection_is_accepted_and_reset(world: World, targets: tuple[Target, ...]) -> None:
    world.change(targets=targets)
    # The reset may overtake the connect.
    with pytest.raises(ConnectionResetError), world.connect() as client:
        client.recv(1)


def test_no_target_beyond_the_loopback_addresses_is_connected_to(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        # To Linux this address is the machine's own, too.
        world.change(targets=(Target("0.0.0.0", server.getsockname()[1], up=True),))  # noqa: S104
        with pytest.raises(ConnectionResetError), world.connect() as client:
            client.recv(1)


def test_an_unhealthy_target_is_passed_over(world: World) -> None:
    world.change(targets=(replace(WEB, id="i-gone", up=False), Target("127.0.0.1", free_port(), up=True), WEB))
    assert {world.get() for _ in range(3)} == {(200, "hello from i-web\n")}


def test_healthy_targets_take_turns(world: World) -> None:
    world.change(targets=(WEB, replace(WEB, id="i-other")))
    assert {world.get()[1] for _ in range(2)} == {"hello from i-web\n", "hello from i-other\n"}


def test_a_stopped_instance_drops_its_connections_and_answers_again_after_its_start(world: World) -> None:
    with world.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        world.change(targets=(replace(WEB, up=False),))
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    world.change(targets=(WEB,))
    assert world.get()[0] == 200


def test_a_port_without_a_listener_is_refused(world: World) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((world.address(), free_port()), timeout=10)


def test_a_port_that_cannot_be_opened_is_reported_once_with_its_cure(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as other:  # noqa: S104
        world.port = other.getsockname()[1]
        world.plane.refresh()
        world.change("rejected")
    reports = [record.getMessage() for record in caplog.records if record.name == "lab.network"]
    assert len(reports) == 1
    assert f"port {world.port}," in reports[0]
    assert "another port" in reports[0]
