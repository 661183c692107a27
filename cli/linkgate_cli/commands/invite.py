"""`linkgate invite`: the card to send to a customer who is to create an endpoint."""

from typing import Annotated, Any

import typer
from linkgate.model import ALONE, Connection, Outcome, ServiceSettings, State
from linkgate.policy.attributes import probes
from linkgate.policy.decide import decide, settings_for
from linkgate.policy.grounds import Ground
from linkgate.policy.probes import Probe

from linkgate_cli.failures import Failure
from linkgate_cli.offered import Offered, offered, principals
from linkgate_cli.output import clean, console, notes, say_json
from linkgate_cli.session import Session
from linkgate_cli.subjects import ACCOUNT, subject
from linkgate_cli.subjects import service as service_of


def command(
    ctx: typer.Context,
    service: Annotated[str, typer.Argument(metavar="VPCE-SVC-…", help="The endpoint service.")],
    account: Annotated[str, typer.Argument(metavar="[ACCOUNT]", help="The customer's account.")] = "",
) -> None:
    """The card to send to a customer.

    Names, zones, Regions and ports, what they will see, and how long it takes.

    Example: linkgate invite vpce-svc-0123456789abcdef0 222222222222
    """
    session, wanted = Session.of(ctx), service_of(service)
    customer = subject(account) if account else ""
    if customer and not ACCOUNT.fullmatch(customer):
        raise Failure(f"{customer} is an endpoint: expected the 12-digit account of the customer")
    session.find()
    one = offered(session).get(wanted)
    if one is None:
        raise Failure(f"there is no endpoint service {wanted} in {session.aws.region_name}: give --region or --profile")
    body = card(session, one, customer)
    if session.output == "json":
        say_json("invite", body)
        return
    screen = console()
    for line in lines(body):
        screen.print(line, soft_wrap=True)
    for warning in body["before_you_send_it"]:
        notes().print(f"before you send it: {warning}", soft_wrap=True)


def card(session: Session, one: Offered, account: str) -> dict[str, Any]:
    """What the card says, as JSON; `before_you_send_it` is for the provider alone."""
    region = session.aws.region_name or ""
    return {
        "service": one.service,
        "service_name": one.name,
        "account": account,
        "region": region,
        "regions": sorted({region, *one.regions}),
        "zone_ids": list(one.zone_ids or _zone_ids(session, one)),
        "private_name": one.private_name if one.private_state in ("", "verified") else "",
        "ports": _ports(session, one),
        "gateway": one.kind == "GatewayLoadBalancer",
        "before_you_send_it": list(_warnings(session, one, account)),
    }


def lines(body: dict[str, Any]) -> list[str]:
    """The card, line by line."""
    kind = "GatewayLoadBalancer" if body["gateway"] else "Interface"
    private = body["private_name"]
    said = [
        f"Our service          {body['service_name']}",
        f"Your account         {body['account'] or 'tell us its 12 digits'}",
        f"Region               {', '.join(body['regions'])}",
        f"Availability Zones   {', '.join(body['zone_ids']) or 'ask us'} (ids, which are the same in every account)",
        f"Ports                {', '.join(body['ports']) or 'ask us'} (for your endpoint's security group)",
        *([f"Private name         {private} (enable private DNS once the endpoint is available)"] if private else []),
        "",
        "Create it:",
        f"  aws ec2 create-vpc-endpoint --vpc-endpoint-type {kind} --region {body['region']} \\",
        f"    --service-name {body['service_name']} \\",
        "    --vpc-id vpc-… --subnet-ids subnet-…" + (" --security-group-ids sg-…" if kind == "Interface" else ""),
        "",
        "What you will see: pendingAcceptance at first, then pending, then available. If your account is",
        "on our list that takes seconds, and AWS needs a minute or two more to bring it up. If it stays",
        "pendingAcceptance, do not recreate it: send us its id (vpce-…).",
    ]
    if private:
        said.append(
            f"Then: aws ec2 modify-vpc-endpoint --private-dns-enabled --vpc-endpoint-id vpce-…, and use {private}."
        )
    return said


def _zone_ids(session: Session, one: Offered) -> list[str]:
    """The ids of its zones; EC2 names them with the service since 2025 only."""
    if not one.zones:
        return []
    found = session.client("ec2").describe_availability_zones(ZoneNames=list(one.zones))["AvailabilityZones"]
    return sorted(zone["ZoneId"] for zone in found)


def _ports(session: Session, one: Offered) -> list[str]:
    """The ports that the load balancers listen on; where that may not be asked, those that are probed."""
    from botocore.exceptions import ClientError

    found: set[int] = set()
    try:
        for balancer in one.load_balancers if one.kind != "GatewayLoadBalancer" else ():
            pages = session.client("elbv2").get_paginator("describe_listeners").paginate(LoadBalancerArn=balancer)
            found |= {listener["Port"] for page in pages for listener in page["Listeners"] if "Port" in listener}
    except ClientError:
        settings = settings_for(one.service, session.allow_list.covering([one.service]))
        wanted = settings.probe if isinstance(settings, ServiceSettings) else ()
        default = probes(session.parameters.get("DefaultProbe", ""))
        found = {Probe.parse(text).port for text in wanted or default}
    return [f"{port}/tcp" for port in sorted(found)]


def _warnings(session: Session, one: Offered, account: str) -> "list[str]":
    """What would make a liar of the card."""
    found = []
    if not one.managed:
        found.append(f"Linkgate does not look after it: linkgate enroll {one.service}")
    if one.private_name and one.private_state != "verified":
        found.append(f"the private name {one.private_name} is {one.private_state}, so it is left out")
    if not account:
        return found
    present = principals(session, one.service)
    if "*" not in present and not any(f":{account}:" in principal for principal in present):
        arn = f"arn:aws:iam::{account}:root"
        change = f"aws ec2 modify-vpc-endpoint-service-permissions --service-id {one.service}"
        found.append(f"{account} may not ask for it yet: {change} --add-allowed-principals {arn}")
    asked = Connection(
        one.service,
        "a new endpoint of it",
        account,
        session.aws.region_name or "",
        State.PENDING_ACCEPTANCE,
        session.now,
    )
    rows = session.allow_list.rows_for([asked])
    decision = decide(asked, rows, asked.created)
    if decision.outcome is not Outcome.ACCEPT:
        said, _ = Ground(asked, decision, rows, asked.created, ALONE).says()
        found.append(f"a request would be {decision.outcome}: {clean(said)}: linkgate allow {account}")
    elif not decision.acts:
        found.append(f"the service is only observed, so nothing is accepted by itself: linkgate enroll {one.service}")
    return found
