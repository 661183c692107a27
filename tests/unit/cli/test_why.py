"""`linkgate why`, to be read aloud: golden/why has every reason of a decision, golden/health every cause.

A file that is missing is written, and its test fails once; one whose words change is changed there by hand.
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from linkgate.health.causes import CAUSES
from linkgate.ledger.items import EndpointRecord, Judgment, line
from linkgate.model import Connection, Decision, Mode, Outcome, Reason, State, Status
from linkgate_cli.condition import health
from linkgate_cli.consumer import TOLD, Case, message
from linkgate_cli.explanation import tell

from tests.unit.policy.test_why import CUTS, LIVE, NOW, ON, SCENES, WAITS, decided
from tests.world import CONSUMER, REGION, endpoint_id, service_id

GOLDEN = Path(__file__).with_name("golden")
NOTIFIED = "Endpoint Connection Notification"
LATER = NOW + timedelta(minutes=40)
PROVIDERS_OWN = ("row vpce-svc", "NET-17", "payments", "security", "contract ended", "@")
"""What a message to a consumer never names."""


def held_to(name: str, text: str) -> None:
    """A text is that of its golden file."""
    path = GOLDEN / f"{name}.txt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        pytest.fail(f"{path.name} was missing: read it aloud, then run this again")
    assert text == path.read_text()


def recorded(connection: Connection, decision: Decision, status: Status) -> EndpointRecord:
    """What the ledger has of an endpoint after a decision that was settled."""
    outcome, reason, row = decision.says()
    return EndpointRecord(
        connection.endpoint,
        connection.service,
        status,
        connection.state,
        account=connection.account,
        region=connection.region,
        outcome=outcome,
        reason=reason,
        row=row,
        mode=decision.mode,
        requested_at=connection.created,
        decided_at=NOW,
        answered_at=NOW,
    )


@pytest.mark.parametrize("scene", SCENES)
def test_each_reason_is_told_step_by_step_and_to_the_consumer(scene: str) -> None:
    connection, decision, rows, context = decided(scene, WAITS, ON)
    answer = "nothing to do" if decision.outcome is Outcome.HOLD else "done"
    item = line(Judgment(connection, None, decision, rows, context), NOTIFIED, NOW) | {"answer": answer}
    told = tell(item, LATER)
    assert told.decision == decision
    statuses = {Outcome.ACCEPT: Status.ACCEPTED, Outcome.REJECT: Status.REJECTED}
    record = recorded(connection, decision, statuses.get(decision.outcome, Status.HELD))
    letter = message(Case(record, told.decision, told.facts), LATER)
    assert not [word for word in PROVIDERS_OWN if word in letter]
    held_to(f"why/{scene.replace(',', '').replace(' ', '-')}", "\n".join([*told.steps, "", letter, ""]))


def test_every_reason_has_a_golden_file() -> None:
    reasons = {decided(scene, WAITS, ON)[1].reason for scene in SCENES}
    assert reasons == set(Reason)


def test_one_that_is_live_and_no_longer_allowed_is_told_so() -> None:
    connection, decision, rows, context = decided("denied", LIVE, CUTS)
    cut = replace(decision, outcome=Outcome.CUT)
    item = line(Judgment(connection, None, cut, rows, context), "sweep", NOW) | {"answer": "done"}
    record = recorded(connection, cut, Status.CUT)
    told = tell(item, LATER)
    letter = message(Case(record, told.decision, told.facts), LATER)
    held_to("why/cut", "\n".join([*told.steps, "", letter, ""]))


def test_in_observe_nothing_is_done_and_the_consumer_hears_no_more_than_that_somebody_decides() -> None:
    connection, decision, rows, context = decided("allowed", WAITS, {})
    item = line(Judgment(connection, None, decision, rows, context), NOTIFIED, NOW) | {"answer": "nothing to do"}
    told = tell(item, LATER)
    letter = message(Case(recorded(connection, decision, Status.HELD), told.decision, told.facts), LATER)
    held_to("why/observed", "\n".join([*told.steps, "", letter, ""]))


def test_what_was_done_out_of_band_says_by_whom() -> None:
    item = {"reason": "by_hand", "outcome": "accept", "who": "arn:aws:iam::111111111111:role/deployer"}
    item |= {"note": "was HELD, found available", "decided_at": "2026-11-23T03:00:00.000000Z"}
    assert tell(item, LATER).steps == (
        "It was accepted by arn:aws:iam::111111111111:role/deployer, not by Linkgate: was HELD, found available "
        "(on 2026-11-23 03:00:00 UTC, 40 min ago).",
    )


@pytest.mark.parametrize("facts", ["", "{}", "[]", '{"connection": 1}'])
def test_a_decision_without_readable_facts_is_told_by_what_stands_beside_them(facts: str) -> None:
    told = tell({"outcome": "hold", "reason": "frozen", "facts": facts, "decided_at": "x"}, LATER)
    assert told.steps == ("Decided at a time that is not kept: hold, frozen. Its facts are not kept.",)
    assert told.decision is None


def test_a_version_that_would_decide_otherwise_says_so() -> None:
    connection, decision, rows, context = decided("allowed", WAITS, ON)
    item = line(Judgment(connection, None, decision, rows, context), NOTIFIED, NOW) | {"reason": "review"}
    assert any("this version of Linkgate would decide otherwise" in step for step in tell(item, LATER).steps)


def live(cause: str, status: Status = Status.UNHEALTHY) -> EndpointRecord:
    found = {"cause": cause, "detail": f"4 of 4 probes: {cause} at 10.2.1.4", "looked_at": NOW.isoformat()}
    endpoint, service = endpoint_id(1), service_id(1)
    state = State.AVAILABLE
    more = {"accepted_at": NOW - timedelta(days=2), "recent": "11000", "health": found, "mode": Mode.ENFORCE}
    return EndpointRecord(endpoint, service, status, state, account=CONSUMER, region=REGION, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_is_told_with_what_it_means_and_to_the_consumer(cause: str) -> None:
    record = live(cause)
    letter = message(Case(record), LATER)
    held_to(f"health/{cause}", "\n".join([*health(record, LATER), "", letter, ""]))


def test_a_healthy_endpoint_shows_its_phases_and_an_unprobed_one_says_why_nobody_knows() -> None:
    found = {"cause": "", "phases": {"tcp": 1.5, "total": 2.25}, "looked_at": NOW.isoformat()}
    well = replace(live("", Status.VERIFIED), recent="11101", health=found)
    assert list(health(well, LATER)) == [
        "It answers, last found out 40 min ago: tcp 1.5 ms, total 2.25 ms.",
        "1 of its last 5 rounds were bad.",
    ]
    unprobed = replace(live("", Status.ACCEPTED), recent="", health={"detail": "no canary reaches it"})
    assert list(health(unprobed, LATER)) == ["Nobody knows whether it answers: no canary reaches it."]
    assert list(health(replace(well, status=Status.HELD), LATER)) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": Status.REJECTED, "final": True, "outcome": "accept", "reason": "allowed"}, "create a new one"),
        ({"status": Status.REJECTED, "reason": "by_hand"}, "by one of us"),
        ({"status": Status.CLOSED}, "is gone: it was deleted"),
        ({"status": Status.VERIFIED}, "is accepted since 2026-11-21 03:00 UTC, and answers"),
        ({"status": Status.HELD, "reason": "not_listed", "refusal": "IncorrectState: x"}, "This is ours to mend"),
        ({"status": Status.HELD, "reason": "from_a_newer_version"}, "This is ours to mend"),
    ],
)
def test_the_consumer_is_told_whether_to_recreate(change: dict[str, object], words: str) -> None:
    record = replace(live(""), **change)  # type: ignore[arg-type]
    assert words in message(Case(record), LATER)


def test_a_consumer_is_told_of_every_cause_whose_it_is() -> None:
    assert set(CAUSES) == TOLD
