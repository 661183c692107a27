"""How fast and how true the canary's prober is, beside a C program, blackbox_exporter and curl; prints two tables.

`python -m bench.probe [rounds]` needs cc, libssl-dev and nginx, and compares with prometheus-blackbox-exporter and curl
(Debian packages of these names); it says what is missing. Every round takes one probe of each kind, in turn: name, TCP,
TLS with every check, GET, status. The server has a CPU of its own where there are two.
"""

import contextlib
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from prober.run import probe_all
from prober.scope import Scope

from bench.crowd import crowd
from bench.delay import delaying, inside
from bench.peer import HOST, NAME, free_port, peer, running
from tests.unit.listeners import Authority

Probe = Callable[[], tuple[float, float]]
"""Makes one probe; milliseconds on our clock, and what the prober itself says it took."""
BLACKBOX = "prometheus-blackbox-exporter"
NEEDED = {"cc": "gcc and libssl-dev", "nginx": "nginx-light"}


def linkgate(host: str, port: int) -> Probe:
    """The prober as the canary's handler calls it, with its scope and threads."""
    scope = Scope.parse(f"{host},{NAME}", str(port), f"{host}/32")
    target = {"name": host, "url": f"https://{host}:{port}/", "server_name": NAME, "expect_status": 200}

    def once() -> tuple[float, float]:
        start = time.perf_counter()
        (verdict,) = probe_all([target], scope, time.monotonic() + 10)
        took = (time.perf_counter() - start) * 1000
        assert verdict.good, verdict
        return took, verdict.phases["total"]

    return once


@contextlib.contextmanager
def floor(folder: Path, host: str, port: int, authority: Path) -> Iterator[Probe]:
    """The same probe in C, in a process that lives as long as ours."""
    program = folder / "floor"
    source = Path(__file__).with_name("floor.c")
    compiler = shutil.which("cc") or "cc"
    subprocess.run([compiler, "-O2", "-o", program, source, "-lssl", "-lcrypto"], check=True)
    with subprocess.Popen(
        [program, host, str(port), NAME, authority], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        asked, told = process.stdin, process.stdout

        def once() -> tuple[float, float]:
            print(file=asked, flush=True)
            took = float(told.readline()) / 1000
            return took, took

        yield once
        asked.close()


def curl(host: str, port: int, authority: Path) -> Probe:
    """A process each time, as curl is; what it says itself leaves its start out."""
    command = ["curl", "-s", "-f", "-o", os.devnull, "-w", "%{time_total}", "--http1.1", "--cacert", str(authority)]
    command += ["--resolve", f"{NAME}:{port}:{host}", f"https://{NAME}:{port}/"]

    def once() -> tuple[float, float]:
        start = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return (time.perf_counter() - start) * 1000, float(done.stdout) * 1000

    return once


@contextlib.contextmanager
def blackbox(folder: Path, host: str, port: int, authority: Path) -> Iterator[Probe]:
    """An exporter that is asked over a connection that stays open; probe_duration_seconds is its own word."""
    mine = free_port()
    settings = {"ca_file": str(authority), "server_name": NAME}
    module = {"prober": "http", "timeout": "3s", "http": {"tls_config": settings, "enable_http2": False}}
    file = folder / "blackbox.yml"
    file.write_text(json.dumps({"modules": {"probe": module}}))
    with running([BLACKBOX, f"--config.file={file}", f"--web.listen-address={HOST}:{mine}"], mine):
        link = http.client.HTTPConnection(HOST, mine)

        def once() -> tuple[float, float]:
            start = time.perf_counter()
            link.request("GET", f"/probe?module=probe&target=https://{host}:{port}/")
            text = link.getresponse().read().decode()
            took = (time.perf_counter() - start) * 1000
            told = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[:1] != "#")
            assert told["probe_success"] == "1", text
            return took, float(told["probe_duration_seconds"]) * 1000

        yield once
        link.close()


def compare(probes: dict[str, Probe], rounds: int) -> dict[str, tuple[float, float, float]]:
    """Medians in milliseconds, on our clock and by the prober's own word, and the 99th percentile on ours."""
    for once in probes.values():
        once()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in probes}
    for number in range(rounds):
        names = list(probes)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            times[name].append(probes[name]())
    return {name: _medians(found) for name, found in times.items()}


def _medians(found: list[tuple[float, float]]) -> tuple[float, float, float]:
    outside, inside = zip(*found, strict=True)
    return statistics.median(outside), statistics.median(inside), sorted(outside)[len(outside) * 99 // 100]


def table(where: str, rows: dict[str, tuple[float, float, float]]) -> None:
    base, own = rows["C and OpenSSL"][:2]
    print(f"{where:<30}{'median ms':>11}{'times C':>9}{'p99 ms':>9}{'by its own word':>18}{'times C':>9}")
    for name, (outside, told, worst) in rows.items():
        print(f"  {name:<28}{outside:>11.2f}{outside / base:>9.2f}{worst:>9.2f}{told:>18.2f}{told / own:>9.2f}")
    print()


def race(where: str, folder: Path, host: str, port: int, rounds: int) -> None:
    """All probers that this machine has, against one address."""
    authority = folder / "authority.pem"
    with contextlib.ExitStack() as stack:
        probes = {"C and OpenSSL": stack.enter_context(floor(folder, host, port, authority))}
        probes["Linkgate"] = linkgate(host, port)
        if shutil.which(BLACKBOX):
            probes["blackbox_exporter"] = stack.enter_context(blackbox(folder, host, port, authority))
        if shutil.which("curl"):
            probes["curl"] = curl(host, port, authority)
        table(where, compare(probes, rounds))


def main(rounds: int) -> None:
    if missing := [f"{name} (Debian: {package})" for name, package in NEEDED.items() if not shutil.which(name)]:
        raise SystemExit(f"bench.probe needs {', '.join(missing)}")
    for tool in (BLACKBOX, "curl"):
        if not shutil.which(tool):
            print(f"not compared: {tool} is missing (Debian: {tool})")
    with contextlib.ExitStack() as stack:
        has_delay = inside("bench.probe")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        authority = Authority.create(folder)
        authority.server(NAME, timedelta(days=-1), timedelta(days=30))
        os.environ["SSL_CERT_FILE"] = str(authority.path)
        port, cpus = stack.enter_context(peer(folder, folder / f"{NAME}-30.pem"))
        race("one TLS probe, loopback", folder, HOST, port, rounds)
        if has_delay:
            host = stack.enter_context(delaying(cpus))
            race("one TLS probe, 1 ms away", folder, host, port, rounds)
            crowd("10.9", port)
        else:
            print("no round trip of 1 ms: it needs Linux, unshare, iproute2, /dev/net/tun and the right to a namespace")
            crowd("127.0", port)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
