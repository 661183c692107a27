"""What people are told, made by the code itself: `python -m tests.messages > docs/messages.md` writes the page anew."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from linkgate.events import catalog
from linkgate.events.bus import Event
from linkgate.events.digest import grouped
from linkgate.events.message import of_event, subject
from linkgate.ledger.items import EndpointRecord
from linkgate.model import State, Status

from tests.application import SERVICE, Application
from tests.world import CONSUMER, START, endpoint_id, service_id

STACK = "linkgate"
A, GONE, ALICE = endpoint_id(1), "2026-11-25T03:00:00Z", "arn:aws:sts::111111111111:assumed-role/admin/alice"
HEAD = """# Messages

What arrives at the alarm topic in plain words, each as the code makes it (`python -m tests.messages > docs/messages.md`
writes this page anew, and a test holds it to the code). The first line of each block is the subject of the e-mail: the
stack and the headline. CloudWatch's own messages, one for each alarm that rings, are not shown; what an alarm is about
is told in these words, once for each change, and in one message where a round has more than five alike.

The same text is `detail.summary` of the event on the bus. A rule of your own that sends it on with `InputPath:
$.detail.summary` sends a JSON string, in quotes and with its line breaks escaped: so EventBridge sends every text.
"""
GAP = "AlarmEmail is empty: only who subscribes to AlarmTopic is told anything."
Told = list[str]


def texts(app: Application) -> Told:
    """What people were told, in order."""
    return [detail["summary"] for _, detail in app.bus.published if "summary" in detail and "grouped" not in detail]


def live(endpoints: int = 1, /, **settings: object) -> Application:
    """An application in which some endpoints are live, each by a row of its own account's."""
    app = Application()
    app.allow_list.put(SERVICE, "@settings", **({"mode": "enforce"} | settings))
    app.allow_list.put(SERVICE, CONSUMER, effect="allow", owner="payments", ticket="OPS-7")
    for number in range(1, endpoints + 1):
        app.world.connect(endpoint_id(number), SERVICE)
        app.world.turn(endpoint_id(number), State.AVAILABLE)
    app.settle()
    app.work(600)
    app.bus.published.clear()
    return app


def sweeps(app: Application, count: int = 3) -> Application:
    """The next sweeps, five minutes apart."""
    for _ in range(count):
        app.settle()
        app.work(300)
    return app


def rejected(by: str = ALICE, **settings: str) -> Application:
    app = live(**settings)
    app.world.turn(A, State.REJECTED)
    app.send(A, origin=f"CloudTrail RejectVpcEndpointConnections {by}" if by else "Reject")
    app.work(10)
    return sweeps(app)


def undone() -> Told:
    app = live()
    app.world.accepts_rejected = True
    app.world.turn(A, State.REJECTED)
    app.send(A, origin=f"CloudTrail RejectVpcEndpointConnections {ALICE}")
    app.work(60)
    return texts(sweeps(app))


def refused() -> Told:
    app = live()
    app.world.forbidden.add(SERVICE)
    app.connect(endpoint_id(2))
    return texts(sweeps(app))


def recreated() -> Told:
    app = rejected()
    app.world.advance(1800)
    app.connect(endpoint_id(2))
    app.work(60)
    return texts(sweeps(app, 1))[1:]


def denied(**settings: str) -> Told:
    app = live(**settings)
    app.edit(SERVICE, CONSUMER, effect="deny", owner="payments", ticket="OPS-9")
    return texts(sweeps(app))


def removed(**settings: str) -> Told:
    app = live(**settings)
    app.delete(SERVICE, CONSUMER)
    return texts(sweeps(app))


def allowed_again() -> Told:
    app = live(reconcile="report")
    app.delete(SERVICE, CONSUMER)
    sweeps(app)
    app.edit(SERVICE, CONSUMER, effect="allow", owner="payments", ticket="OPS-7")
    return texts(sweeps(app, 1))[1:]


def tripped() -> Told:
    app = live(6, reconcile="enforce", grace="0s")
    app.edit(SERVICE, CONSUMER, effect="deny", owner="payments", ticket="OPS-9")
    return texts(sweeps(app))


def flooded() -> Told:
    app = live(max_rejects=1)
    app.edit(SERVICE, "*", effect="deny", owner="platform")
    for number in range(2, 5):
        app.connect(endpoint_id(number), f"33333333333{number}")
    app.work(60)
    return texts(app)[:1]


def many() -> Told:
    app = live(8, reconcile="report")
    app.delete(SERVICE, CONSUMER)
    return texts(sweeps(app))


def opened() -> Application:
    app = live()
    app.world.services[SERVICE].acceptance_required = False
    return sweeps(app, 1)


def shut_again() -> Told:
    app = opened()
    app.world.advance(1500)
    app.world.services[SERVICE].acceptance_required = True
    return texts(sweeps(app, 1))[1:]


def misconfigured() -> Told:
    wrong = ["its connection notification is disabled or does not carry every event"]
    return [summary(catalog.misconfigured_event(SERVICE, wrong, (), START, START))]


def invalid() -> Told:
    app = live()
    app.edit(SERVICE, CONSUMER, effect="alow", owner="payments", ticket="OPS-7")
    return texts(app)


def expiring() -> Told:
    app = live()
    app.edit(SERVICE, CONSUMER, effect="allow", expires_at=GONE, owner="payments", ticket="OPS-7")
    return texts(sweeps(app, 1))


RECORD = EndpointRecord(
    *(A, SERVICE, Status.VERIFIED, State.AVAILABLE),
    account=CONSUMER,
    region="eu-west-1",
    row=f"{SERVICE}/{CONSUMER}",
    row_owner="payments",
    ticket="OPS-7",
)
HEALTH: dict[str, Any] = {
    "cause": "tcp_refused",
    "detail": "4 of 4 probes: 10.1.0.9:443: Connection refused",
    "also": ["zone_unreachable"],
    "beside": ["1 of 2 probes, only at 10.1.1.9 (eu-west-1b): no answer within 2 seconds"],
    "phase": "tcp",
    "phases": {},
    "url": f"tcp://{A}-abcdefgh.{SERVICE}.eu-west-1.vpce.amazonaws.com:443",
    "address": "10.1.0.9",
    "zone": "eu-west-1a",
    "failing_since": START.isoformat(),
    "failed_by": "tcp_refused",
    "checked_at": (START + timedelta(minutes=12)).isoformat(),
}
OPEN = HEALTH | {
    **{"cause": "unexpectedly_open", "failed_by": "unexpectedly_open", "also": [], "beside": []},
    "detail": "the address answers, although it must not",
}
CANARY = f"arn:aws:lambda:eu-west-1:{CONSUMER}:function:linkgate-canary"
NEVER = {
    **{"cause": "never_verified", "also": [], "beside": []},
    "detail": f"canary {CANARY} never crossed it; 4 of 4 probes: 10.1.0.9:443 did not answer within 3 s",
}
UNPROBED = {
    **{"cause": "probe_error", "also": [], "beside": [], "url": "", "address": "", "zone": "", "failing_since": ""},
    "detail": f"no canary reaches it: there is no row {SERVICE}/@canary:{CONSUMER}",
    "failed_by": "",
    "looked_at": START.isoformat(),
}
WELL = {"cause": "", "detail": "", "also": [], "beside": []}


def summary(event: Event | None) -> str:
    assert event
    return str(event.detail["summary"])


def health(status: Status, **changes: object) -> Told:
    before = Status.UNHEALTHY if status is Status.VERIFIED else Status.VERIFIED
    return [summary(catalog.health_event(replace(RECORD, status=before), status, HEALTH | changes))]


def outage() -> Told:
    events = []
    for number in range(1, 8):
        one = replace(RECORD, endpoint=endpoint_id(number), service=service_id(number % 2 + 1))
        events.append(catalog.health_event(one, Status.UNHEALTHY, HEALTH))
    digests, _ = grouped([event for event in events if event])
    return list(map(summary, digests))


def alarm() -> Told:
    detail = {
        "alarmName": f"{STACK}-endpoint-unhealthy",
        "state": {"value": "OK", "timestamp": "2026-11-23T03:17:20.000+0000"},
        "previousState": {"value": "ALARM", "timestamp": "2026-11-23T03:04:20.000+0000"},
        "configuration": {
            "description": "An accepted endpoint failed in 3 of its last 5 rounds. Runbook: "
            "docs/runbook.md#endpoint-unhealthy"
        },
    }
    return [of_event({"source": "aws.cloudwatch", "detail": detail})]


PAGE: dict[str, Callable[[], Told]] = {
    "An endpoint does not answer": lambda: health(Status.UNHEALTHY),
    "It answers again": lambda: health(Status.VERIFIED, **WELL),
    "Many endpoints do not answer": outage,
    "No canary has ever crossed it": lambda: health(Status.UNHEALTHY, **NEVER),
    "Nobody looks at it any more": lambda: health(Status.ACCEPTED, **UNPROBED),
    "An endpoint that must stay out gets in": lambda: [summary(catalog.open_event(RECORD, OPEN))],
    "It stays out again": lambda: [summary(catalog.open_event(RECORD, OPEN | WELL))],
    "Somebody rejected an endpoint that is allowed": lambda: texts(rejected()),
    "The same, and EC2 accepted it again": undone,
    "The consumer has created it anew": recreated,
    "The same, and CloudTrail has not said who it was": lambda: texts(rejected(by="")),
    "The same in observe mode": lambda: texts(rejected(mode="observe")),
    "EC2 will not accept an endpoint that is allowed": refused,
    "An endpoint is denied and live, and nobody is to cut it": lambda: denied(reconcile="report"),
    "Its row is gone, in observe mode": lambda: removed(mode="observe"),
    "A row allows it again": allowed_again,
    "Many endpoints are live and not allowed": many,
    "The breaker withholds cuts": tripped,
    "The breaker withholds rejections": flooded,
    "A service lets everybody in": lambda: texts(opened())[:1],
    "It does no more": shut_again,
    "A service is misconfigured": misconfigured,
    "A row cannot be read": invalid,
    "A row ends soon": expiring,
    "The stack leaves something out": lambda: [summary(catalog.incomplete_event([GAP]))],
    "An alarm of CloudWatch's is over": alarm,
}


def blocks() -> Iterator[tuple[str, str]]:
    """Each message with its heading, as it arrives."""
    for heading, told in PAGE.items():
        (text,) = told()
        yield heading, text


def page() -> str:
    """docs/messages.md."""
    parts = [HEAD]
    for heading, text in blocks():
        lines = [f"Subject: {subject(STACK, text)}", "", *text.splitlines()]
        parts.append(f"## {heading}\n\n" + "\n".join(f"    {line}".rstrip() for line in lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")
