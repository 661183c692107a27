"""One contract for the ledger, held by the real one on moto's DynamoDB and by the fake that other tests stand on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from boto3.dynamodb.conditions import Key
from linkgate.errors import Contended, SettingsError
from linkgate.ledger.items import LEASE, EndpointRecord, Judgment, replay, stamp
from linkgate.ledger.ledger import Ledger
from linkgate.ledger.table import LedgerTable
from linkgate.model import Connection, Decision, Mode, Outcome, Reason, RowKey, State, Status
from linkgate.policy.decide import Rows, decide
from linkgate.policy.why import found

from tests.fakes import BookLine, FakeLedger, line_of
from tests.unit.tables import ALLOW_LIST, LEDGER, dynamodb
from tests.world import CONSUMER, REGION, START, endpoint_id, service_id

SERVICE, ENDPOINT = service_id(1), endpoint_id(1)
ASKING = Connection(SERVICE, ENDPOINT, CONSUMER, REGION, State.PENDING_ACCEPTANCE, START - timedelta(minutes=1))
ROWS: Rows = {
    RowKey(SERVICE, CONSUMER): {
        "service": SERVICE,
        "consumer": CONSUMER,
        "effect": "allow",
        "regions": {REGION},
        "expires_at": Decimal("1800000000.5"),
        "owner": "payments",
    },
    RowKey(SERVICE, "@settings"): {"service": SERVICE, "consumer": "@settings", "mode": "enforce"},
}
ACCEPTED = decide(ASKING, ROWS, START)
HELD = Decision(Outcome.HOLD, Reason.NOT_LISTED, Mode.ENFORCE, "another-hash")
LATER = START + timedelta(seconds=5)

Lines = Callable[[str], list[BookLine]]


@dataclass(frozen=True)
class Books:
    """A ledger, and the lines in it as plainly as they can be read."""

    ledger: Ledger
    lines: Lines

    def known(self, endpoint: str = ENDPOINT) -> EndpointRecord | None:
        return self.ledger.current([endpoint]).get(endpoint)

    def decide(self, decision: Decision = ACCEPTED, now: datetime = START, origin: str = "Connect") -> str:
        return self.ledger.decided(Judgment(ASKING, self.known(), decision, ROWS), origin, now)

    def answer(self, entry: str, status: Status = Status.ACCEPTED, now: datetime = LATER) -> None:
        self.ledger.answered(ASKING, entry, "done", status, State.PENDING, now)


@pytest.fixture(params=["fake", "dynamodb"])
def books(request: pytest.FixtureRequest) -> Iterator[Books]:
    if request.param == "fake":
        fake = FakeLedger()
        yield Books(fake, fake.lines)
        return
    with dynamodb() as resource:
        table = resource.Table(LEDGER)

        def lines(endpoint: str) -> list[BookLine]:
            found = table.query(KeyConditionExpression=Key("endpoint_id").eq(endpoint))["Items"]
            return [line_of(item) for item in found if item["entry"] != "current"]

        yield Books(Ledger(LedgerTable(resource, LEDGER)), lines)


# ------------------------------------------------------------------ deciding


def test_of_an_endpoint_never_seen_nothing_is_known(books: Books) -> None:
    assert books.ledger.current([ENDPOINT, endpoint_id(2)]) == {}
    assert books.ledger.current([]) == {}


def test_a_decision_is_written_down_open_before_it_is_acted_on(books: Books) -> None:
    entry = books.decide()
    expected = EndpointRecord(
        endpoint=ENDPOINT,
        service=SERVICE,
        status=Status.HELD,
        state=State.PENDING_ACCEPTANCE,
        account=CONSUMER,
        region=REGION,
        entry=entry,
        outcome="accept",
        reason="allowed",
        row=f"{SERVICE}/{CONSUMER}",
        policy_hash=ACCEPTED.policy_hash,
        mode="enforce",
        why=f"To be accepted: row {SERVICE}/{CONSUMER} (owner payments) allows it.",
        settled=False,
        open_until=datetime(2026, 11, 23, 3, 1, tzinfo=UTC),
        requested_at=datetime(2026, 11, 23, 2, 59, tzinfo=UTC),
        decided_at=datetime(2026, 11, 23, 3, 0, tzinfo=UTC),
        claimed=True,
    )
    assert books.known() == expected
    (line,) = books.lines(ENDPOINT)
    assert line == BookLine(
        entry, "accept", "allowed", f"{SERVICE}/{CONSUMER}", ACCEPTED.policy_hash, "enforce", "Connect", ""
    )


def test_an_entry_is_the_time_and_the_decisions_id(books: Books) -> None:
    moment, _, name = books.decide().partition("#")
    assert moment == stamp(START)
    assert len(name) == 16


def test_an_answer_completes_its_line_and_the_current_state(books: Books) -> None:
    entry = books.decide()
    before = books.known()
    books.answer(entry)
    assert [line.answer for line in books.lines(ENDPOINT)] == ["done"]
    assert before is not None
    assert books.known() == replace(
        before,
        settled=True,
        status=Status.ACCEPTED,
        state=State.PENDING,
        answered_at=LATER,
        accepted_at=LATER,
    )


@pytest.mark.parametrize("status", [Status.HELD, Status.REJECTED])
def test_only_an_acceptance_has_a_time_of_acceptance(books: Books, status: Status) -> None:
    books.answer(books.decide(), status)
    known = books.known()
    assert known is not None
    assert (known.status, known.accepted_at, known.answered_at) == (status, None, LATER)


def test_decisions_grow_and_stay_in_their_order(books: Books) -> None:
    for seconds, decision in enumerate((HELD, ACCEPTED, HELD)):
        now = START + timedelta(seconds=seconds)
        books.answer(books.decide(decision, now), Status.HELD, now)
    assert [line.outcome for line in books.lines(ENDPOINT)] == ["hold", "accept", "hold"]


def test_two_approvers_cannot_both_decide_first(books: Books) -> None:
    books.decide()
    with pytest.raises(Contended):
        books.ledger.decided(Judgment(ASKING, None, ACCEPTED, ROWS), "Connect", LATER)
    assert len(books.lines(ENDPOINT)) == 1


def test_two_approvers_cannot_both_decide_next(books: Books) -> None:
    books.answer(books.decide(HELD))
    known = books.known()
    books.ledger.decided(Judgment(ASKING, known, ACCEPTED, ROWS), "one", LATER)
    with pytest.raises(Contended):
        books.ledger.decided(Judgment(ASKING, known, ACCEPTED, ROWS), "other", LATER)
    with pytest.raises(Contended):
        books.ledger.decided(Judgment(ASKING, known, ACCEPTED, ROWS), "other", LATER + timedelta(seconds=1))
    assert [line.rang for line in books.lines(ENDPOINT)] == ["Connect", "one"]


def test_a_first_decision_may_follow_what_was_only_seen(books: Books) -> None:
    books.ledger.seen(replace(ASKING, state=State.REJECTED), Status.REJECTED, None, START)
    books.decide(HELD)
    known = books.known()
    assert known is not None
    assert (known.status, known.state) == (Status.HELD, State.PENDING_ACCEPTANCE)


def test_a_second_answer_to_the_same_decision_changes_nothing(books: Books) -> None:
    entry = books.decide()
    books.answer(entry)
    before = books.known()
    with pytest.raises(Contended):
        books.answer(entry, Status.REJECTED, LATER + timedelta(seconds=1))
    assert books.known() == before
    assert [line.answer for line in books.lines(ENDPOINT)] == ["done"]


def test_an_answer_to_a_decision_that_another_followed_changes_nothing(books: Books) -> None:
    first = books.decide(HELD)
    second = books.decide(ACCEPTED, LATER)
    with pytest.raises(Contended):
        books.answer(first)
    known = books.known()
    assert known is not None
    assert (known.entry, known.settled) == (second, False)
    assert [line.answer for line in books.lines(ENDPOINT)] == ["superseded; not known to be done", ""]


def test_a_new_decision_answers_the_open_one_with_what_is_known_of_it(books: Books) -> None:
    first = books.decide()
    books.ledger.refused(ASKING.endpoint, first, "InvalidState: late", 1, LATER, "Waits: late.")
    books.decide(HELD, LATER)
    known = books.known()
    assert known is not None
    assert [line.answer for line in books.lines(ENDPOINT)] == ["superseded; InvalidState: late", ""]
    assert (known.refusal, known.tries, known.open_until) == ("", 0, LATER + LEASE)


def test_a_new_decision_leaves_the_answer_of_a_settled_one(books: Books) -> None:
    books.answer(books.decide())
    books.decide(HELD, LATER)
    assert [line.answer for line in books.lines(ENDPOINT)] == ["done", ""]


# ------------------------------------------------------------------ refused and taken over


def test_a_refusal_is_kept_and_leaves_the_decision_open(books: Books) -> None:
    entry = books.decide()
    before = books.known()
    books.ledger.refused(ASKING.endpoint, entry, "InvalidState: late", 3, LATER, "Waits: late.")
    assert before is not None
    late = replace(before, refusal="InvalidState: late", tries=3, open_until=LATER, why="Waits: late.")
    assert books.known() == late
    assert [line.answer for line in books.lines(ENDPOINT)] == [""]


def test_after_a_refusal_the_same_line_gets_its_answer(books: Books) -> None:
    entry = books.decide()
    books.ledger.refused(ASKING.endpoint, entry, "InvalidState: late", 1, LATER, "Waits: late.")
    books.answer(entry)
    known = books.known()
    assert known is not None
    assert (known.settled, known.refusal, known.status) == (True, "", Status.ACCEPTED)
    assert [line.answer for line in books.lines(ENDPOINT)] == ["done"]


@pytest.mark.parametrize("follow", [True, False])
def test_a_refusal_of_what_is_answered_or_superseded_changes_nothing(books: Books, follow: bool) -> None:
    entry = books.decide()
    if follow:
        books.decide(HELD, LATER)
    else:
        books.answer(entry)
    before = books.known()
    with pytest.raises(Contended):
        books.ledger.refused(ASKING.endpoint, entry, "InvalidState: late", 1, LATER, "Waits: late.")
    assert books.known() == before


def test_a_takeover_is_a_new_lease_of_the_same_decision(books: Books) -> None:
    entry = books.decide()
    books.ledger.refused(ASKING.endpoint, entry, "InvalidState: late", 2, LATER, "Waits: late.")
    left = books.known()
    assert left is not None
    books.ledger.taken_over(left, LATER)
    assert books.known() == replace(left, refusal="", open_until=LATER + LEASE)
    assert [line.answer for line in books.lines(ENDPOINT)] == [""]


def test_of_two_takers_of_the_same_decision_one_wins(books: Books) -> None:
    books.decide()
    left = books.known()
    assert left is not None
    books.ledger.taken_over(left, LATER)
    with pytest.raises(Contended):
        books.ledger.taken_over(left, LATER + timedelta(seconds=1))
    known = books.known()
    assert known is not None
    assert known.open_until == LATER + LEASE


def test_what_somebody_took_over_meanwhile_is_not_superseded(books: Books) -> None:
    books.decide()
    left = books.known()
    assert left
    books.ledger.taken_over(left, LATER)
    with pytest.raises(Contended):
        books.ledger.decided(Judgment(ASKING, left, HELD, ROWS), "Connect", LATER)
    books.ledger.decided(Judgment(ASKING, books.known(), HELD, ROWS), "Connect", LATER)


@pytest.mark.parametrize("follow", [True, False])
def test_what_was_answered_or_superseded_meanwhile_is_not_taken_over(books: Books, follow: bool) -> None:
    entry = books.decide()
    left = books.known()
    assert left is not None
    if follow:
        books.ledger.decided(Judgment(ASKING, left, HELD, ROWS), "Connect", START + timedelta(microseconds=1))
    else:
        books.answer(entry)
    with pytest.raises(Contended):
        books.ledger.taken_over(left, LATER)


def test_an_answer_to_no_decision_changes_nothing(books: Books) -> None:
    with pytest.raises(Contended):
        books.answer(f"{stamp(START)}#0123456789abcdef")
    assert books.known() is None


def test_the_same_decision_after_the_same_history_has_the_same_id_and_otherwise_another(books: Books) -> None:
    first = books.decide(HELD)
    books.answer(first, Status.HELD)
    second = books.decide(HELD, LATER)
    other = FakeLedger()
    again = other.decided(Judgment(ASKING, None, HELD, ROWS), "Connect", LATER)
    assert again.rpartition("#")[2] == first.rpartition("#")[2] != second.rpartition("#")[2]


# ------------------------------------------------------------------ what is seen, closed and probed


def test_what_is_seen_of_a_new_endpoint_is_recorded(books: Books) -> None:
    books.ledger.seen(replace(ASKING, state=State.AVAILABLE), Status.ACCEPTED, None, START)
    assert books.known() == EndpointRecord(
        endpoint=ENDPOINT,
        service=SERVICE,
        status=Status.ACCEPTED,
        state=State.AVAILABLE,
        account=CONSUMER,
        region=REGION,
        requested_at=ASKING.created,
        accepted_at=START,
        claimed=True,
        why=found(State.AVAILABLE),
    )
    assert books.lines(ENDPOINT) == []


def test_what_is_seen_in_another_status_has_no_time_of_acceptance(books: Books) -> None:
    books.ledger.seen(replace(ASKING, state=State.REJECTED), Status.REJECTED, None, START)
    known = books.known()
    assert known is not None
    assert known.accepted_at is None


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_new_acceptance_forgets_the_health_of_a_former_connection(books: Books, by_hand: bool) -> None:
    books.answer(books.decide())
    former = books.known()
    assert former is not None
    books.ledger.probed(former, Status.VERIFIED, "111", HEALTH, START)
    books.ledger.seen(replace(ASKING, state=State.REJECTED), Status.REJECTED, books.known(), START)
    if by_hand:
        books.ledger.seen(replace(ASKING, state=State.AVAILABLE), Status.ACCEPTED, books.known(), LATER)
    else:
        books.answer(books.decide(HELD, LATER))
    known = books.known()
    assert known is not None
    assert (known.status, known.accepted_at) == (Status.ACCEPTED, LATER)
    assert (known.recent, known.verified_at, known.health) == ("", None, {})


def test_what_is_seen_leaves_the_last_decision_as_it_is(books: Books) -> None:
    entry = books.decide()
    books.answer(entry)
    before = books.known()
    assert before is not None
    books.ledger.seen(replace(ASKING, state=State.AVAILABLE), Status.ACCEPTED, before, LATER)
    assert books.known() == replace(before, state=State.AVAILABLE)


def test_an_endpoint_that_somebody_recorded_meanwhile_is_contended(books: Books) -> None:
    books.ledger.seen(ASKING, Status.HELD, None, START)
    with pytest.raises(Contended):
        books.ledger.seen(ASKING, Status.ACCEPTED, None, LATER)


def test_a_status_that_changed_meanwhile_is_contended_for_every_writer(books: Books) -> None:
    books.ledger.seen(ASKING, Status.ACCEPTED, None, START)
    stale = books.known()
    assert stale is not None
    books.ledger.seen(ASKING, Status.REJECTED, stale, LATER)
    with pytest.raises(Contended):
        books.ledger.seen(ASKING, Status.HELD, stale, LATER)
    with pytest.raises(Contended):
        books.ledger.closed(stale, LATER)
    with pytest.raises(Contended):
        books.ledger.probed(stale, Status.VERIFIED, "1", {}, LATER)
    known = books.known()
    assert known is not None
    assert known.status is Status.REJECTED


def test_a_closed_endpoint_keeps_its_history(books: Books) -> None:
    books.answer(books.decide())
    before = books.known()
    assert before is not None
    books.ledger.closed(before, LATER)
    gone = replace(before, status=Status.CLOSED, state=State.DELETED, claimed=False, why=found(State.DELETED))
    assert books.known() == gone
    assert [line.answer for line in books.lines(ENDPOINT)] == ["done"]


def test_an_open_decision_on_an_endpoint_that_is_gone_is_answered_by_that(books: Books) -> None:
    entry = books.decide()
    before = books.known()
    assert before is not None
    books.ledger.closed(before, LATER)
    known = books.known()
    assert known is not None
    assert (known.status, known.settled) == (Status.CLOSED, True)
    assert [line.answer for line in books.lines(ENDPOINT)] == ["the endpoint is gone"]
    with pytest.raises(Contended):
        books.answer(entry)


def test_what_ec2_refused_is_forgotten_with_the_endpoint(books: Books) -> None:
    entry = books.decide()
    books.ledger.refused(ASKING.endpoint, entry, "InvalidState: no", 3, LATER, "Waits: late.")
    before = books.known()
    assert before is not None
    assert (before.refusal, before.tries) == ("InvalidState: no", 3)
    books.ledger.closed(before, LATER)
    known = books.known()
    assert known is not None
    assert (known.refusal, known.tries) == ("", 0)


def test_an_endpoint_that_was_only_seen_is_closed_without_a_line(books: Books) -> None:
    books.ledger.seen(replace(ASKING, state=State.AVAILABLE), Status.ACCEPTED, None, START)
    before = books.known()
    assert before is not None
    books.ledger.closed(before, LATER)
    assert books.lines(ENDPOINT) == []


HEALTH = {"cause": "", "detail": "", "phases": {"dns": Decimal("1.25")}, "checked_at": "2026-11-23T03:00:00+00:00"}


def test_a_round_of_health_is_kept_and_the_first_crossing_only_once(books: Books) -> None:
    books.answer(books.decide())
    for seconds, (status, recent) in enumerate([(Status.VERIFIED, "1"), (Status.UNHEALTHY, "1000")]):
        known = books.known()
        assert known is not None
        books.ledger.probed(known, status, recent, HEALTH, START + timedelta(seconds=seconds))
    known = books.known()
    assert known is not None
    assert (known.status, known.recent, known.health) == (Status.UNHEALTHY, "1000", HEALTH)
    books.ledger.probed(known, Status.VERIFIED, "10001", HEALTH, LATER)
    known = books.known()
    assert known is not None
    assert (known.status, known.verified_at) == (Status.VERIFIED, START)


def test_a_round_that_another_round_followed_changes_nothing(books: Books) -> None:
    books.answer(books.decide())
    stale = books.known()
    assert stale is not None
    books.ledger.probed(stale, Status.ACCEPTED, "0", HEALTH, START)
    with pytest.raises(Contended):
        books.ledger.probed(stale, Status.VERIFIED, "1", HEALTH, LATER)
    known = books.known()
    assert known is not None
    assert (known.status, known.recent) == (Status.ACCEPTED, "0")


# ------------------------------------------------------------------ reading


def test_many_endpoints_are_read_at_once(books: Books) -> None:
    names = [endpoint_id(number) for number in range(101)]
    for name in names:
        books.ledger.seen(replace(ASKING, endpoint=name), Status.HELD, None, START)
    found = books.ledger.current([*names, *names, endpoint_id(999)])
    assert found.keys() == set(names)


def test_the_endpoints_of_a_service_are_found_by_status(books: Books) -> None:
    for number, (service, status) in enumerate(
        [(SERVICE, Status.HELD), (SERVICE, Status.HELD), (SERVICE, Status.CLOSED), (service_id(2), Status.HELD)]
    ):
        books.ledger.seen(replace(ASKING, service=service, endpoint=endpoint_id(number)), status, None, START)
    books.ledger.decided(Judgment(replace(ASKING, endpoint=endpoint_id(9)), None, HELD, ROWS), "", START)
    found = books.ledger.of(SERVICE, Status.HELD)
    assert sorted(one.endpoint for one in found) == [endpoint_id(0), endpoint_id(1), endpoint_id(9)]


# ------------------------------------------------------------------ the real one alone


def test_a_line_holds_enough_to_make_its_decision_again() -> None:
    with dynamodb() as resource:
        entry = Ledger(LedgerTable(resource, LEDGER)).decided(Judgment(ASKING, None, ACCEPTED, ROWS), "Connect", START)
        item = resource.Table(LEDGER).get_item(Key={"endpoint_id": ENDPOINT, "entry": entry})["Item"]
    assert replay(str(item["facts"])) == ACCEPTED
    assert item["applied"] == [f"{SERVICE}/{CONSUMER}"]
    assert item["people"] == {"owner": "payments"}


def test_a_policy_too_long_for_an_item_is_recorded_without_its_facts() -> None:
    notes = {"service": SERVICE, "consumer": "*", "effect": "allow", "note": "n" * 250_000}
    rows = {RowKey(SERVICE, "*"): notes}
    with dynamodb() as resource:
        entry = Ledger(LedgerTable(resource, LEDGER)).decided(Judgment(ASKING, None, HELD, rows), "Connect", START)
        item = resource.Table(LEDGER).get_item(Key={"endpoint_id": ENDPOINT, "entry": entry})["Item"]
    assert (item["facts"], item["reason"]) == ("", "not_listed")


def test_a_row_as_long_as_a_row_can_be_does_not_stop_decisions() -> None:
    longest = {"service": SERVICE, "consumer": "*", "effect": "allow", "note": "n" * 404_700}
    rows: Rows = {RowKey(SERVICE, "*"): longest}
    with dynamodb() as resource:
        resource.Table(ALLOW_LIST).put_item(Item=longest)
        judgment = Judgment(ASKING, None, decide(ASKING, rows, START), rows)
        Ledger(LedgerTable(resource, LEDGER)).decided(judgment, "Connect", START)


def test_a_table_that_does_not_exist_is_named_by_every_call() -> None:
    known = EndpointRecord(ENDPOINT, SERVICE, Status.HELD, State.PENDING)
    calls: list[Callable[[Ledger], object]] = [
        lambda ledger: ledger.current([ENDPOINT]),
        lambda ledger: ledger.of(SERVICE, Status.HELD),
        lambda ledger: ledger.decided(Judgment(ASKING, None, HELD, ROWS), "Connect", START),
        lambda ledger: ledger.seen(ASKING, Status.HELD, None, START),
        lambda ledger: ledger.closed(known, START),
        lambda ledger: ledger.taken_over(known, START),
        lambda ledger: ledger.refused(ASKING.endpoint, "", "InvalidState: late", 1, START, "Waits: late."),
        lambda ledger: ledger.probed(known, Status.VERIFIED, "1", {}, START),
        lambda ledger: ledger.healed(replace(known, claimed=True), frozenset()),
        lambda ledger: ledger.whole(SERVICE),
        lambda ledger: ledger.mark_unwanted(known, START),
        lambda ledger: ledger.untagged(known),
        lambda ledger: ledger.attributed(replace(known, by_hand="a line"), "somebody"),
    ]
    with dynamodb() as resource:
        for call in calls:
            with pytest.raises(SettingsError, match="table missing does not exist in this account and Region"):
                call(Ledger(LedgerTable(resource, "missing")))


# ------------------------------------------------------------------ what is known


OPEN = EndpointRecord(ENDPOINT, SERVICE, Status.HELD, State.PENDING_ACCEPTANCE, settled=False, open_until=START + LEASE)


@pytest.mark.parametrize(("seconds", "is_open"), [(0, True), (59, True), (60, False), (61, False)])
@pytest.mark.parametrize("refusal", ["", "InvalidState: late"])
def test_an_open_decision_is_its_approvers_or_after_a_refusal_nobodys_until_its_time(
    seconds: int, is_open: bool, refusal: str
) -> None:
    assert timedelta(seconds=60) == LEASE
    known, now = replace(OPEN, refusal=refusal), START + timedelta(seconds=seconds)
    assert (known.leased_at(now), known.paused_at(now)) == (is_open and not refusal, is_open and bool(refusal))
    settled = replace(known, settled=True)
    assert not settled.leased_at(now)
    assert not settled.paused_at(now)
    assert not known.fresh_at(now)


@pytest.mark.parametrize(("status", "fresh"), [(Status.ACCEPTED, True), (Status.REJECTED, True), (Status.HELD, False)])
def test_an_answer_of_ec2_is_fresh_for_a_minute(status: Status, fresh: bool) -> None:
    known = EndpointRecord(ENDPOINT, SERVICE, status, State.PENDING, answered_at=START)
    assert known.fresh_at(START + timedelta(seconds=59)) is fresh
    assert not known.fresh_at(START + timedelta(seconds=60))


@pytest.mark.parametrize(
    "other",
    [
        replace(ACCEPTED, outcome=Outcome.HOLD),
        replace(ACCEPTED, reason=Reason.FROZEN),
        replace(ACCEPTED, row=None),
        replace(ACCEPTED, policy_hash="another"),
    ],
)
def test_the_ledger_agrees_with_the_same_decision_of_the_same_policy_only(books: Books, other: Decision) -> None:
    books.decide()
    known = books.known()
    assert known is not None
    assert known.agrees_with(ACCEPTED)
    assert not known.agrees_with(other)


def test_times_are_written_so_that_they_sort_as_text() -> None:
    moments = [START, START + timedelta(microseconds=1), START + timedelta(seconds=1), START + timedelta(days=400)]
    assert [stamp(moment) for moment in moments] == sorted(stamp(moment) for moment in moments)
    assert stamp(START) == "2026-11-23T03:00:00.000000Z"
