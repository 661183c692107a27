"""Judging: the oldest first, one trouble at a time, and Organizations asked only where its answer could matter."""

from collections.abc import Iterable

import pytest
from linkgate.approve.context import ContextReader
from linkgate.approve.judge import Judge, JudgmentResult
from linkgate.aws.errors import Refusal
from linkgate.errors import Contended, Unavailable
from linkgate.events.bell import Bell
from linkgate.ledger.breaker import rejects_name
from linkgate.ledger.table import ItemKey
from linkgate.model import Mode, Outcome, State, Status

from tests.application import SERVICE, Application
from tests.world import CONSUMER, OTHER, endpoint_id

A, B, C, D = (endpoint_id(number) for number in range(1, 5))
UNIT, INNER, ORGANIZATION = "ou-ab12-11111111", "ou-ab12-22222222", "o-a1b2c3d4e5"
STRANGER = "444444444444"


@pytest.fixture
def app() -> Application:
    """An application whose CONSUMER stands in an OU of the organisation, OTHER in the organisation alone."""
    made = Application()
    made.organization.tree = {CONSUMER: (INNER, UNIT, ORGANIZATION), OTHER: (ORGANIZATION,)}
    return made


def judging(app: Application) -> Judge:
    contexts = ContextReader(app.sets, app.breaker, app.organization)
    return Judge(app.allow_list, app.ledger, contexts, app.world.clock)


def judge(app: Application) -> JudgmentResult:
    """One look at the service, judged and written down, and nothing acted on."""
    shown = app.world.shown()
    known = app.ledger.current(one.endpoint for one in shown)
    return judging(app).judge(SERVICE, [one for one in shown if one.waits], known, lambda _: "test")


def arrive(app: Application, *endpoints: str, account: str = CONSUMER) -> None:
    """Endpoints are created a second apart, in this order."""
    for endpoint in endpoints:
        app.world.connect(endpoint, SERVICE, account)
        app.world.advance(1)


def reasons(app: Application, *endpoints: str) -> list[str]:
    return [app.known(endpoint).reason for endpoint in endpoints]


def failing(app: Application, error: Exception) -> None:
    """The next write to the ledger fails."""

    def fail() -> None:
        raise error

    app.ledger.store.rival = fail


# ------------------------------------------------------------------ in which order, and who is held up


def test_the_oldest_is_decided_on_first_and_of_equal_age_the_lower_id(app: Application) -> None:
    app.allow_list.put(SERVICE, "*", effect="allow")
    arrive(app, C, A)
    for endpoint in (D, B):
        app.world.connect(endpoint, SERVICE, OTHER)
    assert [line.connection.endpoint for line in judge(app).lines] == [C, A, B, D]


def test_where_nobody_waits_nothing_is_read(app: Application) -> None:
    app.world.connect(A, SERVICE, state=State.AVAILABLE)
    app.ledger.store.read = None  # type: ignore[method-assign, assignment]
    app.allow_list.rows = None  # type: ignore[method-assign, assignment]
    assert judging(app).judge(SERVICE, [], {}, lambda _: "test") == JudgmentResult()


@pytest.mark.parametrize(("error", "kept"), [(Contended("faster"), False), (Unavailable("no route"), True)])
def test_behind_one_that_cannot_be_recorded_only_its_own_accounts_slots_wait(
    app: Application, error: Unavailable, kept: bool
) -> None:
    app.allow_list.put(SERVICE, "*", effect="allow", limit=9)
    app.allow_list.put(SERVICE, C, effect="allow")
    app.allow_list.put(SERVICE, D, effect="review")
    arrive(app, A, B, C, D)
    arrive(app, endpoint_id(5), account=OTHER)
    app.ledger.store.refuses[A] = error
    judged = judge(app)
    assert [line.connection.endpoint for line in judged.lines] == [C, D, endpoint_id(5)]
    assert judged.retry_later == {A: error if kept else None, B: None}


def test_who_was_held_up_is_served_in_the_end_the_oldest_first(app: Application) -> None:
    app.allow_list.put(SERVICE, CONSUMER, effect="allow", limit=1)
    arrive(app, A, B)
    app.send(A, B)
    failing(app, Unavailable("no route"))
    app.work(10)
    assert [app.state(endpoint) for endpoint in (A, B)] == [State.AVAILABLE, State.PENDING_ACCEPTANCE]
    assert reasons(app, B) == ["over_limit"]


def test_an_error_that_no_later_look_mends_is_not_swallowed(app: Application) -> None:
    arrive(app, A)
    failing(app, RuntimeError("nobody thought of it"))
    with pytest.raises(RuntimeError):
        judge(app)


def test_a_slot_given_back_is_named(app: Application) -> None:
    app.allow_list.put(SERVICE, "@settings", mode="observe")
    app.allow_list.put(SERVICE, "*", effect="allow")
    arrive(app, A)
    arrive(app, B, account=OTHER)
    app.send(A, B)
    app.work()
    app.allow_list.put(SERVICE, CONSUMER, effect="review")
    judged = judge(app)
    assert judged.freed == {CONSUMER}
    assert [(line.connection.endpoint, line.decision.outcome) for line in judged.lines] == [(A, Outcome.HOLD)]


def test_a_decision_made_again_after_somebody_was_faster_is_made_of_the_claims_as_they_are_now(
    app: Application,
) -> None:
    app.allow_list.put(SERVICE, "*", effect="allow", limit=1)
    arrive(app, A, B)

    def faster() -> None:
        app.approver.answer([Bell(frozenset({B}))])

    app.ledger.store.rival = faster
    (line,) = judge(app).lines
    assert (line.connection.endpoint, line.decision.outcome, line.decision.reason) == (A, Outcome.HOLD, "over_limit")
    assert app.known(A).says() == line.decision.says()


def test_who_lost_its_own_line_to_another_is_left_to_that_one(app: Application) -> None:
    app.allow_list.put(SERVICE, "*", effect="allow", limit=1)
    arrive(app, A)

    def faster() -> None:
        app.approver.answer([Bell(frozenset({A}))])

    app.ledger.store.rival = faster
    judged = judge(app)
    assert (judged.lines, judged.retry_later) == ([], {A: None})
    assert (app.known(A).status, app.known(A).mode) == (Status.ACCEPTED, Mode.ENFORCE)


# ------------------------------------------------------------------ AWS Organizations


ROWS: dict[str, list[tuple[str, str]]] = {
    "an allow of its OU, and nothing else": [(UNIT, "allow")],
    "a deny of an OU over an allow of the account": [(UNIT, "deny"), (CONSUMER, "allow")],
    "a review of an OU over an allow of everybody": [(UNIT, "review"), ("*", "allow")],
    "an allow of everybody, as of the OU": [(UNIT, "allow"), ("*", "allow")],
    "a malformed row of the organisation": [(ORGANIZATION, "permit"), (CONSUMER, "allow")],
}


@pytest.mark.parametrize("table", ROWS.values(), ids=ROWS)
def test_while_organizations_is_down_whom_a_row_of_an_ou_could_change_is_held(
    app: Application, table: list[tuple[str, str]]
) -> None:
    for consumer, effect in table:
        app.allow_list.put(SERVICE, consumer, effect=effect)
    app.organization.silence = Unavailable("AWS Organizations: throttled")
    app.connect(A)
    app.work(10)
    known = app.known(A)
    assert (known.status, known.reason, known.row) == (Status.HELD, "unknown_organization", f"{SERVICE}/{table[0][0]}")
    assert app.bus.published[-1][1]["note"] == "AWS Organizations: throttled"


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
}


@pytest.mark.parametrize(("table", "state", "reason"), CERTAIN.values(), ids=CERTAIN)
def test_while_organizations_is_down_whom_no_row_of_an_ou_could_change_is_decided_on(
    app: Application, table: list[tuple[str, str]], state: State, reason: str
) -> None:
    for consumer, effect in table:
        app.allow_list.put(SERVICE, consumer, effect=effect)
    app.organization.silence = Unavailable("AWS Organizations: throttled")
    app.connect(A)
    app.work(10)
    assert (app.state(A), app.known(A).reason) == (state, reason)


def test_a_row_of_an_ou_on_another_service_holds_nobody_here(app: Application) -> None:
    app.allow_list.put("vpce-svc-00000000000000002", UNIT, effect="deny")
    app.allow_list.put(SERVICE, "*", effect="allow")
    app.organization.silence = Unavailable("AWS Organizations: throttled")
    app.connect(A)
    app.work(10)
    assert app.state(A) is State.AVAILABLE


def test_when_organizations_answers_again_the_sweep_lets_in_whom_it_held(app: Application) -> None:
    app.allow_list.put(SERVICE, UNIT, effect="allow", limit=1)
    app.organization.silence = Unavailable("AWS Organizations: throttled")
    arrive(app, B, A)
    arrive(app, C, account=OTHER)
    for _ in range(2):
        app.settle()
        app.work(300)
    assert reasons(app, A, B, C) == ["unknown_organization"] * 3
    assert [len(app.ledger.lines(endpoint)) for endpoint in (A, B, C)] == [1, 1, 1]
    app.organization.silence = None
    app.settle()
    app.work(10)
    assert reasons(app, A, B, C) == ["over_limit", "allowed", "not_listed"]
    assert app.state(B) is State.AVAILABLE
    app.settle()
    assert app.sweeper.sweep("a sweep").sum(lambda found: found.requeued) == 0


@pytest.mark.parametrize(
    ("consumer", "let_in"), [(UNIT, {A}), (INNER, {A}), (ORGANIZATION, {A, B}), ("ou-ab12-99999999", set())]
)
def test_a_row_of_an_ou_or_an_organisation_lets_in_the_accounts_below_it(
    app: Application, consumer: str, let_in: set[str]
) -> None:
    app.allow_list.put("*", consumer, effect="allow")
    for endpoint, account in ((A, CONSUMER), (B, OTHER), (C, STRANGER)):
        app.connect(endpoint, account)
    app.work(10)
    assert {endpoint for endpoint in (A, B, C) if app.state(endpoint) is State.AVAILABLE} == let_in


def test_the_nearest_ou_decides(app: Application) -> None:
    app.allow_list.put(SERVICE, UNIT, effect="review")
    app.allow_list.put("*", INNER, effect="allow")
    app.connect(A)
    app.work(10)
    assert (app.state(A), app.known(A).row) == (State.AVAILABLE, f"*/{INNER}")


def test_an_account_that_moved_is_decided_on_again_by_the_sweep(app: Application) -> None:
    app.allow_list.put(SERVICE, UNIT, effect="allow")
    app.connect(A, OTHER)
    app.work(10)
    assert reasons(app, A) == ["not_listed"]
    app.organization.tree[OTHER] = (UNIT, ORGANIZATION)
    app.settle()
    app.work(10)
    assert app.state(A) is State.AVAILABLE


HOLDING: dict[str, dict[str, object]] = {
    "review": {"effect": "review"},
    "over_limit": {"effect": "allow", "limit": 0},
}


@pytest.mark.parametrize("held", HOLDING)
def test_an_outage_of_organizations_that_changes_nothing_writes_nothing(app: Application, held: str) -> None:
    app.allow_list.put(SERVICE, CONSUMER, **HOLDING[held])
    app.allow_list.put(SERVICE, "ou-ab12-99999999", effect="review")
    app.connect(A)
    app.work(10)
    for silence in [Unavailable("AWS Organizations: throttled"), None] * 3:
        app.organization.silence = silence
        app.settle()
        app.work(300)
    assert [line.reason for line in app.ledger.lines(A)] == [held]


# ------------------------------------------------------------------ rejections are counted once, whoever writes them


def denying(budget: int, consumer: str = "*") -> Application:
    """An application that lets so many rejections an hour through, and denies everybody or one account."""
    app = Application()
    app.allow_list.put(SERVICE, "@settings", mode="enforce", max_rejects=budget)
    app.allow_list.put(SERVICE, consumer, effect="deny")
    return app


def spent(app: Application) -> int:
    name = rejects_name(SERVICE)
    return app.breaker.read([name])[name].spent.within_the_hour(app.world.now)


@pytest.mark.parametrize("budget", [2, 100])
def test_a_throttled_rejection_counts_once_however_often_it_is_asked_for(budget: int) -> None:
    app = denying(budget)
    endpoints = [endpoint_id(number) for number in range(min(budget, 60))]
    for endpoint in endpoints:
        app.connect(endpoint)
        app.world.refusals[endpoint] = [Refusal("RequestLimitExceeded", "not now")]
    app.work(30)
    assert (reasons(app, *endpoints), spent(app)) == (["denied"] * len(endpoints), len(endpoints))
    assert "Breaker Tripped" not in app.bus.kinds()


def test_a_rejection_that_was_left_open_counts_once() -> None:
    app = denying(2)
    arrive(app, A)
    judge(app)
    app.world.advance(61)
    arrive(app, B)
    judge(app)
    assert (reasons(app, A, B), spent(app)) == (["denied", "denied"], 2)


def test_what_was_only_observed_was_not_counted() -> None:
    app = denying(2)
    app.allow_list.put(SERVICE, "@settings", mode="observe")
    arrive(app, A)
    judge(app)
    app.allow_list.put(SERVICE, "@settings", mode="enforce", max_rejects=2)
    app.world.advance(61)
    judge(app)
    assert (reasons(app, A), spent(app)) == (["denied"], 1)


def test_a_rejection_of_what_was_to_be_accepted_is_counted() -> None:
    app = denying(2)
    app.allow_list.put(SERVICE, "*", effect="allow")
    arrive(app, A)
    judge(app)
    app.allow_list.put(SERVICE, "*", effect="deny")
    app.world.advance(61)
    judge(app)
    assert (reasons(app, A), spent(app)) == (["denied"], 1)


def test_what_is_read_again_for_one_connection_counts_no_rejection_twice() -> None:
    app = denying(2, OTHER)
    app.allow_list.put(SERVICE, CONSUMER, effect="allow", limit=1)
    arrive(app, A)
    for endpoint in (B, C):
        app.world.connect(endpoint, SERVICE, OTHER)
    app.world.connect(D, SERVICE)
    app.send(A, B, C)

    def rival() -> None:
        app.approver.answer([Bell(frozenset({D}))])

    app.ledger.store.rival = rival
    app.work()
    assert reasons(app, B, C) == ["denied", "denied"]


def test_who_loses_the_race_for_an_open_line_leaves_it_to_the_winner() -> None:
    app = denying(3)
    arrive(app, A)
    judge(app)
    app.world.advance(61)
    arrive(app, B, C)
    winners = list[JudgmentResult]()
    app.ledger.store.rival = lambda: winners.append(judge(app))
    mine = judge(app)
    assert A in {line.connection.endpoint for line in winners[0].lines}
    assert A not in {line.connection.endpoint for line in mine.lines}


def test_what_is_somebody_elses_for_now_is_not_read_again(app: Application) -> None:
    app.allow_list.put(SERVICE, CONSUMER, effect="allow", limit=500)
    arrive(app, *map(endpoint_id, range(20)))
    judge(app)
    read, asked = app.ledger.store.read, list[int]()

    def count(places: Iterable[ItemKey]) -> list[dict[str, object]]:
        asked.append(1)
        return read(places)

    app.ledger.store.read = count  # type: ignore[method-assign]
    assert len(judge(app).retry_later) == 20
    assert len(asked) < 10
