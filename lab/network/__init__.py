"""The lab's data plane: endpoint names resolve, and packets pass or are dropped as the control plane says.

Everything is derived from the control plane's own state (lab.privatelink, and ministack's elbv2 and ec2); nothing is
configured here. There are two planes: lab.network.namespaces, where the machine allows it, and lab.network.loopback,
which needs nothing and shows less.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lab.network.plane import Plane
from lab.network.topology import Topology

__all__ = ["Plane", "install"]


def install(folder: Path, lab_port: int, wanted: str) -> Plane:
    """Start the data plane of this process and let it follow the control plane, and the file `faults` in `folder`.

    `wanted` is "namespaces", "loopback", or "" for the first that this machine allows; `lab_port` is where the local
    AWS listens. The plane in force is written to `plane.json` in the folder (see lab.harness.dataplane). Raises
    AddressError if the loopback addresses cannot be had, SystemExit with a sentence if namespaces cannot, but must.
    """
    # ministack reads its environment when it is imported: not before a lab starts.
    from lab import privatelink
    from lab.network.control import cloudformation, target_health, view

    def look() -> Topology:
        return replace(view.topology(), faults=_faults(folder))

    plane = _plane(look, folder, lab_port, wanted)
    target_health.install(plane.fails)
    cloudformation.install()
    privatelink.on_change(plane.wake)
    plane.start()
    plane.refresh()
    return plane


def _plane(look: Callable[[], Topology], folder: Path, lab_port: int, wanted: str) -> Plane:
    from lab.network.loopback.plane import LoopbackPlane
    from lab.network.namespaces import KernelError, NamespacesPlane

    reason = "LAB_PLANE=loopback"
    if wanted != "loopback":
        try:
            return NamespacesPlane(look, folder, lab_port)
        except KernelError as error:
            reason = str(error)
            if wanted:
                raise SystemExit(f"LAB_PLANE={wanted}: {reason}") from error
    plane = LoopbackPlane(look)
    (folder / "plane.json").write_text(json.dumps({"plane": "loopback", "because": reason}))
    return plane


def _faults(folder: Path) -> frozenset[str]:
    try:
        return frozenset((folder / "faults").read_text().split())
    except FileNotFoundError:
        return frozenset()
