"""What needs somebody: one line each, with the command that mends it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from linkgate.ledger.breaker import Tripped
from linkgate.model import Budget, MalformedRow, Mode, Reason, Reconcile, RowKey, ServiceSettings, State, Status
from linkgate_cli.attention import MEND, MOST_ALIKE, PARTS, WORDS, needs

from tests.infrastructure.stack import ROOT
from tests.unit.cli.views import ENDPOINT, NOW, SERVICE, WELL, overview, record, table, view
from tests.world import CONSUMER, endpoint_id

KEY = RowKey(SERVICE, CONSUMER)


@pytest.mark.parametrize(
    ("reason", "command"),
    [
        ("not_listed", f"linkgate allow {CONSUMER}"),
        ("expired", f"linkgate allow {CONSUMER} --for 90d"),
        ("wrong_region", f"linkgate allow {ENDPOINT}"),
        ("not_yet_valid", f"linkgate allow {ENDPOINT}"),
        ("review", f"linkgate allow {ENDPOINT}"),
        ("breaker", f"linkgate release {ENDPOINT}"),
        ("frozen", f"linkgate why {ENDPOINT}"),
        ("unknown_region", f"linkgate why {ENDPOINT}"),
        ("from_a_newer_version", f"linkgate why {ENDPOINT}"),
    ],
)
def test_who_waits_is_shown_since_when_with_the_row_that_lets_them_in(reason: str, command: str) -> None:
    (need,) = needs(overview(view([record(Status.HELD, reason)])))
    assert (need.kind, need.since, need.subject, need.command) == (
        "waits",
        NOW - timedelta(hours=3),
        ENDPOINT,
        command,
    )


def test_a_limit_that_is_reached_is_raised_by_one() -> None:
    held = record(Status.HELD, "over_limit", row=str(KEY))
    (need,) = needs(overview(view([held]), rows=table({CONSUMER: {"effect": "allow", "limit": "2"}})))
    assert need.command == f"linkgate allow {CONSUMER} --limit 3"
    (need,) = needs(overview(view([held])))
    assert need.command == f"linkgate why {ENDPOINT}"


def test_where_there_are_several_services_the_command_names_one() -> None:
    waiting, other = view([record(Status.HELD, "not_listed")]), replace(view(), service="vpce-svc-00000000000000002")
    (need,) = needs(overview(waiting, other))
    assert need.command == f"linkgate allow {CONSUMER} --service {SERVICE}"


def test_a_service_that_is_only_observed_is_enrolled() -> None:
    held = record(Status.HELD, "allowed", outcome="accept", mode=Mode.OBSERVE)
    (need,) = needs(overview(view([held], settings=ServiceSettings())))
    assert (need.text, need.command) == (
        f"{CONSUMER}: would be accepted: the service is only observed",
        f"linkgate enroll {SERVICE}",
    )


def test_what_is_live_and_ails_is_shown_with_its_cause() -> None:
    up = {"state": State.AVAILABLE, "outcome": "accept", "reason": "allowed"}
    records = [
        record(Status.UNHEALTHY, number=1, health={"cause": "tcp_refused"}, ticket="NET-1", **up),
        record(Status.ACCEPTED, number=2, health={"detail": "no canary reaches it"}, **up),
        record(Status.VERIFIED, number=3, unwanted_since=NOW - timedelta(minutes=5), **up | {"reason": "expired"}),
        record(Status.VERIFIED, number=4, **up),
    ]
    found = {need.kind: (need.subject, need.text, need.command) for need in needs(overview(view(records)))}
    assert found == {
        "failing": (endpoint_id(1), f"{CONSUMER}: tcp_refused (ticket NET-1)", f"linkgate why {endpoint_id(1)}"),
        "unprobed": (endpoint_id(2), f"{CONSUMER}: no canary reaches it", f"linkgate probe {endpoint_id(2)}"),
        "unwanted": (
            endpoint_id(3),
            f"{CONSUMER}: live and no longer allowed: its row has ended, and stays, since nothing is cut here",
            f"linkgate why {endpoint_id(3)}",
        ),
    }


def test_who_is_to_be_cut_is_shown_with_the_time() -> None:
    up: dict[str, Any] = {"state": State.AVAILABLE, "outcome": "accept", "unwanted_since": NOW}
    cuts = ServiceSettings(mode=Mode.ENFORCE, reconcile=Reconcile.ENFORCE)
    (need,) = needs(overview(view([record(Status.VERIFIED, "denied", **up)], settings=cuts)))
    assert need.text.endswith("no longer allowed: a deny row, to be cut from 12:01:00 UTC on")


def test_whoever_must_recreate_the_endpoint_is_to_be_told() -> None:
    rejected = record(Status.REJECTED, "allowed", outcome="accept", final=True)
    (need,) = needs(overview(view([rejected])))
    assert (need.kind, need.command) == ("tell", f"linkgate why {ENDPOINT} --for-consumer")


def test_a_tripped_breaker_says_whom_it_keeps_and_how_to_let_them_past() -> None:
    kept = Tripped(frozenset({endpoint_id(1), endpoint_id(2)}), Budget(1))
    (need,) = needs(overview(view(cuts=kept)))
    assert need.text == f"2 cuts are kept back: {endpoint_id(1)}, {endpoint_id(2)}"
    assert need.command == f"linkgate release {endpoint_id(1)} {endpoint_id(2)}"
    kept = Tripped(frozenset(map(endpoint_id, range(1, 6))), Budget(1))
    (need,) = needs(overview(view(rejects=kept)))
    assert need.text.endswith(f"{endpoint_id(3)} and 2 more")
    assert need.command == f"linkgate release --service {SERVICE}"


def test_a_row_that_cannot_be_read_is_shown_with_its_problem() -> None:
    row = MalformedRow(KEY, "limit", "limit is 'x': expected a number")
    (need,) = needs(overview(view(), malformed=(row,)))
    assert (need.kind, need.subject, need.text, need.command) == ("invalid", str(KEY), row.problem, MEND)


def test_silent_parts_misconfigured_services_and_lost_ones_come_with_the_doctor() -> None:
    open_to_all = replace(WELL, acceptance_required=False)
    found = needs(overview(view(described=open_to_all), alarms=("patrol-silent", "endpoint-unhealthy")))
    assert [(need.kind, need.command) for need in found] == [
        ("silent", "linkgate doctor"),
        ("misconfigured", "linkgate doctor"),
    ]
    (need,) = needs(overview(view(described=None)))
    assert (need.kind, need.command) == ("lost", f"linkgate enroll {SERVICE}")


def test_many_that_are_alike_are_some_lines_and_one_that_counts_the_rest() -> None:
    found = needs(overview(view([record(Status.HELD, "not_listed", number) for number in range(1, 21)])))
    assert len(found) == MOST_ALIKE + 1
    assert found[-1].subject == f"{20 - MOST_ALIKE} more"
    assert found[-1].command == f"linkgate status --service {SERVICE} --status HELD"


def test_every_reason_has_words_and_every_alarm_of_a_part_is_one_of_the_stack() -> None:
    assert set(WORDS) == set(Reason)
    template = (ROOT / "template.yaml").read_text()
    assert [name for name in PARTS if f"-{name}\n" not in template] == []
