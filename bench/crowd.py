"""200 targets in one run of the prober on a small function's share of a CPU: how long, and how true are its times."""

import contextlib
import json
import resource
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from prober import tcp
from prober.clock import Clock
from prober.run import probe_all
from prober.scope import Scope

from bench.peer import NAME

TARGETS = 200
SHARE = 512 / 1769
"""Of one CPU: Lambda gives a whole one to a function of 1,769 MB, and less in proportion."""
PERIOD = 20_000
"""Microseconds, as Lambda's own quota is said to have."""


def crowd(block: str, port: int) -> None:
    """Run it in a process of its own under the quota, and print what it found."""
    with contextlib.ExitStack() as stack:
        command = [sys.executable, "-m", "bench.crowd", block, str(port)]
        process = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        how = stack.enter_context(_slowed(process.pid))
        text, _ = process.communicate("go\n")
    print(f"{TARGETS} targets in one run, with {how}")
    for name, value in json.loads(text).items():
        print(f"  {name:<44}{value:>10}")


@contextlib.contextmanager
def _slowed(process: int) -> Iterator[str]:
    """Leave a process SHARE of a CPU, by a quota where control groups may be made; says how."""
    quota = int(PERIOD * SHARE)
    first, second = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
    root = first if first.exists() else second
    group = root / f"linkgate-bench-{process}"
    try:
        group.mkdir()
        if root is first:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (group / "cpu.max").write_text(f"{quota} {PERIOD}")
        (group / "cgroup.procs").write_text(str(process))
    except OSError:
        with contextlib.suppress(OSError):
            group.rmdir()
        with _crowded():
            yield "a quarter of a CPU, shared with three processes that burn it (no control group may be made)"
        return
    yield f"{SHARE:.0%} of a CPU, by a quota of {quota / 1000:.1f} ms in {PERIOD / 1000:.0f} ms"
    with contextlib.suppress(OSError):
        group.rmdir()


@contextlib.contextmanager
def _crowded() -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            burner = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(burner.kill)
        yield


def run(block: str, port: int) -> dict[str, float | int]:
    """One run over TARGETS addresses of a block such as 10.9, HTTPS each."""
    hosts = [f"{block}.1.{number}" for number in range(1, TARGETS + 1)]
    scope = Scope.parse(",".join((*hosts, NAME)), str(port), f"{block}.0.0/16")
    targets = [{"name": host, "url": f"https://{host}:{port}/", "server_name": NAME} for host in hosts]
    kernel = _round_trips()
    sys.stdin.readline()
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.monotonic()
    verdicts = probe_all(targets, scope, start + 57)
    took = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    tcp = [verdict.phases.get("tcp", 0.0) for verdict in verdicts]
    off = sorted(abs(time - kernel.get(verdict.address, 0)) for time, verdict in zip(tcp, verdicts, strict=True))
    return {
        "good verdicts": sum(verdict.good for verdict in verdicts),
        "seconds": round(took, 2),
        "CPU seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "peak memory, MiB": round(after.ru_maxrss / 1024, 1),
        "TCP, median ms": round(statistics.median(tcp), 3),
        "the kernel's round trip, median ms": round(statistics.median(kernel.values()), 3),
        "TCP beside the kernel, median ms": round(statistics.median(off), 3),
        "TCP beside the kernel, 90th percentile ms": round(off[len(off) * 90 // 100], 3),
        "TLS, median ms": round(statistics.median(v.phases.get("tls", 0.0) for v in verdicts), 3),
    }


def _round_trips() -> dict[str, float]:
    """The kernel's own milliseconds for each address that is connected to from now on (tcpi_rtt of linux/tcp.h)."""
    found: dict[str, float] = {}
    real = tcp.connect

    def connect(stream: socket.socket, address: str, port: int, clock: Clock) -> None:
        real(stream, address, port, clock)
        info = stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 72)
        found[address] = struct.unpack_from("=I", info, 68)[0] / 1000

    tcp.connect = connect
    return found


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], int(sys.argv[2]))))
