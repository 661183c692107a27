"""Which data plane a lab gets, and what it says where it is not the one with namespaces."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from lab import network
from lab.harness.dataplane import DataPlane
from lab.harness.process import LabError, LabProcess
from lab.network import namespaces
from lab.network.namespaces import KernelError, vpc
from lab.network.topology import Topology


def unable(look: Callable[[], Topology], folder: Path, lab_port: int) -> Any:
    """A plane of namespaces on a machine that has none."""
    raise KernelError("nft not found (Debian: apt-get install nftables)")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(namespaces, "NamespacesPlane", unable)
    return tmp_path


def choose(folder: Path, wanted: str) -> DataPlane:
    """The plane that is chosen, stopped at once, as another process sees it."""
    plane = cast(Any, network._plane(Topology, folder, 1, wanted))
    plane.start()
    plane.stop()
    return DataPlane(folder)


def test_without_namespaces_the_lab_falls_back_to_loopback_and_says_why(folder: Path) -> None:
    data_plane = choose(folder, "")
    assert (data_plane.kind, data_plane.because) == ("loopback", "nft not found (Debian: apt-get install nftables)")
    with pytest.raises(LabError, match="the lab has no namespaces to enter: nft not found"):
        data_plane.enter("vpc-1")


def test_loopback_can_be_asked_for(folder: Path) -> None:
    assert choose(folder, "loopback").because == "LAB_PLANE=loopback"


def test_namespaces_that_were_asked_for_and_cannot_be_had_are_an_end_with_a_reason(folder: Path) -> None:
    with pytest.raises(SystemExit, match="LAB_PLANE=namespaces: nft not found"):
        choose(folder, "namespaces")


def test_an_unknown_plane_is_answered_with_those_there_are() -> None:
    with pytest.raises(LabError, match="LAB_PLANE=bridge: there are namespaces and loopback"):
        LabProcess(plane="bridge").__enter__()


def test_a_missing_tool_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vpc, "_TOOLS", {"no-such-ip": "iproute2", "no-such-nft": "nftables"})
    with pytest.raises(KernelError) as raised:
        vpc.require_machine(cast(Any, None), tmp_path)
    assert str(raised.value) == "no-such-ip, no-such-nft not found (Debian: apt-get install iproute2 nftables)"
