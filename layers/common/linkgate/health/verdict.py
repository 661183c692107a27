"""What a canary found at one address of a target, and how its words are read.

A canary may be newer, older, broken or another's: what it says is taken for what was asked, as far as it can be read,
and never for more.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from linkgate.health.causes import GOOD, OPEN, PROBED, RANK, SILENT, UNKNOWN, phase_of
from linkgate.health.targets import Kind, Target

LONGEST_TEXT = 500
PHASES = ("dns", "tcp", "tls", "first_byte", "total")
NOTHING = {"cause": UNKNOWN, "detail": "the canary said nothing about it"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One probe of one address ("": of none). `cause` "" is good; phase times in milliseconds."""

    target: Target
    address: str = ""
    cause: str = ""
    detail: str = ""
    phases: Mapping[str, float] = field(default_factory=dict)
    retransmits: int = 0
    tls_days_left: float | None = None

    @property
    def good(self) -> bool:
        """Whether the probe saw what it expected."""
        return self.cause == GOOD

    @property
    def private(self) -> bool:
        """Whether a private name was probed."""
        return self.target.name.kind is Kind.PRIVATE

    @property
    def zone(self) -> str:
        """The zone of the zonal name that was probed, as the consumer calls it."""
        return self.target.name.zone

    @property
    def socket(self) -> tuple[str, int]:
        """The address and the port that were probed."""
        return self.address, self.target.probe.port

    @property
    def rank(self) -> int:
        """How far it got; only where it is good or its cause has a rank."""
        return len(RANK) if self.good else RANK[self.cause]

    @property
    def answered(self) -> bool:
        """Whether anything came back from the address, if only a reset."""
        return self.rank > RANK["tcp_timeout"]

    @property
    def hangs(self) -> bool:
        """Whether it got a connection and then sent packets again, in vain.

        Without a connection that proves nothing: nobody may be there.
        """
        return self.cause in SILENT[1:] and self.retransmits > 0

    def tries(self, cause: str) -> bool:
        """Whether its probe goes through the phase that a cause belongs to."""
        needed = {"tls": ("tls", "https"), "http": ("http", "https")}.get(phase_of(cause))
        return needed is None or self.target.probe.scheme in needed


def read(target: Target, said: Mapping[str, Any]) -> Verdict:
    """One verdict on a target. What cannot be read is `probe_error`, and so is a good one that names no address."""
    cause, detail, address = said.get("cause"), _text(said.get("detail")), _address(said.get("address"))
    fits = isinstance(cause, str) and (cause == GOOD or cause in PROBED) and (cause != OPEN or target.closed)
    if not fits:
        cause, detail = UNKNOWN, f"the canary found what patrol does not know: {_text(cause) or 'no cause'}: {detail}"
    elif cause == GOOD and not address and not target.closed:
        cause, detail = UNKNOWN, "the canary calls it good and names no address"
    phases = said.get("phases")
    numbers = {name: _number(phases.get(name)) for name in PHASES} if isinstance(phases, dict) else {}
    return Verdict(
        target,
        address,
        str(cause),
        detail[:LONGEST_TEXT],
        phases={name: number for name, number in numbers.items() if number is not None},
        retransmits=int(_number(said.get("retransmits")) or 0),
        tls_days_left=_number(said.get("tls_days_left"), least=-100_000),
    )


def _text(value: object) -> str:
    """A text without characters that would break a line, a terminal, or the bus, which takes no lone surrogate."""
    known = value[:LONGEST_TEXT] if isinstance(value, str) else ""
    return "".join(one if one.isprintable() else "?" for one in known)


def _address(value: object) -> str:
    """An IP address in its one spelling; "" for anything else."""
    try:
        return str(ipaddress.ip_address(value)) if isinstance(value, str) and "%" not in value else ""
    except ValueError:
        return ""


def _number(value: object, least: float = 0) -> float | None:
    """A number that the ledger, events and metrics can hold, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # NaN is neither. DynamoDB refuses what is smaller than 1e-130, and with it the whole item.
    return round(value, 3) if least <= value <= 1_000_000_000 else None
