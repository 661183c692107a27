"""The sentence `why`: for every reason, waiting and live, enforced and observed, and after what EC2 answered.

why.txt beside this file has them all, to be read aloud; a sentence that changes is changed there by hand.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from linkgate.model import ALONE, Connection, Decision, DecisionContext, Lineage, Mode, Outcome, Reason, RowKey, State
from linkgate.policy.decide import Rows, decide
from linkgate.policy.grounds import LONGEST_QUOTE
from linkgate.policy.why import NOT_YET, TOOK_IT, Answer, attributed, by_hand, came_true, found, why

from tests.world import CONSUMER, REGION, endpoint_id, service_id

GOLDEN = Path(__file__).with_name("why.txt")
SERVICE, ENDPOINT = service_id(1), endpoint_id(1)
NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
WAITS = Connection(SERVICE, ENDPOINT, CONSUMER, REGION, State.PENDING_ACCEPTANCE, NOW)
LIVE, REJECTED = replace(WAITS, state=State.AVAILABLE), replace(WAITS, state=State.REJECTED)
UNIT = "ou-ab12-22222222"
ASLEEP = Lineage(unknown=Reason.UNKNOWN_ORGANIZATION, why="AWS Organizations does not answer")
ROLELESS = Lineage(unknown=Reason.MALFORMED_ROW, why="the parameter OrganizationsRoleArn is empty")
Table = Mapping[str, Mapping[str, object]]

ALLOW = {"effect": "allow", "owner": "payments", "ticket": "NET-17"}
DENY = {"effect": "deny", "owner": "security", "reason": "contract ended"}
PAST = {"effect": "allow", "owner": "payments", "expires_at": "2026-10-01T00:00:00Z"}
LATER = {"effect": "allow", "owner": "payments", "starts_at": "2026-12-01T09:30:00Z"}
ELSEWHERE = {"effect": "allow", "regions": "us-east-1,eu-west-2"}
REJECT: Table = {"@settings": {"default": "reject"}}

SCENES: Mapping[str, tuple[Table, DecisionContext]] = {
    "allowed": ({CONSUMER: ALLOW}, ALONE),
    "allowed, the second of two": ({CONSUMER: ALLOW | {"limit": 2}}, DecisionContext(live=1)),
    "denied": ({CONSUMER: DENY}, ALONE),
    "denied, cut at once": ({CONSUMER: DENY | {"cut": "now"}}, ALONE),
    "review": ({CONSUMER: ALLOW | {"effect": "review"}}, ALONE),
    "frozen": ({CONSUMER: ALLOW, "@settings": {"frozen_until": "2026-12-01T00:00:00Z"}}, ALONE),
    "malformed row": ({CONSUMER: {"effect": "allow", "expires": "2026-12-01"}}, ALONE),
    "malformed settings": ({CONSUMER: ALLOW, "@settings": {"modes": "enforce"}}, ALONE),
    "malformed for want of a role": ({UNIT: ALLOW}, DecisionContext(lineage=ROLELESS)),
    "malformed keys": ({CONSUMER: ALLOW}, DecisionContext(unmatched=(RowKey(SERVICE, "3333-3333-3333"),))),
    "over limit": ({CONSUMER: ALLOW | {"limit": 2}}, DecisionContext(live=2)),
    "over limit of zero": ({CONSUMER: ALLOW | {"limit": 0}}, ALONE),
    "breaker, denied": ({CONSUMER: DENY}, DecisionContext(breaker=True)),
    "breaker, by default": (REJECT, DecisionContext(breaker=True)),
    "unknown region": ({CONSUMER: ELSEWHERE}, ALONE),
    "unknown organization": ({UNIT: ALLOW}, DecisionContext(lineage=ASLEEP)),
    "unknown account": ({CONSUMER: ALLOW}, ALONE),
    "expired": ({CONSUMER: PAST}, ALONE),
    "expired review": ({CONSUMER: PAST | {"effect": "review"}}, ALONE),
    "expired, rejected by default": ({CONSUMER: PAST, **REJECT}, ALONE),
    "expired, before a deny that is over": ({ENDPOINT: PAST | {"effect": "deny"}, CONSUMER: PAST}, ALONE),
    "not yet valid": ({CONSUMER: LATER}, ALONE),
    "wrong region": ({CONSUMER: ELSEWHERE}, ALONE),
    "not listed": ({}, ALONE),
    "not listed, rejected by default": (REJECT, ALONE),
}
"""By name: rows by their consumer, and the context."""
UNSAID: Mapping[str, Mapping[str, str]] = {"unknown region": {"region": ""}, "unknown account": {"account": ""}}
ON, CUTS = {"mode": "enforce"}, {"mode": "enforce", "reconcile": "enforce"}
SERVICES: Mapping[str, Mapping[str, object]] = {"enforced": ON, "observed": {}}


def decided(
    scene: str, connection: Connection, settings: Mapping[str, object]
) -> tuple[Connection, Decision, Rows, DecisionContext]:
    (table, context), unsaid = SCENES[scene], UNSAID.get(scene, {})
    consumers = table.keys() | {"@settings"}
    rows = {RowKey(SERVICE, one): {"service": SERVICE, "consumer": one, **table.get(one, {})} for one in consumers}
    rows[RowKey(SERVICE, "@settings")] |= settings
    asked = replace(connection, account=unsaid.get("account", CONSUMER), region=unsaid.get("region", REGION))
    return asked, decide(asked, rows, NOW, context), rows, context


def sentence(
    scene: str,
    settings: Mapping[str, object],
    connection: Connection = WAITS,
    answer: Answer = TOOK_IT,
    act: str = "",
) -> str:
    """What is said of a scene; `act` is what the sweep made of a live connection."""
    asked, decision, rows, context = decided(scene, connection, settings)
    if act:
        mode = Mode.ENFORCE if act == "cut" else Mode.OBSERVE
        decision = replace(decision, outcome=Outcome.CUT, mode=mode)
    return why(asked, decision, rows, NOW, context, answer)


def sentences() -> Iterator[tuple[str, str]]:
    for scene in SCENES:
        for words, settings in SERVICES.items():
            yield f"{scene}, waits, {words}", sentence(scene, settings)
            yield f"{scene}, live, {words}", sentence(scene, settings, LIVE)
    for scene in ("denied", "expired", "not listed"):
        yield f"{scene}, live, within the grace", sentence(scene, CUTS, LIVE)
        yield (
            f"{scene}, live, withheld by the breaker",
            sentence(scene, CUTS | {"max_cuts": "10%"}, LIVE, act="withheld"),
        )
        yield f"{scene}, live, cut", sentence(scene, CUTS, LIVE, act="cut")
        yield f"{scene}, live, off", sentence(scene, ON | {"reconcile": "off"}, LIVE)
        yield f"{scene}, rejected", sentence(scene, ON, REJECTED)
    late = Answer(
        "UnauthorizedOperation: You are not authorized to perform this operation.", NOW + timedelta(seconds=8)
    )
    never = Answer("InvalidState: it is rejected")
    for name, answer in (("not asked yet", NOT_YET), ("refused", late), ("refused for ever", never)):
        yield f"allowed, {name}", sentence("allowed", ON, WAITS, answer)
        yield f"denied, {name}", sentence("denied", ON, WAITS, answer)
        yield f"allowed after a rejection, {name}", sentence("allowed", ON, REJECTED, answer)
        yield f"denied, live, {name}", sentence("denied", CUTS, LIVE, answer, "cut")
    yield "allowed after a rejection", sentence("allowed", ON, REJECTED)
    yield "allowed after a rejection, observed", sentence("allowed", {}, REJECTED)
    arn, ours = "arn:aws:iam::111111111111:role/admin", ("hold", "not_listed", "")
    yield "accepted by hand", by_hand(True, arn, NOW, ours)
    yield "rejected by hand", by_hand(False, arn, NOW, ("accept", "allowed", f"{SERVICE}/{CONSUMER}"))
    yield "rejected by nobody knows whom, before any decision", by_hand(False, "", NOW, ("", "", ""))
    states = (State.AVAILABLE, State.REJECTED, State.UNKNOWN, State.FAILED)
    yield from ((f"found {state}", found(state, "levitating")) for state in states)


def test_every_sentence_is_as_it_was_read_aloud() -> None:
    assert [f"{name}\n    {text}" for name, text in sentences()] == GOLDEN.read_text().strip().split("\n\n")


def test_every_reason_has_a_sentence_here_for_who_waits_and_for_who_is_live() -> None:
    for connection, missing in ((WAITS, set[Reason]()), (LIVE, {Reason.BREAKER})):
        reasons = {decided(scene, connection, ON)[1].reason for scene in SCENES}
        assert reasons == set(Reason) - missing


@pytest.mark.parametrize("text", [text for _, text in sentences()])
def test_a_sentence_says_each_thing_once_and_in_whole(text: str) -> None:
    assert text.endswith(".")
    assert not text.endswith("..")
    assert "None" not in text
    assert "  " not in text
    assert text.count("; next: ") <= 1


def test_who_waits_is_told_the_next_step_and_who_may_connect_needs_none() -> None:
    for name, text in sentences():
        if text.startswith(("Waits", "Still live")):
            assert "; next: " in text, name
    assert "next" not in sentence("allowed", ON)


def test_a_decision_that_came_true_says_so_by_what_was_written_when_it_was_open() -> None:
    says = ("accept", "allowed", "*/222222222222")
    opened = sentence("allowed", ON, answer=NOT_YET)
    assert came_true(opened, *says) == sentence("allowed", ON)
    assert came_true("Waits: refused.", *says) == (
        "Accepted: decided as allowed, row */222222222222, and EC2 took it after a refusal."
    )


def test_once_it_is_known_who_acted_only_the_sentence_about_it_changes() -> None:
    before = by_hand(True, "", NOW, ("", "", ""))
    assert attributed(before, "arn:b") == by_hand(True, "arn:b", NOW, ("", "", ""))
    assert attributed("Waits: accepted by somebody, not.", "arn:b") == "Waits: accepted by somebody, not."
    assert attributed(before, r"\1") == by_hand(True, r"\1", NOW, ("", "", ""))


def test_a_sentence_stays_short_whatever_people_and_ec2_wrote() -> None:
    table = {"effect": "allow", **dict.fromkeys(("owner", "reason", "ticket", "note"), "x" * 2000)}
    rows = {RowKey(SERVICE, CONSUMER): {"service": SERVICE, "consumer": CONSUMER, **table}}
    decision = decide(WAITS, rows, NOW)
    text = why(WAITS, decision, rows, NOW, DecisionContext(), Answer("y" * 5000, NOW))
    assert "y" * (LONGEST_QUOTE - 3) + "..." in text
    assert len(text) < 1200
