"""The local AWS as a child process: started, awaited, and gone without a trace."""

import contextlib
import functools
import http.client
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

CHECKOUT = Path(__file__).resolve().parents[2]
STATE = CHECKOUT / ".lab"
PROVIDER_ACCOUNT = "111111111111"
REGION = "eu-west-1"
PLANES = ("", "namespaces", "loopback")
"""Data planes that can be asked for; the first is whichever this machine allows."""
SPEED = 12.0
"""How much faster than on AWS schedules and alarm periods run: a minute passes in five seconds."""
ACCOUNT_CONCURRENCY, NEW_ACCOUNT_CONCURRENCY = 1000, 10
"""Executions that Lambda runs at once for an account: its default, and what new accounts have ("New AWS accounts have
reduced concurrency", developer guide; 10 is seen in reports)."""


class LabError(Exception):
    """The local AWS did not start, or ended by itself; the message says why and where its log is."""


def free_port() -> int:
    """A TCP port on the loopback address that nothing listens on at the moment.

    It is none that the kernel gives away by itself (Linux from 32768, others from 49152), so it stays free for a while.
    """
    while True:
        port = secrets.choice(range(20_000, 30_000))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class LabProcess:
    """One local AWS on the loopback address; a context manager.

    All that it writes lies in one folder below .lab/, removed at the end unless `keep_log` is set, and all
    processes that it starts belong to its process group, so that ending it leaves nothing behind. `plane` is the data
    plane, "namespaces" or "loopback"; by default what LAB_PLANE says, else the first that this machine allows.
    Functions run `concurrency` at once, the others wait; more than `account_concurrency` are throttled.
    """

    def __init__(
        self,
        port: int | None = None,
        speed: float = SPEED,
        concurrency: int = 6,
        plane: str | None = None,
        account_concurrency: int = ACCOUNT_CONCURRENCY,
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._speed = speed
        self._concurrency = concurrency
        self._account_concurrency = account_concurrency
        self._plane = os.environ.get("LAB_PLANE", "") if plane is None else plane
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = STATE
        self.log = STATE / "server.log"

    def environment(self, account: str = PROVIDER_ACCOUNT) -> dict[str, str]:
        """What a real AWS client needs in its environment to talk to this local AWS as `account`."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "lab",
        }

    def __enter__(self) -> Self:
        if self._plane not in PLANES:
            raise LabError(f"LAB_PLANE={self._plane}: there are {' and '.join(PLANES[1:])}")
        STATE.mkdir(exist_ok=True)
        remove_stale_runs()
        require_free(self.port)
        self.folder = Path(tempfile.mkdtemp(prefix="run-", dir=STATE))
        (self.folder / "owner").write_text(str(os.getpid()))
        self.log = self.folder / "server.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own arguments
                [*privileges(self._plane), sys.executable, "-m", "lab.server"],
                cwd=CHECKOUT,
                env=self._server_environment(os.environ),
                # When this pipe is closed the server ends, however this process ended.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def alive(self) -> bool:
        """Whether the server still runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End the server and every process it started, then remove its folder."""
        if self._process is not None:
            _end_group(self._process)
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _server_environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        kept = {name: environ[name] for name in ("HOME", "LANG") if name in environ}
        return {
            **kept,
            # ip and nft are where the PATH of a user who is not root may not lead.
            "PATH": os.pathsep.join((environ.get("PATH", os.defpath), "/usr/sbin", "/sbin")),
            **self.environment(),
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "IOT_MTLS_ENABLED": "0",
            "MINISTACK_REGION": REGION,
            "MINISTACK_ACCOUNT_ID": PROVIDER_ACCOUNT,
            "CLOUDTRAIL_RECORDING": "0",
            "DOCKER_HOST": "unix:///nonexistent",
            "LAB_SPEED": str(self._speed),
            "LAB_CONCURRENCY": str(self._concurrency),
            "LAB_ACCOUNT_CONCURRENCY": str(self._account_concurrency),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self.folder),
            "LAB_FOLDER": str(self.folder),
            "LAB_PLANE": self._plane,
            "LAB_UNPRIVILEGED": "1" if privileges(self._plane) else "",
            "STATE_DIR": str(self.folder / "state"),
        }

    def _wait_until_ready(self, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise LabError(f"the local AWS ended at once:\n{self.tail()}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                health = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
                health.request("GET", "/_ministack/health")
                health.getresponse().read()
                health.close()
                return
            time.sleep(0.05)
        raise LabError(f"the local AWS was not ready within {seconds:.0f} s:\n{self.tail()}")

    def tail(self, lines: int = 20) -> str:
        """The last lines of the server's log."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return "(no log)"


@functools.cache
def privileges(plane: str) -> tuple[str, ...]:
    """What goes before the server's command so that it may make namespaces: a user namespace, if we are not root."""
    command = ("unshare", "--user", "--map-root-user", "--")
    if plane == "loopback" or not hasattr(os, "geteuid") or os.geteuid() == 0:
        return ()
    try:
        return () if subprocess.run([*command, "true"], capture_output=True).returncode else command  # noqa: S603
    except OSError:
        return ()


def require_free(port: int) -> None:
    """LabError if something listens on the port already: it would be taken for the lab."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise LabError(f"port {port} is in use: end what listens there, or make lab PORT=4567 ({error})") from error


def remove_stale_runs() -> None:
    """Remove the logs of a failed run, and the folders of runs whose owner was killed, as their servers were then."""
    shutil.rmtree(STATE / "failed", ignore_errors=True)
    for folder in STATE.glob("run-*"):
        with contextlib.suppress(OSError, ValueError):
            if not is_alive(folder):
                shutil.rmtree(folder, ignore_errors=True)


def is_alive(folder: Path) -> bool:
    """Whether the owner of the run with this folder lives. OSError or ValueError if that is not known."""
    try:
        os.kill(int((folder / "owner").read_text()), 0)
    except ProcessLookupError:
        return False
    return True


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for signal_number, seconds in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            break
    # The leader is gone; what it left in its group goes with it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdin:
        process.stdin.close()
