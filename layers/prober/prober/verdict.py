"""Verdicts as JSON that Lambda will carry: an answer of more than 6 MB is lost as a whole."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from linkgate.model import Verdict

LARGEST, SHORTEST = 5_500_000, 400
"""Bytes of an answer, and of a verdict that was cut short. Lambda's quota is 6 MB."""
MOST = 10_000
CUT = "left out: the answer would be too large"


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
            one = _short(verdict)
        told.append(one)
    if len(verdicts) > MOST:
        told[-1]["detail"] = f"{len(verdicts) - MOST} verdicts more were {CUT}"
    return told


def _short(verdict: Verdict) -> dict[str, Any]:
    blank = Verdict(verdict.endpoint_id, verdict.service_id, "", "")
    return asdict(replace(blank, cause="probe_error", detail=CUT))
