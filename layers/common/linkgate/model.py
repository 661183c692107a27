"""The nouns: connections, rows of the allow-list, decisions. Standard library only; nothing here acts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """What a decision says about a connection that waits for an answer; of a live one, that it is to be cut."""

    ACCEPT = "accept"
    HOLD = "hold"
    REJECT = "reject"
    CUT = "cut"


class Effect(StrEnum):
    """What a row says about the consumers it names."""

    ALLOW = "allow"
    DENY = "deny"
    REVIEW = "review"


class Mode(StrEnum):
    """Whether Linkgate acts on a service's connections or only says what it would do."""

    ENFORCE = "enforce"
    OBSERVE = "observe"


class Reconcile(StrEnum):
    """What happens to a live connection that is no longer allowed: nothing, a report, or a cut."""

    OFF = "off"
    REPORT = "report"
    ENFORCE = "enforce"


class Sync(StrEnum):
    """Whether the accounts of allow rows become allowed principals of the service, and others are removed."""

    OFF = "off"
    ADD = "add"
    EXACT = "exact"


class Reason(StrEnum):
    """Why a decision came out as it did (design section 5, "Decision")."""

    ALLOWED = "allowed"
    DENIED = "denied"
    REVIEW = "review"
    FROZEN = "frozen"
    MALFORMED_ROW = "malformed_row"
    OVER_LIMIT = "over_limit"
    BREAKER = "breaker"
    UNKNOWN_REGION = "unknown_region"
    UNKNOWN_ORGANIZATION = "unknown_organization"
    UNKNOWN_ACCOUNT = "unknown_account"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    WRONG_REGION = "wrong_region"
    NOT_LISTED = "not_listed"

    @property
    def ends(self) -> bool:
        """Whether a live connection that is decided on like this is no longer allowed; every other hold keeps it."""
        return self in (Reason.DENIED, Reason.EXPIRED, Reason.NOT_YET_VALID, Reason.WRONG_REGION, Reason.NOT_LISTED)


class Status(StrEnum):
    """The status of an endpoint in the ledger."""

    HELD = "HELD"
    ACCEPTED = "ACCEPTED"
    VERIFIED = "VERIFIED"
    UNHEALTHY = "UNHEALTHY"
    REJECTED = "REJECTED"
    CUT = "CUT"
    CLOSED = "CLOSED"

    @property
    def live(self) -> bool:
        """Whether traffic may pass in this status."""
        return self in (Status.ACCEPTED, Status.VERIFIED, Status.UNHEALTHY)


class State(StrEnum):
    """A connection's state in EC2, in lower case: the API's model and its answers disagree about letter case."""

    PENDING_ACCEPTANCE = "pendingacceptance"
    PENDING = "pending"
    AVAILABLE = "available"
    DELETING = "deleting"
    DELETED = "deleted"
    REJECTED = "rejected"
    FAILED = "failed"
    EXPIRED = "expired"
    PARTIAL = "partial"
    UNKNOWN = "unknown"

    @classmethod
    def read(cls, text: object) -> "State":
        """The state that EC2 wrote, in any letter case; UNKNOWN for one that is not listed here."""
        lowered = str(text).strip().lower()
        return cls(lowered) if lowered in cls._value2member_map_ else cls.UNKNOWN

    @property
    def live(self) -> bool:
        """Accepted: traffic passes or is about to."""
        return self in (State.PENDING, State.AVAILABLE, State.PARTIAL)

    @property
    def passes(self) -> bool:
        """Traffic passes, at least in part."""
        return self in (State.AVAILABLE, State.PARTIAL)

    @property
    def gone(self) -> bool:
        """Nothing will ever pass again: the consumer must create a new endpoint."""
        return self in (State.DELETING, State.DELETED, State.FAILED, State.EXPIRED)


class RowKey(NamedTuple):
    """The key of one row of the allow-list: `vpce-svc-…` or `*`, and the consumer or a reserved word."""

    service: str
    consumer: str

    def __str__(self) -> str:
        return f"{self.service}/{self.consumer}"


@dataclass(frozen=True, slots=True)
class Connection:
    """One endpoint connection as EC2 describes it. `region` is "" where EC2 does not say."""

    service: str
    endpoint: str
    account: str
    region: str
    state: State
    created: datetime
    dns_names: tuple[str, ...] = ()
    connection_id: str = ""
    """`vpce-con-…`, which tags are written to; "" where EC2 does not say."""
    tags: Mapping[str, str] = field(default_factory=dict, compare=False, hash=False)
    attachment: str = ""
    """`tgw-attach-…`, where a transit gateway attachment is connected in place of an endpoint, which is "" then."""
    raw_state: str = ""
    """EC2's own word for a `state` that is UNKNOWN."""
    ip_type: str = ""
    """`ipv4`, `ipv6` or `dualstack`; "" where EC2 does not say."""

    @property
    def waits(self) -> bool:
        """Whether somebody has to accept or reject it."""
        return self.state is State.PENDING_ACCEPTANCE


@dataclass(frozen=True, slots=True)
class Lineage:
    """The place of an account in its organisation: OU ids from the nearest to the root's child, then `o-…`.

    () for an account outside the organisation. Where it is unknown, `unknown` is the reason to hold what a row of
    an OU or of the organisation could change, and `why` a sentence about it.
    """

    units: tuple[str, ...] = ()
    unknown: Reason | None = None
    why: str = ""


OUTSIDE = Lineage()


@dataclass(frozen=True, slots=True)
class DecisionContext:
    """What a decision takes into account beside the connection, the rows and the time.

    `live` counts the other connections that the consumer's account has on the service, live or about to be; `unmatched`
    are rows whose keys are of no known form and that may have been meant for this service.
    """

    live: int = 0
    lineage: Lineage = OUTSIDE
    unmatched: tuple[RowKey, ...] = ()
    breaker: bool = False
    """Whether as many connections were rejected within the hour as max_rejects lets through."""


ALONE = DecisionContext()


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the allow-list that can be read. Empty `regions` means any Region, no `limit` any number."""

    key: RowKey
    effect: Effect
    limit: int | None = None
    cut: bool = False
    """Deny only: live connections are cut at once, whatever reconcile and the breaker say."""
    starts_at: datetime | None = None
    expires_at: datetime | None = None
    regions: frozenset[str] = frozenset()
    people: Mapping[str, str] = field(default_factory=dict)
    """owner, reason, ticket and note: for people, copied into the decision."""

    def out_of_date(self, now: datetime) -> Reason | None:
        """EXPIRED or NOT_YET_VALID; None while its dates hold."""
        if self.expires_at and now >= self.expires_at:
            return Reason.EXPIRED
        return Reason.NOT_YET_VALID if self.starts_at and now < self.starts_at else None


@dataclass(frozen=True, slots=True)
class MalformedRow:
    """A row that cannot be read: it never widens access. `problem` is a sentence for the row's editor."""

    key: RowKey
    attribute: str
    problem: str

    def __str__(self) -> str:
        return f"row {self.key}: {self.problem}"


class UnusedRow(NamedTuple):
    """A row of which an attribute means nothing where it stands; `problem` is a sentence for the row's editor."""

    key: RowKey
    attribute: str
    problem: str

    def __str__(self) -> str:
        return f"row {self.key}: {self.problem}"


class Budget(NamedTuple):
    """How many acts a breaker lets through: a number, or a percentage of live connections."""

    amount: int
    percent: bool = False

    def of(self, live: int) -> int:
        """The number it means while so many connections are live; a part of one is none."""
        return self.amount * live // 100 if self.percent else self.amount


FIVE, HUNDRED = Budget(5), Budget(100)


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """The `@settings` of a service after its own row was laid over that of `*` (design section 5)."""

    mode: Mode = Mode.OBSERVE
    default: Outcome = Outcome.HOLD
    reconcile: Reconcile = Reconcile.REPORT
    grace: timedelta = timedelta(seconds=60)
    max_cuts: Budget = FIVE
    max_rejects: Budget = HUNDRED
    frozen_until: datetime | None = None
    stale_after: timedelta = timedelta(days=3)
    sync_permissions: Sync = Sync.OFF
    probe: tuple[str, ...] = ()


class NearMiss(NamedTuple):
    """A row that would have applied, had its condition held."""

    key: RowKey
    reason: Reason


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, which carries its own reason.

    `row` is the row that decided (None: no row, the default did), `applied` every row that applied, the most
    specific first, `policy_hash` the SHA-256 of all that was read from the table for it.
    """

    outcome: Outcome
    reason: Reason
    mode: Mode
    policy_hash: str
    row: RowKey | None = None
    applied: tuple[RowKey, ...] = ()
    near_misses: tuple[NearMiss, ...] = ()
    people: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    """One sentence about what is wrong where the reason alone does not say it: the malformed row."""
    limit: int | None = None
    """That of the allow row which decided."""
    cut_now: bool = False
    """A deny that applies says `cut: now`."""
    certain: bool = True
    """False where the consumer's lineage is unknown: rows were read that may not cover it."""

    def says(self) -> tuple[str, str, str]:
        """What people care about: outcome, reason, deciding row."""
        return self.outcome, self.reason, str(self.row or "")

    @property
    def acts(self) -> bool:
        """Whether EC2 is called: to accept, to reject or to cut."""
        return self.mode is Mode.ENFORCE and self.outcome is not Outcome.HOLD

    @property
    def rejects(self) -> bool:
        """Whether EC2 is called to reject a connection that waits."""
        return self.acts and self.outcome is Outcome.REJECT
