"""The checks of `linkgate doctor`: each finds what it is for, says what mends it, and is silent where all is well."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from linkgate.model import State, Status
from linkgate_cli.checks import CHECKS, examine
from linkgate_cli.evidence import Alarm, Evidence
from linkgate_cli.offered import Notification, Offered

from tests.unit.cli.views import ENDPOINT, NOW, SERVICE, overview, record, table, view
from tests.world import CONSUMER, PROVIDER, endpoint_id

TOPIC = f"arn:aws:sns:eu-west-1:{PROVIDER}:linkgate"
STRANGER = f"arn:aws:sns:eu-west-1:{PROVIDER}:linkgate-notifications-old"
SUBSCRIBER = f"{TOPIC}:0b2f"
WIRED = Notification("vpce-nfn-1", TOPIC, complete=True, enabled=True)
OFFERED = Offered(
    SERVICE, "name", "Interface", "Available", True, {"linkgate": "managed"}, True, notifications=(WIRED,)
)
ROWS = table({"@settings": {"mode": "enforce"}, CONSUMER: {"effect": "allow"}})
CANARY = "arn:aws:lambda:eu-west-1:222222222222:function:linkgate-canary-x"


def live(**more: Any) -> Any:
    return record(Status.VERIFIED, "allowed", state=State.AVAILABLE, row=f"{SERVICE}/{CONSUMER}", **more)


def well() -> Evidence:
    """Everything as it should be: one live connection, whose consumer runs a canary."""
    return Evidence(
        overview(view([live()])),
        topic=TOPIC,
        tag_value="managed",
        alarm_topic=f"{TOPIC}-alarms",
        parameters={"OrganizationsRoleArn": "", "ExpiringSoonDays": "14"},
        offered={SERVICE: OFFERED},
        principals={SERVICE: frozenset({f"arn:aws:iam::{CONSUMER}:root"})},
        rows={**ROWS, **table({f"@canary:{CONSUMER}": {"function": CANARY}})},
        alarms=(Alarm("sweep-silent", "OK", True),),
        subscribers=(SUBSCRIBER,),
        queues={"BellQueue": 3, "BellDeadLetters": 0},
        functions={"SweepFunction": "Active"},
        swept=NOW,
        own_canary="linkgate-CanaryFunction-1",
        account=PROVIDER,
    )


def test_where_all_is_well_nothing_is_found() -> None:
    assert examine(well()) == []


Change = Callable[[Evidence], object]


def put(**values: Any) -> Change:
    def change(evidence: Evidence) -> None:
        for name, value in values.items():
            setattr(evidence, name, value)

    return change


def rows(**more: dict[str, object]) -> Change:
    return lambda evidence: setattr(evidence, "rows", {**evidence.rows, **table(more)})


def row(consumer: str, **item: object) -> Change:
    return rows(**{consumer: item})


SPOILT: dict[str, tuple[str, Change, str, str]] = {
    "no service is managed": (
        "tags",
        put(offered={}, rows={}, principals={}),
        "no endpoint service here is managed",
        "linkgate enroll",
    ),
    "a tag that is nearly right": (
        "tags",
        put(
            offered={
                SERVICE: OFFERED,
                "vpce-svc-2": replace(OFFERED, service="vpce-svc-2", tags={"Linkgate": "Managed"}, managed=False),
            }
        ),
        "'Linkgate' = 'Managed'; this stack looks after linkgate = managed",
        "linkgate enroll vpce-svc-2",
    ),
    "no notification": (
        "notifications",
        put(offered={SERVICE: replace(OFFERED, notifications=())}),
        "is missing",
        "sweep",
    ),
    "another stack": (
        "notifications",
        put(
            offered={
                SERVICE: replace(
                    OFFERED, notifications=(WIRED, Notification("vpce-nfn-2", STRANGER, complete=True, enabled=True))
                )
            }
        ),
        "the Linkgate stack old is notified of its connections too",
        "delete-vpc-endpoint-connection-notifications --connection-notification-ids vpce-nfn-2",
    ),
    "a disabled notification": (
        "notifications",
        put(offered={SERVICE: replace(OFFERED, notifications=(Notification("vpce-nfn-1", TOPIC, True, False),))}),
        "is disabled or lacks events",
        "delete it",
    ),
    "an account that may not ask": (
        "principals",
        put(principals={SERVICE: frozenset()}),
        f"rows allow arn:aws:iam::{CONSUMER}:root, and EC2 lets them not even ask",
        "--add-allowed-principals arn:aws:iam::222222222222:root",
    ),
    "a second writer of principals": (
        "principals",
        lambda evidence: (
            row("@settings", mode="enforce", sync_permissions="add")(evidence),
            put(principals={SERVICE: frozenset()})(evidence),
        ),
        "somebody takes them away again",
        "Terraform",
    ),
    "a Region without the service": (
        "regions",
        row(CONSUMER, effect="allow", regions="us-east-1"),
        "is about us-east-1, where the service is not offered",
        "--add-supported-regions us-east-1",
    ),
    "a broken function": (
        "functions",
        put(functions={"SweepFunction": "Failed"}),
        "SweepFunction is Failed",
        "sam deploy",
    ),
    "no sweep": ("functions", put(swept=None), "no sweep ran within the last hour", "sweep-silent"),
    "dead letters": (
        "queues",
        put(queues={"BellDeadLetters": 4}),
        "4 messages were given up, in BellDeadLetters",
        "start-message",
    ),
    "an alarm that rings": (
        "alarms",
        put(alarms=(Alarm("sweep-silent", "ALARM", True),)),
        "sweep-silent rings",
        "runbook.md",
    ),
    "an alarm that tells nobody": (
        "alarms",
        put(alarms=(Alarm("sweep-silent", "OK", False),)),
        "tells nobody",
        "actions",
    ),
    "no subscriber": (
        "alarms",
        put(subscribers=()),
        "nobody is subscribed to AlarmTopic",
        f"--topic-arn {TOPIC}-alarms",
    ),
    "a subscriber who did not confirm": (
        "alarms",
        put(subscribers=("PendingConfirmation",)),
        "waits for its confirmation",
        "sns",
    ),
    "nobody probes an account": (
        "canaries",
        put(rows=ROWS),
        f"1 live endpoint is unprobed, of {CONSUMER}",
        "consumer-canary",
    ),
    "a canary that patrol may not invoke": (
        "canaries",
        row(f"@canary:{CONSUMER}", function=CANARY.replace("linkgate-canary", "mine")),
        "names no canary that patrol may invoke",
        "consumer-canary",
    ),
    "other hands": (
        "other hands",
        put(overview=overview(view([live(why="Accepted by arn:x:role/deployer, not by Linkgate (seen today): y.")]))),
        "1 connections were accepted or rejected by arn:x:role/deployer",
        f"linkgate why {ENDPOINT} --history",
    ),
    "a malformed row": (
        "unreadable",
        row("333333333333", effect="allow", limit="x"),
        "cannot be read: limit is",
        "linkgate export",
    ),
    "a unit row without a role": (
        "unreadable",
        row("ou-ab12-11111111", effect="deny"),
        "OrganizationsRoleArn is empty",
        "organizations.md",
    ),
    "an item of the ledger": (
        "unreadable",
        put(overview=overview(view([live()], unreadable={endpoint_id(9): "it has no state"}))),
        f"the ledger's item about {endpoint_id(9)} cannot be read: it has no state",
        "sweep",
    ),
    "a row of a service nobody manages": (
        "unused rows",
        lambda evidence: setattr(
            evidence, "rows", {**evidence.rows, **table({"*": {"effect": "deny"}}, "vpce-svc-00000000000000009")}
        ),
        "means nothing here",
        "linkgate remove '*' --service vpce-svc-00000000000000009",
    ),
    "a row that ends soon": (
        "ending rows",
        row(CONSUMER, effect="allow", expires_at=f"{NOW + timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}", owner="payments"),
        "ends in 3 d (owner payments)",
        f"linkgate allow {CONSUMER} --for 90d",
    ),
    "a row that has ended": (
        "idle rows",
        row("444444444444", effect="allow", expires_at="2026-10-01T00:00:00Z"),
        "ended 58 d ago",
        "remove",
    ),
    "a row of an endpoint that is gone": (
        "idle rows",
        row(endpoint_id(7), effect="deny"),
        "that is gone, or never was",
        "remove",
    ),
    "a row that let nobody in": (
        "idle rows",
        row("444444444444", effect="allow"),
        "1 allow rows let nobody in so far",
        "no need",
    ),
    "something that may not be read": (
        "not looked at",
        put(unread={"queues": "your role may not sqs:GetQueueAttributes"}),
        "queues: your role may not sqs:GetQueueAttributes",
        "docs/permissions.md",
    ),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_check_finds_what_it_is_for(what: str) -> None:
    check, spoil, words, mend = SPOILT[what]
    evidence = well()
    spoil(evidence)
    found = [one for one in examine(evidence) if one.check == check]
    assert [one for one in found if words in one.text and mend in one.mend], found


def test_every_check_is_tried() -> None:
    assert {check for check, *_ in SPOILT.values()} == {*CHECKS, "not looked at"} - {"services"}


def test_a_service_that_is_open_to_all_is_closed_by_the_command_beside_it() -> None:
    evidence = well()
    described = replace(view().described, acceptance_required=False)  # type: ignore[type-var]
    evidence.overview = overview(view([live()], described=described))
    (found,) = examine(evidence)
    assert found.check == "services"
    assert found.mend.endswith(f"--acceptance-required --service-id {SERVICE}")


def test_notes_are_nothing_wrong() -> None:
    evidence = well()
    row("444444444444", effect="allow")(evidence)
    assert [one.note for one in examine(evidence) if one.check == "idle rows"] == [True]
