"""How Linkgate itself runs: functions, queues, alarms, canaries, and whoever else accepts and rejects. Pure."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from linkgate.aws.connections import NEVER
from linkgate.ledger.items import EndpointRecord
from linkgate.model import Connection, RowKey
from linkgate.patrol.routing import CanaryRouting
from linkgate.policy.rows import EVERY

from linkgate_cli.attention import PARTS, Commands
from linkgate_cli.output import clean

if TYPE_CHECKING:
    from linkgate_cli.evidence import Evidence

HANDS = re.compile(r"(Accepted|Rejected) by (\S+), not by Linkgate")


def functions(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str]]:
    """Functions that cannot run, and a sweep that does not."""
    for name, state in evidence.functions.items():
        if state not in ("Active", "Inactive", ""):
            yield f"{name} is {state}", "see it in the Lambda console, then sam deploy"
    if "the last sweep" not in evidence.unread and evidence.swept is None:
        yield "no sweep ran within the last hour", "see sweep-silent in docs/runbook.md"


def queues(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str] | tuple[str, str, bool]]:
    """Messages that were given up."""
    for name, count in evidence.queues.items():
        if count and name.endswith("DeadLetters"):
            text = f"{count} messages were given up, in {name}"
            yield text, "mend what their alarm says, then aws sqs start-message-move-task (docs/runbook.md)"


def alarms(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str] | tuple[str, str, bool]]:
    """Alarms that ring, that tell nobody, or that nobody hears."""
    for one in evidence.alarms:
        if one.state == "ALARM":
            yield (
                f"alarm {one.heading} rings: {PARTS.get(one.heading, 'linkgate status shows what')}",
                (f"see {one.heading} in docs/runbook.md"),
            )
        if not one.told:
            yield f"alarm {one.heading} tells nobody: its actions are off or gone", "sam deploy, or enable its actions"
    if evidence.subscribers is not None and not [one for one in evidence.subscribers if one.startswith("arn:")]:
        pending = " (one waits for its confirmation)" if evidence.subscribers else ""
        subscribe = "aws sns subscribe --protocol email --notification-endpoint YOU --topic-arn"
        yield f"nobody is subscribed to AlarmTopic{pending}", f"{subscribe} {evidence.alarm_topic}"


def canaries(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str]]:
    """Accounts with live connections that no canary reaches, and rows of canaries that patrol may not invoke."""
    routing = CanaryRouting(evidence.rows, evidence.own_canary, evidence.account)
    unreached: Counter[tuple[str, str]] = Counter()
    for record in evidence.overview.records:
        if record.status.live and not routing.route(_connection(record)).canary:
            unreached[record.service, record.account] += 1
    for (service, account), count in sorted(unreached.items()):
        row = f"@canary:{account}"
        why = "no canary reaches it"
        if RowKey(service, row) in evidence.rows or RowKey(EVERY, row) in evidence.rows:
            why = f"the row {row} names no canary that patrol may invoke"
        mend = "deploy stacks/consumer-canary.yaml there, and put its function into row"
        if account == evidence.account:
            mend = "give the stack CanarySubnetIds, CanarySecurityGroupIds and CanaryCidrs, or put row"
        are = "live endpoint is" if count == 1 else "live endpoints are"
        yield f"{count} {are} unprobed, of {account or 'an unknown account'}: {why}", f"{mend} {service}/{row}"


def _connection(record: EndpointRecord) -> Connection:
    """What EC2 would show of an endpoint, as far as the ledger knows it."""
    asked = record.requested_at or NEVER
    return Connection(record.service, record.endpoint, record.account, record.region, record.state, asked)


def other_hands(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str]]:
    """Who else accepts or rejects, by the sentence that the ledger keeps."""
    found: dict[str, list[str]] = {}
    for record in evidence.overview.records:
        if match := HANDS.match(record.why):
            found.setdefault(match[2], []).append(record.endpoint)
    for who, endpoints in sorted(found.items()):
        text = f"{len(endpoints)} connections were accepted or rejected by {clean(who)}, not by Linkgate"
        yield text, f"linkgate why {endpoints[0]} --history"
