"""What is asked about consumers before a decision: their slots, and their place in the organisation if it matters."""

from dataclasses import replace
from datetime import timedelta

import pytest
from linkgate.approve.context import ROLE_MISSING, ContextReader, LedgerState, ServiceContext
from linkgate.errors import Unavailable
from linkgate.ledger.breaker import Breaker, Counted, Spent, cuts_name, rejects_name, spend
from linkgate.ledger.sets import NamedSets, block_name, written
from linkgate.ledger.slots import take
from linkgate.model import Connection, Decision, DecisionContext, Lineage, Mode, Outcome, Reason, RowKey, State
from linkgate.policy.decide import Rows

from tests.fakes import FakeTable
from tests.organization import FakeOrganization
from tests.world import CONSUMER, OTHER, REGION, START, endpoint_id, service_id

SERVICE, SECOND = service_id(1), service_id(2)
A, B, C = endpoint_id(1), endpoint_id(2), endpoint_id(3)
UNIT, ORGANIZATION = "ou-ab12-11111111", "o-a1b2c3d4e5"


class Asked(FakeOrganization):
    """An organisation that remembers who was asked about."""

    def __init__(self) -> None:
        super().__init__({CONSUMER: (UNIT, ORGANIZATION)})
        self.accounts: list[str] = []

    def lineage(self, account: str) -> tuple[str, ...]:
        self.accounts.append(account)
        return super().lineage(account)


@pytest.fixture
def store() -> FakeTable:
    return FakeTable()


@pytest.fixture
def organization() -> Asked:
    return Asked()


def asking(endpoint: str = A, account: str = CONSUMER, seconds: int = 0) -> Connection:
    """Somebody asks, so many seconds later than others."""
    created = START + timedelta(seconds=seconds)
    return Connection(SERVICE, endpoint, account, REGION, State.PENDING_ACCEPTANCE, created)


def live(endpoint: str = A, account: str = CONSUMER) -> Connection:
    return replace(asking(endpoint, account), state=State.AVAILABLE)


def claim(store: FakeTable, service: str, account: str, *endpoints: str) -> None:
    for endpoint in endpoints:
        store.write(take(service, account, endpoint))


def rows(*keys: tuple[str, str]) -> Rows:
    return {RowKey(*key): {"service": key[0], "consumer": key[1], "effect": "allow"} for key in keys}


def found(store: FakeTable, organization: FakeOrganization | None, table: Rows, *accounts: str) -> ServiceContext:
    return contexts(store, organization).of(SERVICE, accounts or (CONSUMER,), table)


def contexts(store: FakeTable, organization: FakeOrganization | None = None) -> ContextReader:
    return ContextReader(NamedSets(store), Breaker(store), organization)


def decision(outcome: Outcome, mode: Mode = Mode.ENFORCE) -> Decision:
    return Decision(outcome, Reason.ALLOWED, mode, "hash")


# ------------------------------------------------------------------ slots


def test_every_other_connection_of_the_account_counts_and_its_own_does_not(store: FakeTable) -> None:
    claim(store, SERVICE, CONSUMER, A, B)
    claim(store, SERVICE, OTHER, C)
    claim(store, SECOND, CONSUMER, endpoint_id(9))
    standing = found(store, None, {}, CONSUMER, OTHER)
    counted = [
        standing.of(asking(endpoint, account), START).live for endpoint, account in [(A, CONSUMER), (C, CONSUMER)]
    ]
    assert counted == [1, 2]
    assert [standing.of(asking(endpoint, OTHER), START).live for endpoint in (A, C)] == [1, 0]
    assert standing.of(live(A, "444444444444"), START) == DecisionContext()


def test_what_is_decided_counts_for_the_next(store: FakeTable) -> None:
    standing = found(store, None, {})
    counted = []
    for outcome in (Outcome.ACCEPT, Outcome.ACCEPT, Outcome.HOLD, Outcome.ACCEPT, Outcome.REJECT):
        standing.decided(asking(A), decision(outcome), START)
        counted.append(standing.of(asking(B), START).live)
    assert counted == [1, 1, 0, 1, 0]


def test_slots_that_are_known_already_are_not_read_and_stay_as_they_are(store: FakeTable) -> None:
    claim(store, SERVICE, CONSUMER, B)
    known = {CONSUMER: frozenset({B, C})}
    standing = contexts(store).of(SERVICE, [CONSUMER, OTHER], {}, slots=known)
    assert [standing.of(asking(A, account), START).live for account in (CONSUMER, OTHER)] == [2, 0]
    standing.decided(asking(A), decision(Outcome.ACCEPT), START)
    assert known == {CONSUMER: frozenset({B, C})}


# ------------------------------------------------------------------ rejections


BUDGET: Rows = {
    RowKey(SERVICE, "@settings"): {"service": SERVICE, "consumer": "@settings", "mode": "enforce", "max_rejects": "2"},
    RowKey(SERVICE, "@release"): {"service": SERVICE, "consumer": "@release", "endpoints": C},
}


def test_rejections_within_the_hour_are_counted_but_for_those_that_are_released(store: FakeTable) -> None:
    standing = found(store, None, BUDGET)
    tripped = []
    for endpoint in (C, A, B):
        standing.decided(asking(endpoint), decision(Outcome.REJECT), START)
        tripped.append(standing.of(asking(endpoint_id(9)), START).breaker)
    assert tripped == [False, False, True]
    assert [standing.of(asking(C), START).breaker, standing.of(live(A), START).breaker] == [False, False]
    hours = [standing.of(asking(), START + timedelta(minutes=minutes)).breaker for minutes in (60, 61)]
    assert hours == [True, False]


@pytest.mark.parametrize("said", [decision(Outcome.REJECT, Mode.OBSERVE), decision(Outcome.HOLD)])
def test_what_is_not_told_to_ec2_spends_nothing(store: FakeTable, said: Decision) -> None:
    standing = found(store, None, BUDGET)
    standing.decided(asking(), said, START)
    assert standing.spent == Spent()


def test_what_others_counted_is_read(store: FakeTable) -> None:
    store.write(spend(rejects_name(SERVICE), Spent(), START))
    store.write(spend(cuts_name(SECOND), Spent(), START))
    assert found(store, None, BUDGET).spent.within_the_hour(START) == 1
    kept = contexts(store).states([SERVICE, SECOND])
    counted = {service: (one.rejects.spent, one.cuts.spent) for service, one in kept.items()}
    once = Spent().one_more(START)
    assert counted == {SERVICE: (once, Spent()), SECOND: (Spent(), once)}


def test_a_percentage_of_rejections_is_one_of_the_slots_that_are_held(store: FakeTable) -> None:
    claim(store, SERVICE, CONSUMER, A, B)
    claim(store, SERVICE, OTHER, C)
    key = RowKey(SERVICE, "@settings")
    assert found(store, None, {key: {**BUDGET[key], "max_rejects": "67%"}}).rejects == 2


def test_what_is_kept_of_a_service_is_not_read_again(store: FakeTable) -> None:
    NamedSets(store).add(block_name(SERVICE), [written(RowKey(SERVICE, "b"))])
    kept = LedgerState((RowKey(SERVICE, "a"),), rejects=Counted(Spent().one_more(START)))
    standing = contexts(store).of(SERVICE, [CONSUMER], BUDGET, kept)
    assert (standing.state.unmatched, standing.spent) == (kept.unmatched, kept.rejects.spent)


# ------------------------------------------------------------------ what shuts


def test_rows_that_shut_the_service_or_every_service_are_counted_in_their_order(store: FakeTable) -> None:
    keys = [RowKey(SERVICE, "b"), RowKey(SERVICE, "a"), RowKey("production", CONSUMER), RowKey(SECOND, "c")]
    for service, key in zip((SERVICE, SERVICE, "*", SECOND), keys, strict=True):
        NamedSets(store).add(block_name(service), [written(key)])
    assert found(store, None, {}).of(asking(), START).unmatched == (keys[2], keys[1], keys[0])


# ------------------------------------------------------------------ places in the organisation


@pytest.mark.parametrize(
    "table",
    [
        {},
        rows((SERVICE, CONSUMER), ("*", "*"), (SERVICE, A)),
        rows((SECOND, UNIT), (SECOND, ORGANIZATION)),
        rows((SERVICE, "ou-typo"), (SERVICE, "orders-team")),
    ],
    ids=["empty", "accounts", "another service's", "mis-keyed"],
)
def test_where_no_row_is_about_an_ou_nobody_is_asked(store: FakeTable, organization: Asked, table: Rows) -> None:
    organization.silence = Unavailable("AWS Organizations: throttled")
    assert found(store, organization, table).of(asking(), START).lineage == Lineage()
    assert found(store, None, table).of(asking(), START).lineage == Lineage()
    assert organization.accounts == []


@pytest.mark.parametrize("key", [(SERVICE, UNIT), ("*", UNIT), (SERVICE, ORGANIZATION), ("*", "o-zzzzzzzzzz")])
def test_where_a_row_is_about_an_ou_each_account_is_asked_about_once(
    store: FakeTable, organization: Asked, key: tuple[str, str]
) -> None:
    standing = found(store, organization, rows(key), OTHER, CONSUMER, CONSUMER, OTHER)
    assert standing.of(asking(A, CONSUMER), START).lineage == Lineage((UNIT, ORGANIZATION))
    assert standing.of(asking(B, OTHER), START).lineage == Lineage()
    assert sorted(organization.accounts) == [CONSUMER, OTHER]


def test_what_organizations_does_not_answer_is_unknown_for_that_account_alone(
    store: FakeTable, organization: Asked
) -> None:
    class Part(Asked):
        def lineage(self, account: str) -> tuple[str, ...]:
            if account == OTHER:
                raise Unavailable("AWS Organizations: throttled")
            return super().lineage(account)

    standing = found(store, Part(), rows((SERVICE, UNIT)), CONSUMER, OTHER)
    assert standing.of(asking(A, CONSUMER), START).lineage == Lineage((UNIT, ORGANIZATION))
    unknown = Lineage(unknown=Reason.UNKNOWN_ORGANIZATION, why="AWS Organizations: throttled")
    assert standing.of(asking(B, OTHER), START).lineage == unknown


def test_without_a_role_every_place_is_unknown_since_the_row_cannot_be_judged(store: FakeTable) -> None:
    standing = found(store, None, rows((SERVICE, UNIT)), CONSUMER, OTHER)
    unknown = Lineage(unknown=Reason.MALFORMED_ROW, why=ROLE_MISSING)
    assert [standing.of(asking(A, account), START).lineage for account in (CONSUMER, OTHER)] == [unknown, unknown]
