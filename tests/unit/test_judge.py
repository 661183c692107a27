"""Judging: the oldest first, one trouble at a time, and Organizations asked only where its answer could matter."""

from collections.abc import Iterable

import pytest
from linkgate.bell import Bell
from linkgate.breaker import rejects_name
from linkgate.connections import Refusal
from linkgate.errors import Contended, Unavailable
from linkgate.judge import Judge, Judged
from linkgate.model import Mode, Outcome, State, Status
from linkgate.standing import Census
from linkgate.store import Place

from tests.simulation import SERVICE, House
from tests.world import CONSUMER, OTHER, endpoint_id

A, B, C, D = (endpoint_id(number) for number in range(1, 5))
UNIT, INNER, ORGANIZATION = "ou-ab12-11111111", "ou-ab12-22222222", "o-a1b2c3d4e5"
STRANGER = "444444444444"


@pytest.fixture
def house() -> House:
    """A house whose CONSUMER stands in an OU of the organisation, OTHER in the organisation alone."""
    made = House()
    made.organization.tree = {CONSUMER: (INNER, UNIT, ORGANIZATION), OTHER: (ORGANIZATION,)}
    return made


def judging(house: House) -> Judge:
    census = Census(house.register, house.breaker, house.organization)
    return Judge(house.connections, house.allow_list, house.ledger, census, house.world.clock)


def judge(house: House) -> Judged:
    """One look at the service, judged and written down, and nothing acted on."""
    shown = house.connections.of(SERVICE)
    known = house.ledger.current(one.endpoint for one in shown)
    return judging(house).judge(SERVICE, [one for one in shown if one.waits], known, lambda _: "test")


def arrive(house: House, *endpoints: str, owner: str = CONSUMER) -> None:
    """Endpoints are created a second apart, in this order."""
    for endpoint in endpoints:
        house.world.connect(endpoint, SERVICE, owner)
        house.world.advance(1)


def reasons(house: House, *endpoints: str) -> list[str]:
    return [house.known(endpoint).reason for endpoint in endpoints]


def failing(house: House, error: Exception) -> None:
    """The next write to the ledger fails."""

    def fail() -> None:
        raise error

    house.ledger.store.rival = fail


# ------------------------------------------------------------------ in which order, and who is held up


def test_the_oldest_is_decided_on_first_and_of_equal_age_the_lower_id(house: House) -> None:
    house.allow_list.put(SERVICE, "*", effect="allow")
    arrive(house, C, A)
    for endpoint in (D, B):
        house.world.connect(endpoint, SERVICE, OTHER)
    assert [line.connection.endpoint for line in judge(house).lines] == [C, A, B, D]


def test_where_nobody_waits_nothing_is_read(house: House) -> None:
    house.world.connect(A, SERVICE, state=State.AVAILABLE)
    house.ledger.store.read = None  # type: ignore[method-assign, assignment]
    house.allow_list.rows = None  # type: ignore[method-assign, assignment]
    assert judging(house).judge(SERVICE, [], {}, lambda _: "test") == Judged()


@pytest.mark.parametrize(("error", "kept"), [(Contended("faster"), False), (Unavailable("no route"), True)])
def test_behind_one_that_cannot_be_recorded_only_its_own_accounts_slots_wait(
    house: House, error: Unavailable, kept: bool
) -> None:
    house.allow_list.put(SERVICE, "*", effect="allow", limit=9)
    house.allow_list.put(SERVICE, C, effect="allow")
    house.allow_list.put(SERVICE, D, effect="review")
    arrive(house, A, B, C, D)
    arrive(house, endpoint_id(5), owner=OTHER)
    house.ledger.store.refuses[A] = error
    judged = judge(house)
    assert [line.connection.endpoint for line in judged.lines] == [C, D, endpoint_id(5)]
    assert judged.busy == {A: error if kept else None, B: None}


def test_who_was_held_up_is_served_in_the_end_the_oldest_first(house: House) -> None:
    house.allow_list.put(SERVICE, CONSUMER, effect="allow", limit=1)
    arrive(house, A, B)
    house.ring(A, B)
    failing(house, Unavailable("no route"))
    house.work(10)
    assert [house.state(endpoint) for endpoint in (A, B)] == [State.AVAILABLE, State.PENDING_ACCEPTANCE]
    assert reasons(house, B) == ["over_limit"]


def test_an_error_that_no_later_look_mends_is_not_swallowed(house: House) -> None:
    arrive(house, A)
    failing(house, RuntimeError("nobody thought of it"))
    with pytest.raises(RuntimeError):
        judge(house)


def test_a_slot_given_back_is_named(house: House) -> None:
    house.allow_list.put(SERVICE, "@settings", mode="observe")
    house.allow_list.put(SERVICE, "*", effect="allow")
    arrive(house, A)
    arrive(house, B, owner=OTHER)
    house.ring(A, B)
    house.work()
    house.allow_list.put(SERVICE, CONSUMER, effect="review")
    judged = judge(house)
    assert judged.freed == {CONSUMER}
    assert [(line.connection.endpoint, line.decision.outcome) for line in judged.lines] == [(A, Outcome.HOLD)]


def test_a_decision_made_again_after_somebody_was_faster_is_made_of_the_claims_as_they_are_now(house: House) -> None:
    house.allow_list.put(SERVICE, "*", effect="allow", limit=1)
    arrive(house, A, B)

    def faster() -> None:
        house.approver.answer([Bell(frozenset({B}))])

    house.ledger.store.rival = faster
    (line,) = judge(house).lines
    assert (line.connection.endpoint, line.decision.outcome, line.decision.reason) == (A, Outcome.HOLD, "over_limit")
    assert house.known(A).says() == line.decision.says()


def test_who_lost_its_own_line_to_another_is_left_to_that_one(house: House) -> None:
    house.allow_list.put(SERVICE, "*", effect="allow", limit=1)
    arrive(house, A)

    def faster() -> None:
        house.approver.answer([Bell(frozenset({A}))])

    house.ledger.store.rival = faster
    judged = judge(house)
    assert (judged.lines, judged.busy) == ([], {A: None})
    assert (house.known(A).status, house.known(A).mode) == (Status.ACCEPTED, Mode.ENFORCE)


# ------------------------------------------------------------------ AWS Organizations


ROWS: dict[str, list[tuple[str, str]]] = {
    "an allow of its OU, and nothing else": [(UNIT, "allow")],
    "a deny of an OU over an allow of the account": [(UNIT, "deny"), (CONSUMER, "allow")],
    "a review of an OU over an allow of everybody": [(UNIT, "review"), ("*", "allow")],
    "a malformed row of the organisation": [(ORGANIZATION, "permit"), (CONSUMER, "allow")],
}


@pytest.mark.parametrize("table", ROWS.values(), ids=ROWS)
def test_while_organizations_is_down_whom_a_row_of_an_ou_could_change_is_held(
    house: House, table: list[tuple[str, str]]
) -> None:
    for consumer, effect in table:
        house.allow_list.put(SERVICE, consumer, effect=effect)
    house.organization.silence = Unavailable("AWS Organizations: throttled")
    house.connect(A)
    house.work(10)
    known = house.known(A)
    assert (known.status, known.reason, known.row) == (Status.HELD, "unknown_organization", f"{SERVICE}/{table[0][0]}")
    assert house.bus.told[-1][1]["note"] == "AWS Organizations: throttled"


CERTAIN: dict[str, tuple[list[tuple[str, str]], State, str]] = {
    "an allow of the account over an allow of its OU": (
        [(CONSUMER, "allow"), (UNIT, "allow")],
        State.AVAILABLE,
        "allowed",
    ),
    "an allow of the account over a review of its OU": (
        [(CONSUMER, "allow"), (UNIT, "review")],
        State.AVAILABLE,
        "allowed",
    ),
    "a deny of the account": ([(CONSUMER, "deny"), (UNIT, "allow")], State.REJECTED, "denied"),
    "a review of the account": ([(CONSUMER, "review"), (UNIT, "allow")], State.PENDING_ACCEPTANCE, "review"),
    "an allow of everybody, as of the OU": ([("*", "allow"), (UNIT, "allow")], State.AVAILABLE, "allowed"),
}


@pytest.mark.parametrize(("table", "state", "reason"), CERTAIN.values(), ids=CERTAIN)
def test_while_organizations_is_down_whom_no_row_of_an_ou_could_change_is_decided_on(
    house: House, table: list[tuple[str, str]], state: State, reason: str
) -> None:
    for consumer, effect in table:
        house.allow_list.put(SERVICE, consumer, effect=effect)
    house.organization.silence = Unavailable("AWS Organizations: throttled")
    house.connect(A)
    house.work(10)
    assert (house.state(A), house.known(A).reason) == (state, reason)


def test_a_row_of_an_ou_on_another_service_holds_nobody_here(house: House) -> None:
    house.allow_list.put("vpce-svc-00000000000000002", UNIT, effect="deny")
    house.allow_list.put(SERVICE, "*", effect="allow")
    house.organization.silence = Unavailable("AWS Organizations: throttled")
    house.connect(A)
    house.work(10)
    assert house.state(A) is State.AVAILABLE


def test_when_organizations_answers_again_the_sweep_lets_in_whom_it_held(house: House) -> None:
    house.allow_list.put(SERVICE, UNIT, effect="allow", limit=1)
    house.organization.silence = Unavailable("AWS Organizations: throttled")
    arrive(house, B, A)
    arrive(house, C, owner=OTHER)
    for _ in range(2):
        house.settle()
        house.work(300)
    assert reasons(house, A, B, C) == ["unknown_organization"] * 3
    assert [len(house.ledger.lines(endpoint)) for endpoint in (A, B, C)] == [1, 1, 1]
    house.organization.silence = None
    house.settle()
    house.work(10)
    assert reasons(house, A, B, C) == ["over_limit", "allowed", "not_listed"]
    assert house.state(B) is State.AVAILABLE
    house.settle()
    assert house.sweeper.sweep("a sweep").sum(lambda found: found.rung) == 0


@pytest.mark.parametrize(
    ("consumer", "let_in"), [(UNIT, {A}), (INNER, {A}), (ORGANIZATION, {A, B}), ("ou-ab12-99999999", set())]
)
def test_a_row_of_an_ou_or_an_organisation_lets_in_the_accounts_below_it(
    house: House, consumer: str, let_in: set[str]
) -> None:
    house.allow_list.put("*", consumer, effect="allow")
    for endpoint, owner in ((A, CONSUMER), (B, OTHER), (C, STRANGER)):
        house.connect(endpoint, owner)
    house.work(10)
    assert {endpoint for endpoint in (A, B, C) if house.state(endpoint) is State.AVAILABLE} == let_in


def test_the_nearest_ou_decides(house: House) -> None:
    house.allow_list.put(SERVICE, UNIT, effect="review")
    house.allow_list.put("*", INNER, effect="allow")
    house.connect(A)
    house.work(10)
    assert (house.state(A), house.known(A).row) == (State.AVAILABLE, f"*/{INNER}")


def test_an_account_that_moved_is_decided_on_again_by_the_sweep(house: House) -> None:
    house.allow_list.put(SERVICE, UNIT, effect="allow")
    house.connect(A, OTHER)
    house.work(10)
    assert reasons(house, A) == ["not_listed"]
    house.organization.tree[OTHER] = (UNIT, ORGANIZATION)
    house.settle()
    house.work(10)
    assert house.state(A) is State.AVAILABLE


HOLDING: dict[str, dict[str, object]] = {
    "review": {"effect": "review"},
    "over_limit": {"effect": "allow", "limit": 0},
}


@pytest.mark.parametrize("held", HOLDING)
def test_an_outage_of_organizations_that_changes_nothing_writes_nothing(house: House, held: str) -> None:
    house.allow_list.put(SERVICE, CONSUMER, **HOLDING[held])
    house.allow_list.put(SERVICE, "ou-ab12-99999999", effect="review")
    house.connect(A)
    house.work(10)
    for silence in [Unavailable("AWS Organizations: throttled"), None] * 3:
        house.organization.silence = silence
        house.settle()
        house.work(300)
    assert [line.reason for line in house.ledger.lines(A)] == [held]


# ------------------------------------------------------------------ rejections are counted once, whoever writes them


def denying(budget: int, consumer: str = "*") -> House:
    """A house that lets so many rejections an hour through, and denies everybody or one account."""
    house = House()
    house.allow_list.put(SERVICE, "@settings", mode="enforce", max_rejects=budget)
    house.allow_list.put(SERVICE, consumer, effect="deny")
    return house


def spent(house: House) -> int:
    name = rejects_name(SERVICE)
    return house.breaker.read([name])[name].spent.within_the_hour(house.world.now)


@pytest.mark.parametrize("budget", [2, 100])
def test_a_throttled_rejection_counts_once_however_often_it_is_asked_for(budget: int) -> None:
    house = denying(budget)
    endpoints = [endpoint_id(number) for number in range(min(budget, 60))]
    for endpoint in endpoints:
        house.connect(endpoint)
        house.world.refusals[endpoint] = [Refusal("RequestLimitExceeded", "not now")]
    house.work(30)
    assert (reasons(house, *endpoints), spent(house)) == (["denied"] * len(endpoints), len(endpoints))
    assert "Breaker Tripped" not in house.bus.kinds()


def test_a_rejection_that_was_left_open_counts_once() -> None:
    house = denying(2)
    arrive(house, A)
    judge(house)
    house.world.advance(61)
    arrive(house, B)
    judge(house)
    assert (reasons(house, A, B), spent(house)) == (["denied", "denied"], 2)


def test_what_was_only_observed_was_not_counted() -> None:
    house = denying(2)
    house.allow_list.put(SERVICE, "@settings", mode="observe")
    arrive(house, A)
    judge(house)
    house.allow_list.put(SERVICE, "@settings", mode="enforce", max_rejects=2)
    house.world.advance(61)
    judge(house)
    assert (reasons(house, A), spent(house)) == (["denied"], 1)


def test_a_rejection_of_what_was_to_be_accepted_is_counted() -> None:
    house = denying(2)
    house.allow_list.put(SERVICE, "*", effect="allow")
    arrive(house, A)
    judge(house)
    house.allow_list.put(SERVICE, "*", effect="deny")
    house.world.advance(61)
    judge(house)
    assert (reasons(house, A), spent(house)) == (["denied"], 1)


def test_what_is_read_again_for_one_connection_counts_no_rejection_twice() -> None:
    house = denying(2, OTHER)
    house.allow_list.put(SERVICE, CONSUMER, effect="allow", limit=1)
    arrive(house, A)
    for endpoint in (B, C):
        house.world.connect(endpoint, SERVICE, OTHER)
    house.world.connect(D, SERVICE)
    house.ring(A, B, C)

    def rival() -> None:
        house.approver.answer([Bell(frozenset({D}))])

    house.ledger.store.rival = rival
    house.work()
    assert reasons(house, B, C) == ["denied", "denied"]


def test_who_loses_the_race_for_an_open_line_leaves_it_to_the_winner() -> None:
    house = denying(3)
    arrive(house, A)
    judge(house)
    house.world.advance(61)
    arrive(house, B, C)
    winners = list[Judged]()
    house.ledger.store.rival = lambda: winners.append(judge(house))
    mine = judge(house)
    assert A in {line.connection.endpoint for line in winners[0].lines}
    assert A not in {line.connection.endpoint for line in mine.lines}


def test_what_is_somebody_elses_for_now_is_not_read_again(house: House) -> None:
    house.allow_list.put(SERVICE, CONSUMER, effect="allow", limit=500)
    arrive(house, *map(endpoint_id, range(20)))
    judge(house)
    read, asked = house.ledger.store.read, list[int]()

    def count(places: Iterable[Place]) -> list[dict[str, object]]:
        asked.append(1)
        return read(places)

    house.ledger.store.read = count  # type: ignore[method-assign]
    assert len(judge(house).busy) == 20
    assert len(asked) < 10
