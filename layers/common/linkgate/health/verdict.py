"""Reading what a canary says of a target.

A canary may be newer, older, broken or another's: what it says is taken for what was asked, as far as it can be read,
and never for more. Standard library only.
"""

import ipaddress
from collections.abc import Mapping
from typing import Any

from linkgate.health.causes import DERIVED, GOOD, OPEN, ORDER, UNKNOWN
from linkgate.health.targets import Target
from linkgate.model import Verdict

LONGEST_TEXT = 500
PHASES = ("dns", "tcp", "tls", "first_byte", "total")
CAUSES = frozenset(ORDER) - DERIVED | {OPEN, UNKNOWN}
"""What one probe can find (design section 8)."""
NOTHING = {"cause": UNKNOWN, "detail": "the canary said nothing about it"}


def read(target: Target, said: Mapping[str, Any]) -> Verdict:
    """One verdict on a target in words that patrol knows. What cannot be read is no crossing."""
    cause, detail, address = said.get("cause"), _text(said.get("detail")), _address(said.get("address"))
    if cause == GOOD and not address and not target.closed:
        cause, detail = UNKNOWN, "the canary calls it good and names no address"
    elif cause != GOOD and (not isinstance(cause, str) or cause not in CAUSES or _astray(target, cause)):
        cause, detail = UNKNOWN, f"the canary found what patrol does not know: {_text(cause) or 'no cause'}: {detail}"
    return Verdict(
        endpoint_id=target.endpoint,
        service_id=target.service,
        name=target.name.text,
        url=target.url,
        address=address,
        cause=str(cause),
        detail=detail[:LONGEST_TEXT],
        phases=_phases(said.get("phases")),
        retransmits=int(_number(said.get("retransmits")) or 0),
        tls_days_left=_number(said.get("tls_days_left"), least=-100_000),
        http_status=int(status) if (status := _number(said.get("http_status"))) else None,
    )


def _astray(target: Target, cause: str) -> bool:
    """Whether a cause does not fit what was asked."""
    return cause == OPEN and not target.closed


def _text(value: object) -> str:
    """Its words, without characters that would break a line, a terminal, or the bus, which takes no lone surrogate."""
    known = value[:LONGEST_TEXT] if isinstance(value, str) else ""
    return "".join(one if one.isprintable() else "?" for one in known)


def _address(value: object) -> str:
    """An IP address in its one spelling; "" for anything else."""
    try:
        return str(ipaddress.ip_address(value)) if isinstance(value, str) and "%" not in value else ""
    except ValueError:
        return ""


def _phases(value: object) -> dict[str, float]:
    known = value if isinstance(value, dict) else {}
    return {name: number for name in PHASES if (number := _number(known.get(name))) is not None}


def _number(value: object, least: float = 0) -> float | None:
    """A number that the ledger, events and metrics can hold, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # NaN is neither. DynamoDB refuses what is smaller than 1e-130, and with it the whole item.
    return round(value, 3) if least <= value <= 1_000_000_000 else None
