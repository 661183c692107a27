"""An endpoint's health from its last probe rounds: unhealthy when three of five are bad, as the alarm counts."""

import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from linkgate.health.causes import OPEN, phase_of
from linkgate.health.diagnosis import Diagnosis
from linkgate.health.evidence import Evidence
from linkgate.model import Status

ROUNDS, BAD_ROUNDS = 5, 3
OPEN_ROUNDS = 2
"""Rounds in a row that find open what must be closed: EC2's data path follows its state, a moment later."""
FORGOTTEN_AFTER = timedelta(hours=1)
"""How long an endpoint is called verified that no canary reaches any more."""
MOST_ERRORS, LONGEST_ERROR = 5, 200
"""Reasons why something was not probed that are kept, and characters of each."""
LONGEST = 1000
"""Characters of evidence."""
REFRESH, SPREAD_SECONDS = timedelta(minutes=10), 300
"""How old what is kept about a healthy endpoint may grow; by how much that differs between endpoints."""


def grown(recent: str, good: bool) -> str:
    """The last rounds with one more, newest last: `1` good, `0` bad."""
    return (recent + ("1" if good else "0"))[-ROUNDS:]


def status_after(status: Status, recent: str) -> Status:
    """Where an accepted endpoint stands after its last rounds."""
    if recent.count("0") >= BAD_ROUNDS and (status is Status.UNHEALTHY or recent.endswith("0")):
        return Status.UNHEALTHY
    if status is Status.ACCEPTED:
        return Status.VERIFIED if recent.endswith("1") else Status.ACCEPTED
    return Status.VERIFIED


def forgotten(status: Status, health: Mapping[str, Any], now: datetime) -> bool:
    """Whether nobody has found anything out of a verified endpoint for so long that it is only accepted again."""
    if status is not Status.VERIFIED:
        return False
    looked_at = health.get("looked_at") or health.get("checked_at")
    return not looked_at or now - datetime.fromisoformat(str(looked_at)) >= FORGOTTEN_AFTER


def is_open(recent: str, cause: str) -> bool:
    """Whether an endpoint that must stay out has got in for long enough to say so."""
    return cause == OPEN and recent.endswith("0" * OPEN_ROUNDS)


def record(diagnosis: Diagnosis, evidence: Evidence, before: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """What the ledger keeps of a round; DynamoDB has no floats. Times in ISO 8601, phases in milliseconds.

    Of a bad round the verdict that shows what is wrong, of a good one the slowest. `looked_at` is when anybody last
    found anything out, `errors` is why something was not probed, `left_out` what the canary cannot cross.
    """
    looked_at = (
        now.isoformat() if diagnosis.conclusive else str(before.get("looked_at") or before.get("checked_at", ""))
    )
    shown = diagnosis.verdict if diagnosis.cause else evidence.slowest
    # A cause that belongs to no phase has that of the verdict which shows it.
    phase = phase_of(diagnosis.cause) or phase_of(diagnosis.verdict.cause if diagnosis.verdict else "")
    seen_at = now.isoformat() if evidence.private_works else str(before.get("private_seen_at", ""))
    return {
        "cause": diagnosis.cause,
        "detail": diagnosis.evidence[:LONGEST],
        "also": list(diagnosis.also),
        "phase": phase,
        "url": shown.target.url if shown else "",
        "address": shown.address if shown else "",
        "zone": evidence.zone_of(shown) if shown else "",
        "phases": {name: Decimal(str(value)) for name, value in shown.phases.items()} if shown else {},
        "left_out": evidence.left_out if evidence.probed else str(before.get("left_out", "")),
        "private_seen_at": seen_at,
        "checked_at": now.isoformat(),
        "looked_at": looked_at,
        "errors": list(dict.fromkeys(one[:LONGEST_ERROR] for one in evidence.errors))[:MOST_ERRORS],
    }


def outdated(endpoint: str, before: Mapping[str, Any], after: Mapping[str, Any], now: datetime) -> bool:
    """Whether what is kept must be written anew: what matters changed, or it has grown old.

    Endpoints grow old at different times, so that thousands are not written in one round.
    """
    if not before.get("checked_at") or before.get("cause") != after["cause"]:
        return True
    if bool(before.get("private_seen_at")) != bool(after["private_seen_at"]):
        return True
    if before.get("errors", []) != after.get("errors", []) or before.get("left_out", "") != after.get("left_out", ""):
        return True
    lasts = REFRESH + timedelta(seconds=zlib.crc32(endpoint.encode()) % SPREAD_SECONDS)
    return now - datetime.fromisoformat(str(before["checked_at"])) >= lasts
