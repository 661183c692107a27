"""The checks of `doctor`: each says in one sentence what is wrong and what mends it, or nothing. Pure."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from linkgate.aws.connections import NEVER
from linkgate.aws.services import TAG, TOPIC, stranger
from linkgate.ledger.items import EndpointRecord
from linkgate.model import Connection, Effect, MalformedRow, Mode, RowKey, Rule, ServiceSettings, Status, Sync
from linkgate.patrol.routing import CanaryRouting
from linkgate.policy.decide import settings_for
from linkgate.policy.principals import EVERYBODY, wanted
from linkgate.policy.rows import EVERY, is_unit, parse
from linkgate.policy.unused import unused

from linkgate_cli.attention import MEND, PARTS, Commands
from linkgate_cli.output import age, clean

if TYPE_CHECKING:
    from linkgate_cli.evidence import Evidence

HANDS = re.compile(r"(Accepted|Rejected) by (\S+), not by Linkgate")
NAMED = 5
"""Rows and accounts that a sentence names."""
SOON_DAYS = 14


class Finding(NamedTuple):
    """What a check found; `mend` is a command where one mends it, else a sentence. A `note` is nothing wrong."""

    check: str
    text: str
    mend: str
    note: bool = False


Check = Callable[["Evidence", Commands], Iterator[tuple[str, str] | tuple[str, str, bool]]]


def examine(evidence: "Evidence") -> list[Finding]:
    """Every finding, in the order of the checks; what could not be looked at comes last."""
    commands = Commands([one.service for one in evidence.overview.services])
    found = [Finding(name, *one) for name, check in CHECKS.items() for one in check(evidence, commands)]
    unread = [
        Finding("not looked at", f"{part}: {why}", "docs/permissions.md lists what doctor reads")
        for part, why in evidence.unread.items()
    ]
    return found + unread


def _tags(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str]]:
    if "endpoint services" in evidence.unread:
        return
    if not any(one.managed for one in evidence.offered.values()):
        yield "no endpoint service here is managed", "linkgate enroll vpce-svc-…"
    for one in evidence.offered.values():
        near = [(key, value) for key, value in one.tags.items() if key.strip().lower() == TAG and not one.managed]
        for key, value in near:
            text = f"{one.service} has the tag {key!r} = {value!r}; this stack looks after {TAG} = {evidence.tag_value}"
            yield text, f"linkgate enroll {one.service}"
    for view in evidence.overview.services:
        if view.described is None:
            yield f"{view.service} has settings, and is not managed or gone", f"linkgate enroll {view.service}"


def _services(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str]]:
    mends = (
        (
            "AcceptanceRequired",
            "aws ec2 modify-vpc-endpoint-service-configuration --acceptance-required --service-id {}",
        ),
        ("private DNS", "aws ec2 start-vpc-endpoint-service-private-dns-verification --service-id {}"),
    )
    for view in evidence.overview.services:
        for problem in view.described.problems() if view.described else ():
            command = next((text for word, text in mends if word in problem), "see {} in the EC2 console")
            yield f"{view.service}: {problem}", command.format(view.service)


def _notifications(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str] | tuple[str, str, bool]]:
    for one in evidence.offered.values():
        if not one.managed or not evidence.topic:
            continue
        mine = [note for note in one.notifications if note.topic == evidence.topic]
        if not one.wired(evidence.topic):
            why = "is disabled or lacks events" if mine else "is missing: the sweep makes it within minutes"
            text = f"{one.service}: its connection notification {why}, so requests are found by sweeps alone"
            yield text, "delete it, and the next sweep makes it anew" if mine else "wait for a sweep, then ask again"
        for note in one.notifications:
            name = note.topic.rpartition(":")[2]
            if note.topic != evidence.topic and name.startswith(TOPIC) and note.enabled:
                delete = "aws ec2 delete-vpc-endpoint-connection-notifications --connection-notification-ids"
                yield f"{one.service}: {stranger(name.removeprefix(TOPIC), note.name)}", f"{delete} {note.name}"
            elif note.topic != evidence.topic:
                yield f"{one.service} also notifies {note.topic}", "no need", True


def _principals(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str]]:
    """Accounts with an allow row that EC2 does not let ask; somebody who takes away what the sync adds."""
    partition = evidence.topic.split(":")[1] if ":" in evidence.topic else "aws"
    for service, present in evidence.principals.items():
        settings = settings_for(service, evidence.rows)
        missing = sorted(wanted(service, evidence.rows, evidence.overview.now, partition).principals - present)
        if not missing or EVERYBODY in present or not isinstance(settings, ServiceSettings):
            continue
        named = ", ".join(missing[:NAMED]) + (f" and {len(missing) - NAMED} more" if len(missing) > NAMED else "")
        if settings.sync_permissions is not Sync.OFF and settings.mode is Mode.ENFORCE:
            text = f"{service}: sync_permissions adds {named}, and somebody takes them away again"
            yield (
                text,
                "let that tool (Terraform's allowed_principals?) leave the list alone, or set sync_permissions = off",
            )
        else:
            text = f"{service}: rows allow {named}, and EC2 lets them not even ask"
            add = f"--service-id {service} --add-allowed-principals {' '.join(missing[:NAMED])}"
            yield text, f"aws ec2 modify-vpc-endpoint-service-permissions {add}"


def _regions(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str]]:
    for key, rule in _rules(evidence):
        one = evidence.offered.get(key.service)
        offered = {*one.regions, evidence.overview.region} if one else set()
        missing = sorted(rule.regions - offered) if one else []
        if missing:
            add = " ".join(f"Region={region}" for region in missing)
            change = f"aws ec2 modify-vpc-endpoint-service-configuration --service-id {key.service}"
            text = f"row {key} is about {', '.join(missing)}, where the service is not offered"
            yield text, f"{change} --add-supported-regions {add.replace('Region=', '')}"


def _parts(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str]]:
    for name, state in evidence.functions.items():
        if state not in ("Active", "Inactive", ""):
            yield f"{name} is {state}", "see it in the Lambda console, then sam deploy"
    if "the last sweep" not in evidence.unread and evidence.swept is None:
        yield "no sweep ran within the last hour", "see sweep-silent in docs/runbook.md"


def _queues(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str] | tuple[str, str, bool]]:
    for name, count in evidence.queues.items():
        if count and name.endswith("DeadLetters"):
            text = f"{count} messages were given up, in {name}"
            yield text, "mend what their alarm says, then aws sqs start-message-move-task (docs/runbook.md)"


def _alarms(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str] | tuple[str, str, bool]]:
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


def _canary(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str]]:
    """Accounts with live connections that no canary reaches, and rows of canaries that patrol may not invoke."""
    routing = CanaryRouting(evidence.rows, evidence.own_canary, evidence.account)
    unreached: Counter[tuple[str, str]] = Counter()
    for record in evidence.overview.records:
        if record.status.live and not routing.canary_of(_connection(record)):
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


def _out_of_band(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str]]:
    """Who else accepts or rejects, by the sentence that the ledger keeps."""
    found: dict[str, list[str]] = {}
    for record in evidence.overview.records:
        if match := HANDS.match(record.why):
            found.setdefault(match[2], []).append(record.endpoint)
    for who, endpoints in sorted(found.items()):
        text = f"{len(endpoints)} connections were accepted or rejected by {clean(who)}, not by Linkgate"
        yield text, f"linkgate why {endpoints[0]} --history"


def _invalid(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str]]:
    organization = bool(evidence.parameters.get("OrganizationsRoleArn", "unknown"))
    for key, item in evidence.rows.items():
        row = parse(item)
        if isinstance(row, MalformedRow):
            yield f"row {key} cannot be read: {row.problem}", MEND
        elif isinstance(row, Rule) and is_unit(key) and not organization:
            text = f"row {key} cannot be judged: the parameter OrganizationsRoleArn is empty"
            yield text, "give the stack that role (docs/organizations.md)"
    for view in evidence.overview.services:
        for endpoint, why in view.unreadable.items():
            yield (
                f"the ledger's item about {endpoint} cannot be read: {why}",
                "delete it, and the next sweep writes it anew",
            )


def _unused(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str]]:
    managed = [one.service for one in evidence.offered.values() if one.managed]
    if "endpoint services" in evidence.unread:
        return
    for one in unused(evidence.rows, managed):
        yield f"row {one.key} means nothing here: {one.problem}", commands.row("remove", one.key)


def _ending(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str] | tuple[str, str, bool]]:
    now, days = evidence.overview.now, evidence.parameters.get("ExpiringSoonDays", "")
    soon = timedelta(days=int(days) if days.isdigit() else SOON_DAYS)
    for key, rule in _rules(evidence):
        if rule.effect is Effect.ALLOW and rule.expires_at and now < rule.expires_at <= now + soon:
            people = ", ".join(f"{name} {clean(text)}" for name, text in rule.people.items())
            ends = f"row {key} ends in {age(rule.expires_at - now)}" + (f" ({people})" if people else "")
            yield ends, commands.row("allow", key, " --for 90d")


def _idle(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str] | tuple[str, str, bool]]:
    """Notes: rows by which nobody stands, rows that have ended, rows of endpoints that are gone."""
    now = evidence.overview.now
    deciding = {record.row for record in evidence.overview.records}
    known = {record.endpoint for record in evidence.overview.records if record.status is not Status.CLOSED}
    idle = []
    for key, rule in _rules(evidence):
        if rule.expires_at and rule.expires_at <= now:
            yield f"row {key} ended {age(rule.expires_at, now)} ago", commands.row("remove", key), True
        elif key.consumer.startswith("vpce-") and key.consumer not in known:
            yield f"row {key} is about an endpoint that is gone, or never was", commands.row("remove", key), True
        elif rule.effect is Effect.ALLOW and str(key) not in deciding:
            idle.append(str(key))
    if idle:
        named = ", ".join(idle[:NAMED]) + (f" and {len(idle) - NAMED} more" if len(idle) > NAMED else "")
        yield f"{len(idle)} allow rows let nobody in so far: {named}", "no need", True


def _rules(evidence: "Evidence") -> Iterator[tuple[RowKey, Rule]]:
    read = ((key, parse(item)) for key, item in evidence.rows.items())
    return ((key, row) for key, row in read if isinstance(row, Rule))


CHECKS: Mapping[str, Check] = {
    "tags": _tags,
    "services": _services,
    "notifications": _notifications,
    "principals": _principals,
    "regions": _regions,
    "functions": _parts,
    "queues": _queues,
    "alarms": _alarms,
    "canaries": _canary,
    "other hands": _out_of_band,
    "unreadable": _invalid,
    "unused rows": _unused,
    "ending rows": _ending,
    "idle rows": _idle,
}
"""The checks by name, in the order in which they are shown."""
