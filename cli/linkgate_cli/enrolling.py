"""A service comes under management, and goes: tag and @settings row, each order harmless if it is interrupted.

A tagged service without a row is only observed; a row without a tag is a lost service, with an alarm.
"""

from typing import Any

from botocore.exceptions import ClientError
from linkgate.aws.connections import Connections
from linkgate.aws.services import TAG, endpoint_service
from linkgate.model import Mode, RowKey
from linkgate.policy.rows import SERVICE_ID, SETTINGS, Item

from linkgate_cli import keys, world
from linkgate_cli.asking import agree
from linkgate_cli.editing import Consent, covering, finish, require_readable
from linkgate_cli.failures import Failure
from linkgate_cli.output import WARN, console, notes
from linkgate_cli.planning import RowChange
from linkgate_cli.rowsfile import RowsFile
from linkgate_cli.session import Session
from linkgate_cli.writing import Writer


def enroll(session: Session, service: str, observe: bool, consent: Consent) -> None:
    """Show what enforce would do; tag the service, write its row."""
    described, tag_value = _described(session, service)
    tagged = tag_value == session.tag_value
    if tag_value and not tagged:
        why = f"it has the tag {TAG} = {tag_value}, and this stack looks after {TAG} = {session.tag_value}"
        raise Failure(f"{service}: {why}: unenroll it there first (--stack)")
    for problem in endpoint_service(described).problems():
        notes().print(f"linkgate: {service}: {problem}", style=WARN, soft_wrap=True)
    key = RowKey(service, SETTINGS)
    rows = covering(session, service)
    there = world.look_at(session, [service], rows, frozenset({service}))
    row: Item = rows.get(key, key._asdict())
    enforced, observed = (there.plan({key: {**row, "mode": str(mode)}}) for mode in (Mode.ENFORCE, Mode.OBSERVE))
    plan = observed if observe else enforced
    if observe and session.output == "table":
        console().print("What enforce would do:")
    require_readable(plan.rows, there, RowsFile(""))
    if not plan.rows and not tagged and not agree(f"Its row is there; tag {service}?", consent.yes):
        raise Failure("nothing was changed")

    def tag() -> None:
        if not tagged:
            session.client("ec2").create_tags(Resources=[service], Tags=[{"Key": TAG, "Value": session.tag_value}])

    finish(session, plan, lambda: covering(session, service), consent, tag, enforced)


def unenroll(session: Session, service: str, yes: bool) -> None:
    """Say what stays; delete the @settings row, take the tag away."""
    _, tag_value = _described(session, service)
    if tag_value != session.tag_value:
        raise Failure(f"{service} has no tag {TAG} = {session.tag_value}: it is not managed")
    key = RowKey(service, SETTINGS)
    rows = covering(session, service)
    shown = Connections(session.client("ec2")).of([service])[service].connections
    live, waiting = sum(one.state.live for one in shown), sum(one.waits for one in shown)
    others = sum(one.service == service and one != key for one in rows)
    console().print(
        f"{service}: {live} live connections stay, {waiting} requests go on waiting for somebody, "
        f"{others} rows stay in the table",
        soft_wrap=True,
    )
    if not agree("Manage it no more?", yes):
        raise Failure("nothing was changed")
    if key in rows:
        Writer.of(session).write([RowChange(key, rows[key], None)])
    session.client("ec2").delete_tags(Resources=[service], Tags=[{"Key": TAG}])
    console().print(f"{service} is managed no more")


def _described(session: Session, service: str) -> tuple[Any, str]:
    """EC2's description of a service, and what its tag says ("": nothing); Failure if there is no such service."""
    if not SERVICE_ID.fullmatch(keys.service(service)):
        raise Failure(f"{service} is no service: expected vpce-svc-…")
    session.find()
    asked = {"ServiceIds": [service]}
    try:
        (found,) = session.client("ec2").describe_vpc_endpoint_service_configurations(**asked)["ServiceConfigurations"]
    except (ClientError, ValueError) as error:
        if isinstance(error, ClientError) and not error.response["Error"]["Code"].endswith("NotFound"):
            raise
        account = f"this account in {session.aws.region_name}"
        raise Failure(f"{service} is no endpoint service of {account}: check the id, --region and --profile") from None
    return found, next((str(one["Value"]) for one in found.get("Tags", []) if one["Key"] == TAG), "")
