"""What a canary answers: a verdict on each probed address (events/schemas/canary-verdicts.json)."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

LARGEST, SHORTEST = 5_500_000, 400
"""Bytes of an answer, and of a verdict that was cut short. Lambda's quota is 6 MB: a longer answer is lost whole."""
MOST = 10_000
LONGEST_DETAIL = 300
CUT = "left out: the answer would be too large"
OUT_OF_TIME = "not probed: the canary ran out of time"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one probe of one address found. Phase times in milliseconds; `cause` "" is good.

    `tls_days_left` is that of the certificate of an accepted chain that ends first; 0 or less where one was refused for
    its date.
    """

    endpoint_id: str
    service_id: str
    name: str
    url: str
    address: str = ""
    cause: str = ""
    detail: str = ""
    phases: Mapping[str, float] = field(default_factory=dict)
    retransmits: int = 0
    tls_days_left: float | None = None
    http_status: int | None = None

    @classmethod
    def blank(cls, target: object) -> Self:
        """The verdict on a target that was not probed; its id, name and url in few and harmless characters."""
        known = target if isinstance(target, Mapping) else {}
        return cls(
            endpoint_id=_echo(known.get("endpoint_id"), 40),
            service_id=_echo(known.get("service_id"), 40),
            name=_echo(known.get("name"), 255),
            url=_echo(known.get("url"), 2000),
            cause="probe_error",
            detail=OUT_OF_TIME,
        )

    @property
    def good(self) -> bool:
        """Whether the probe saw what it expected."""
        return not self.cause

    def saying(self, cause: str, detail: str, **seen: Any) -> Self:
        """The same verdict with what was found."""
        return replace(self, cause=cause, detail=detail[:LONGEST_DETAIL], **seen)


def report(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Verdicts as objects, in their order, as many in full as fit; the others say that they were cut short.

    Of more than MOST the last says how many are missing. What is cut short blames nobody: `probe_error`.
    """
    told, room = [], LARGEST - SHORTEST * min(len(verdicts), MOST)
    for verdict in verdicts[:MOST]:
        one = asdict(verdict)
        size = len(json.dumps(one))
        if size <= room + SHORTEST:
            room -= size - SHORTEST
        else:
            one = asdict(Verdict(verdict.endpoint_id, verdict.service_id, "", "", cause="probe_error", detail=CUT))
        told.append(one)
    if len(verdicts) > MOST:
        told[-1]["detail"] = f"{len(verdicts) - MOST} verdicts more were {CUT}"
    return told


def _echo(value: object, most: int) -> str:
    if not isinstance(value, str):
        return ""
    short = value[:most]
    return short if short.isascii() and short.isprintable() else re.sub(r"[^\x20-\x7e]", "?", short)
