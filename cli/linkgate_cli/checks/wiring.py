"""How the endpoint services are wired: tags, configuration, notifications, principals, Regions. Pure."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from linkgate.aws.services import TAG, TOPIC, stranger
from linkgate.model import Mode, ServiceSettings, Sync
from linkgate.policy.decide import settings_for
from linkgate.policy.principals import EVERYBODY, wanted

from linkgate_cli.attention import Commands
from linkgate_cli.checks.finding import NAMED, rules

if TYPE_CHECKING:
    from linkgate_cli.evidence import Evidence


def tags(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str]]:
    """Services with a tag that is nearly right, none at all, and those that lost theirs."""
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


def services(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str]]:
    """What is wrong with the configuration of each service."""
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


def notifications(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str] | tuple[str, str, bool]]:
    """Services that do not notify this stack, or that notify another one."""
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


def principals(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str]]:
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


def regions(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str]]:
    """Rows about Regions in which their service is not offered."""
    for key, rule in rules(evidence):
        one = evidence.offered.get(key.service)
        offered = {*one.regions, evidence.overview.region} if one else set()
        missing = sorted(rule.regions - offered) if one else []
        if missing:
            add = " ".join(f"Region={region}" for region in missing)
            change = f"aws ec2 modify-vpc-endpoint-service-configuration --service-id {key.service}"
            text = f"row {key} is about {', '.join(missing)}, where the service is not offered"
            yield text, f"{change} --add-supported-regions {add.replace('Region=', '')}"
