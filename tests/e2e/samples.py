"""What AWS really sent, kept below events/aws: SNS bodies, connections as they are described, codes of errors."""

import json
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from tests.infrastructure.stack import ROOT

FOLDER = ROOT / "events" / "aws"
OWN, SECOND, OTHER = "111111111111", "222222222222", "333333333333"
"""What accounts become: the caller's, the second one, and any other."""
SECRETS = ("Signature", "SigningCertURL", "UnsubscribeURL")


def stored(samples: Mapping[str, Any], folder: Path, own: str, second: str = "") -> None:
    """Write samples, without account ids and signatures, a file each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, sample in samples.items():
        text = json.dumps(_plain(sample), indent=2, sort_keys=True, default=_text)
        (folder / f"{name}.json").write_text(anonymous(text, own, second) + "\n")


def anonymous(text: str, own: str, second: str = "") -> str:
    """Text without the ids of accounts."""
    known = {own: OWN, second: SECOND}
    return re.sub(r"(?<![0-9a-zA-Z])[0-9]{12}(?![0-9a-zA-Z])", lambda match: known.get(match[0], OTHER), text)


def shape(sample: Any) -> Any:
    """Which fields a sample has, and of which types; of a list its first member."""
    if isinstance(sample, dict):
        return {name: shape(value) for name, value in sorted(sample.items())}
    if isinstance(sample, list):
        return [shape(one) for one in sample[:1]]
    return type(sample).__name__


def _plain(sample: Any) -> Any:
    """A sample without what signs it."""
    if isinstance(sample, Mapping):
        return {name: "…" if name in SECRETS else _plain(value) for name, value in sample.items()}
    return [_plain(one) for one in sample] if isinstance(sample, list) else sample


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
