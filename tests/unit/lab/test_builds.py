"""What labs side by side share of a build: only one that was finished."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.harness import deploy
from lab.harness.process import LabError


class Sam:
    """A SAM CLI that writes the template and then, as often as `failures`, fails."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.builds = failures, 0

    def __call__(self, lab: object, account: str, *arguments: str) -> None:
        self.builds += 1
        folder = Path(arguments[arguments.index("--build-dir") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "template.yaml").touch()
        if self.builds <= self.failures:
            raise LabError("killed")


def lab(folder: Path) -> Any:
    return SimpleNamespace(folder=folder)


@pytest.mark.parametrize(("shared", "builds"), [(True, 1), (False, 2)])
def test_a_folder_that_is_named_has_one_build_for_all_labs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool, builds: int
) -> None:
    monkeypatch.setattr(deploy, "_sam", sam := Sam())
    monkeypatch.setenv(deploy.BUILDS, str(tmp_path) if shared else "")
    for name in ("one", "two"):
        assert deploy._build(lab(tmp_path / name), Path("shop.yaml")).exists()
    assert sam.builds == builds


def test_a_build_that_failed_half_way_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "_sam", sam := Sam(failures=1))
    monkeypatch.setenv(deploy.BUILDS, str(tmp_path))
    with pytest.raises(LabError, match="killed"):
        deploy._build(lab(tmp_path), Path("shop.yaml"))
    deploy._build(lab(tmp_path), Path("shop.yaml"))
    assert sam.builds == 2
