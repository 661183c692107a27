"""The conformance suite of tests/policy/, in the format of linkgate_cli.cases."""

from pathlib import Path

from linkgate_cli.cases import Case, load

SUITE = Path(__file__).parent / "policy"


def suite(folder: Path = SUITE) -> list[Case]:
    """Every case of every file. Raises Unusable."""
    return [case for path in sorted(folder.glob("*.yaml")) for case in load(path.name, path.read_text())]
