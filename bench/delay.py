"""A network with a round trip: whatever is sent to 10.9.0.0/16 comes back to this machine a little later.

Packets that leave by a TUN device are held for half the round trip, and return with their two addresses swapped, which
changes no checksum: so a server here is reached at any address of the block, and its answers go the same way. It runs
in a network namespace of its own (`inside`), and leaves nothing behind.
"""

import contextlib
import fcntl
import os
import select
import shutil
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator

ADDRESS, BLOCK = "10.9.0.1", "10.9.0.0/16"
ROUND_TRIP = 0.001
"""Seconds, as between two zones of a Region."""
_TUNSETIFF, _TUN, _NO_HEADER = 0x400454CA, 0x0001, 0x1000
"""linux/if_tun.h"""
_INSIDE = "LINKGATE_BENCH_NAMESPACE"


def inside(module: str) -> bool:
    """Whether this process is in a namespace of its own; if it can have one, it starts anew there and never returns."""
    if os.environ.get(_INSIDE):
        subprocess.run([_ip(), "link", "set", "lo", "up"], check=True)
        return True
    program = shutil.which("unshare")
    enter = [program or "unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    can = program and shutil.which("ip") and os.access("/dev/net/tun", os.W_OK)
    if not can or subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        return False
    os.environ[_INSIDE] = "1"
    os.execv(enter[0], [*enter, sys.executable, "-m", module, *sys.argv[1:]])  # noqa: S606


@contextlib.contextmanager
def delaying(cpus: frozenset[int]) -> Iterator[str]:
    """The delay line, in a process on these CPUs; an address of the block."""
    with subprocess.Popen([sys.executable, "-m", "bench.delay"], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        os.sched_setaffinity(process.pid, cpus)
        try:
            yield "10.9.0.2"
        finally:
            process.terminate()


def _ip() -> str:
    return shutil.which("ip") or "ip"


def _reflect(device: int) -> None:
    held: deque[tuple[float, bytes]] = deque()
    while True:
        wait = max(0.0, held[0][0] - time.monotonic()) if held else None
        if select.select([device], [], [], wait)[0]:
            packet = os.read(device, 65536)
            if packet[0] >> 4 == 4:
                swapped = packet[:12] + packet[16:20] + packet[12:16] + packet[20:]
                held.append((time.monotonic() + ROUND_TRIP / 2, swapped))
        while held and held[0][0] <= time.monotonic():
            os.write(device, held.popleft()[1])


if __name__ == "__main__":
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH22x", b"delay", _TUN | _NO_HEADER))
    subprocess.run([_ip(), "address", "add", f"{ADDRESS}/16", "dev", "delay"], check=True)
    subprocess.run([_ip(), "link", "set", "delay", "up"], check=True)
    print("ready", flush=True)
    _reflect(tun)
