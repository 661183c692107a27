"""A question to a service behind a Gateway Load Balancer, which Linkgate judges as it does any other."""

import json
from functools import partial

from linkgate.aws.services import EVENTS
from linkgate.events import bell

from tests.e2e.question import Account, Answer, Needs, question, tried
from tests.e2e.things import received
from tests.e2e.walk import acted, reaches, requested, state, subscribed


@question("the same: they name the endpoint somewhere, as an id", Needs.STACKS, minutes=10, dollars=0.03)
def gateway_notifications(account: Account) -> Answer:
    """What do the notifications of a Gateway Load Balancer's service say?"""
    service, name = gateway_service(account)
    url = subscribed(account, service, "gateway")
    endpoint = requested(account, "GatewayLoadBalancer", name)
    reaches(account, endpoint, "pendingAcceptance", service=service)
    for act, wanted in (("accept", "available"), ("reject", "rejected")):
        acted(account, act, endpoint, service=service)
        reaches(account, endpoint, wanted, service=service)
    account.client("ec2").delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    account.until(lambda: state(account, endpoint, service) in ("", "deleted"))
    bodies = received(account, url, len(EVENTS))
    for number, body in enumerate(bodies):
        account.keep(f"sns-notification-gateway-{number}", json.loads(body))
    readable = [endpoint in bell.parse(json.dumps({"detail": body})).endpoints for body in bodies]
    return Answer(
        f"{len(bodies)} came, {sum(readable)} name the endpoint", len(bodies) >= len(EVENTS) and all(readable)
    )


def gateway_service(account: Account) -> tuple[str, str]:
    """The id and the name of a new service behind a Gateway Load Balancer in the provider VPC, without the tag."""
    assert account.deployed
    ec2, balancers = account.client("ec2"), account.client("elbv2")
    subnets = account.deployed.demo["ProviderSubnetIds"].split(",")
    name = account.name[-20:].strip("-")
    made = balancers.create_load_balancer(Name=name, Type="gateway", Subnets=subnets)["LoadBalancers"][0]
    arn = made["LoadBalancerArn"]
    account.made("load balancer", partial(balancers.delete_load_balancer, LoadBalancerArn=arn))
    balancers.get_waiter("load_balancer_available").wait(LoadBalancerArns=[arn])
    asked = {"GatewayLoadBalancerArns": [arn], "AcceptanceRequired": True}
    config = ec2.create_vpc_endpoint_service_configuration(**asked)["ServiceConfiguration"]
    service = str(config["ServiceId"])
    ids = {"ServiceIds": [service]}

    def removed() -> None:
        ec2.delete_vpc_endpoint_service_configurations(**ids)
        account.until(lambda: tried(partial(ec2.describe_vpc_endpoint_service_configurations, **ids)))

    account.made("endpoint service", removed)
    return service, str(config["ServiceName"])
