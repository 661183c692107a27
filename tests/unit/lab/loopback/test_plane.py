"""The plane follows the control plane, and ends."""

import asyncio
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from lab.network.loopback.proxy import ProxiedConnection
from tests.unit.lab.loopback.conftest import (
    SHOP,
    World,
)


def test_a_change_is_seen_without_a_call(world: World) -> None:
    world.endpoints = (replace(SHOP, state="pendingAcceptance"),)
    world.plane.refresh()
    world.endpoints = (SHOP,)
    assert world.get()[0] == 200


def test_a_look_that_fails_is_reported_once_and_does_not_end_the_plane(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.change("pendingAcceptance")
    world.is_broken = True
    # When the third look begins, the second has been dealt with.
    assert all(world.failures.acquire(timeout=10) for _ in range(3))
    assert len([record for record in caplog.records if record.name == "lab.network"]) == 1
    world.endpoints = (SHOP,)
    world.is_broken = False
    assert world.get()[0] == 200


def test_a_stopped_plane_resets_its_connections_listens_no_more_and_ends_its_thread(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.plane.start()
    world.plane.refresh()
    with world.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        world.plane.stop()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        world.connect()
    assert "lab-network" not in {thread.name for thread in threading.enumerate()}


def test_what_arrives_before_the_other_side_is_connected_is_carried_when_it_is() -> None:
    """Python 3.11.2 reads a socket that was paused while it was made."""

    async def early() -> bytes:
        ended: list[ProxiedConnection] = []
        connection = ProxiedConnection(ended.append)
        connection._client.data_received(b"early")
        (client, far_client), (target, far_target) = socket.socketpair(), socket.socketpair()
        with far_client, far_target:
            await connection.join(client, target)
            far_target.setblocking(False)
            return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(far_target, 5), 5)

    assert asyncio.run(early()) == b"early"
