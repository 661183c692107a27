"""The other side of a probe: nginx with a certificate, on a CPU of its own where there are two."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

HOST, NAME = "127.0.0.1", "orders.example"
CONFIGURATION = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  ssl_certificate {certificate}; ssl_certificate_key {certificate};
  server {{ listen 0.0.0.0:{port} ssl backlog=2048; location / {{ return 200 "ok"; }} }}
}}
"""


def free_port() -> int:
    """A port of loopback that nobody has at this moment."""
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as stream:
        return stream.connect_ex((HOST, port)) == 0


@contextlib.contextmanager
def running(command: Sequence[str], port: int, cpus: frozenset[int] | None = None) -> Iterator[int]:
    """A server from when it listens to the end of the block; its process id."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            if cpus:
                os.sched_setaffinity(process.pid, cpus)
            until = time.monotonic() + 10
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"{command[0]} does not listen on {port}")
                time.sleep(0.02)
            yield process.pid
        finally:
            process.terminate()


@contextlib.contextmanager
def peer(folder: Path, certificate: Path) -> Iterator[tuple[int, frozenset[int]]]:
    """nginx with TLS; its port and CPUs. This process, and what it starts later, gets the others, if there are any."""
    port, cpus = free_port(), sorted(os.sched_getaffinity(0))
    file = folder / "nginx.conf"
    file.write_text(CONFIGURATION.format(folder=folder, port=port, certificate=certificate))
    theirs = frozenset(cpus[-1:])
    with running(["nginx", "-p", str(folder), "-c", str(file)], port, theirs):
        os.sched_setaffinity(0, cpus[:-1] or cpus)
        yield port, theirs
