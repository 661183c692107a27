"""The demo's server as its instances start it: the text of stacks/demo.yaml, run here but for systemd itself."""

import ast
import os
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.harness.process import free_port
from tests.infrastructure.stack import ROOT, parsed, resolved

NAME, INSTANCE = "hello.example.com", "i-0123456789abcdef0"
OLDEST_PYTHON = (3, 9)
"""Amazon Linux 2023's own."""
LARGEST_USER_DATA = 16384

pytestmark = pytest.mark.skipif(
    not (shutil.which("openssl") and shutil.which("bash")), reason="the demo's server needs openssl and bash"
)


@dataclass(frozen=True)
class Server:
    """A running server: its ports, and where its certificate lies."""

    port: int
    tls_port: int
    certificate: Path


def user_data(**values: str) -> str:
    stack = resolved(parsed(ROOT / "stacks" / "demo.yaml"), values)
    return str(stack.properties("Server")["LaunchTemplateData"]["UserData"])


def free_ports() -> tuple[int, int]:
    one = free_port()
    return one, next(other for other in iter(free_port, None) if other != one)


def installed(folder: Path, text: str) -> dict[str, str]:
    """Run the script with every path below `folder`; the service that it installed."""
    (folder / "instance-id").write_text(f"{INSTANCE}\n")
    systemctl = folder / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" > {folder}/asked\n')
    systemctl.chmod(0o755)
    moved = text.replace("/var/lib/cloud/data", str(folder)).replace("/usr/local/lib", str(folder))
    moved = moved.replace("/etc/systemd/system", str(folder))
    environment = {"PATH": f"{folder}:{os.environ['PATH']}"}
    shell = [str(shutil.which("bash")), "-eu"]
    done = subprocess.run(shell, input=moved, text=True, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "asked").read_text() == "enable --now hello.service\n"
    unit = ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((folder / "hello.service").read_text())
    return {name: value.replace("%S", str(folder)) for name, value in unit["Service"].items()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    port, tls_port = free_ports()
    service = installed(folder, user_data(Port=str(port), TlsPort=str(tls_port), PrivateDnsName=NAME))
    (folder / service["StateDirectory"]).mkdir()
    subprocess.run(shlex.split(service["ExecStartPre"]), check=True, capture_output=True)
    interpreter, *arguments = shlex.split(service["ExecStart"])
    assert interpreter == "python3"
    process = subprocess.Popen([sys.executable, *arguments], stderr=subprocess.PIPE, text=True)
    try:
        await_listening(process, tls_port)
        yield Server(port, tls_port, folder / service["StateDirectory"] / "certificate.pem")
    finally:
        process.kill()
        process.communicate()


def await_listening(process: "subprocess.Popen[str]", port: int) -> None:
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            continue
        return
    pytest.fail(f"the server ended: {process.communicate()[1]}")


@contextmanager
def connected(server: Server, secure: bool) -> Iterator[socket.socket]:
    """A connection, over TLS to the private name with its certificate as the only one trusted."""
    with socket.create_connection(("127.0.0.1", server.tls_port if secure else server.port), timeout=10) as plain:
        if not secure:
            yield plain
            return
        context = ssl.create_default_context(cafile=str(server.certificate))
        with context.wrap_socket(plain, server_hostname=NAME) as wrapped:
            yield wrapped


def fetched(connection: socket.socket, path: str) -> tuple[bytes, bytes]:
    """The status line and the body."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
    answer = b"".join(iter(lambda: connection.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0], body


@pytest.mark.parametrize("secure", [False, True], ids=["HTTP", "HTTPS"])
@pytest.mark.parametrize("path", ["/", "/healthz"])
def test_the_server_answers_with_its_name(server: Server, secure: bool, path: str) -> None:
    with connected(server, secure) as connection:
        status, body = fetched(connection, path)
    assert status.endswith(b" 200 OK")
    assert body == f"hello from {INSTANCE}\n".encode()


def test_a_client_that_does_not_finish_its_handshake_holds_nobody_up(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.tls_port)), connected(server, secure=True) as connection:
        assert fetched(connection, "/")[1]


def test_the_certificate_is_for_the_private_name_and_no_other(server: Server) -> None:
    context = ssl.create_default_context(cafile=str(server.certificate))
    with (
        socket.create_connection(("127.0.0.1", server.tls_port), timeout=10) as plain,
        pytest.raises(ssl.SSLCertVerificationError, match=r"other\.example\.com"),
    ):
        context.wrap_socket(plain, server_hostname="other.example.com")


def test_the_script_installs_without_a_private_name_too(tmp_path: Path) -> None:
    assert "subjectAltName=DNS:hello.invalid" in installed(tmp_path, user_data())["ExecStartPre"]


def test_the_servers_text_fits_its_python_and_an_instances_user_data() -> None:
    text = user_data(PrivateDnsName=NAME)
    program = text.partition("<<'SERVER'\n")[2].partition("\nSERVER\n")[0]
    ast.parse(program, feature_version=OLDEST_PYTHON)
    assert len(text.encode()) < LARGEST_USER_DATA
    assert not {"dnf", "yum", "pip", "curl"} & set(text.split())
