"""Allowed principals and tags in the local AWS, through Linkgate's own classes and under its roles."""

from typing import Any

import pytest
from linkgate.aws.connections import Connections
from linkgate.aws.services import EndpointServices
from linkgate.model import Connection, Sync
from linkgate.policy.principals import Change, Wanted, plan

from lab.harness.process import PROVIDER_ACCOUNT, REGION, LabProcess
from tests.integration.lab.privatelink.conftest import (
    ANY_SERVICE,
    CONSUMER,
    MANAGED,
    Client,
    assume,
    await_,
    create_endpoint,
    create_service,
    refused,
    states,
    tagged,
)

ANY_CONNECTION = f"arn:aws:ec2:{REGION}:{PROVIDER_ACCOUNT}:vpc-endpoint-connection/*"
CONSUMER_ROOT = f"arn:aws:iam::{CONSUMER}:root"
ROOTS = frozenset(f"arn:aws:iam::{number:012d}:root" for number in range(120))
PERMISSIONS = ["ec2:DescribeVpcEndpointServicePermissions", "ec2:ModifyVpcEndpointServicePermissions"]


@pytest.fixture
def ec2(client: Client) -> Any:
    return client("ec2")


def connected(ec2: Any, consumer: Any, service: dict[str, Any]) -> Connection:
    """The provider's view of a new endpoint."""
    endpoint = create_endpoint(consumer, service)["VpcEndpointId"]
    (found,) = Connections(ec2).named({endpoint: ""}, [service["ServiceId"]])
    return found


def again(ec2: Any, connection: Connection) -> Connection:
    (found,) = Connections(ec2).named({connection.endpoint: connection.account}, [connection.service])
    return found


def test_sync_makes_the_principals_what_is_wanted_and_then_rests(client: Client, ec2: Any) -> None:
    service = create_service(ec2, ("*", CONSUMER_ROOT))["ServiceId"]
    services, asked = EndpointServices(ec2, "managed"), Wanted(principals=ROOTS)
    assert services.principals(service) == {"*", CONSUMER_ROOT}
    assert services.permit(service, plan(Sync.EXACT, services.principals(service), asked)) == {}
    assert services.principals(service) == ROOTS
    assert plan(Sync.EXACT, services.principals(service), asked) == Change()


def test_an_account_may_ask_once_it_is_permitted_and_stays_connected_when_it_no_longer_is(
    client: Client, ec2: Any
) -> None:
    service, consumer = create_service(ec2, ()), client("ec2", CONSUMER)
    asked = {"ServiceNames": [service["ServiceName"]]}
    assert refused(consumer.describe_vpc_endpoint_services, **asked) == "InvalidServiceName"
    assert EndpointServices(ec2, "managed").permit(service["ServiceId"], Change(add=frozenset({CONSUMER_ROOT}))) == {}
    endpoint = create_endpoint(consumer, service)["VpcEndpointId"]
    ec2.accept_vpc_endpoint_connections(ServiceId=service["ServiceId"], VpcEndpointIds=[endpoint])
    await_(lambda: states(ec2, service)[endpoint] == "available")
    assert (
        EndpointServices(ec2, "managed").permit(service["ServiceId"], Change(remove=frozenset({CONSUMER_ROOT}))) == {}
    )
    assert states(ec2, service)[endpoint] == "available"
    assert refused(consumer.describe_vpc_endpoint_services, **asked) == "InvalidServiceName"


def test_a_principal_that_ec2_refuses_holds_nobody_else_up(ec2: Any) -> None:
    service = create_service(ec2, ())["ServiceId"]
    refused = EndpointServices(ec2, "managed").permit(service, Change(add=ROOTS | {"arn:aws:iam::12:root"}))
    assert {one: why.code for one, why in refused.items()} == {"arn:aws:iam::12:root": "InvalidPrincipal"}
    assert EndpointServices(ec2, "managed").principals(service) == ROOTS


def test_a_role_sees_and_changes_the_principals_of_tagged_services_alone(
    lab: LabProcess, client: Client, ec2: Any
) -> None:
    managed = create_service(ec2, (), TagSpecifications=tagged("vpc-endpoint-service", linkgate="managed"))["ServiceId"]
    other = create_service(ec2, ())["ServiceId"]
    role = assume(lab, client, [{"Action": PERMISSIONS, "Resource": ANY_SERVICE, **MANAGED}])
    change = Change(add=frozenset({CONSUMER_ROOT}))
    assert EndpointServices(role, "managed").permit(managed, change) == {}
    assert EndpointServices(role, "managed").principals(managed) == {CONSUMER_ROOT}
    assert EndpointServices(role, "managed").permit(other, change)[CONSUMER_ROOT].code == "UnauthorizedOperation"
    assert refused(role.describe_vpc_endpoint_service_permissions, ServiceId=other) == "UnauthorizedOperation"
    assert EndpointServices(ec2, "managed").principals(other) == frozenset()


def test_tags_on_a_connection_are_shown_with_it_and_written_over(client: Client, ec2: Any) -> None:
    connection = connected(ec2, client("ec2", CONSUMER), create_service(ec2))
    assert (connection.connection_id != "", connection.tags) == (True, {})
    tags = {"linkgate:consumer": CONSUMER, "linkgate:row": "every/Zoë + 1 = 2_a:b/c@d", "linkgate:ticket": "NET-17"}
    assert Connections(ec2).tag(connection.connection_id, tags) == ""
    assert again(ec2, connection).tags == tags
    assert Connections(ec2).tag(connection.connection_id, {"linkgate:ticket": ""}) == ""
    assert again(ec2, connection).tags == tags | {"linkgate:ticket": ""}
    ec2.delete_tags(Resources=[connection.connection_id], Tags=[{"Key": "linkgate:ticket"}, {"Key": "linkgate:row"}])
    assert again(ec2, connection).tags == {"linkgate:consumer": CONSUMER}


def test_a_role_for_tags_on_connections_writes_linkgates_own_and_enrols_no_service(
    lab: LabProcess, client: Client, ec2: Any
) -> None:
    service = create_service(ec2)
    connection = connected(ec2, client("ec2", CONSUMER), service)
    own = {"Condition": {"ForAllValues:StringLike": {"aws:TagKeys": "linkgate:*"}}}
    role = Connections(assume(lab, client, [{"Action": "ec2:CreateTags", "Resource": ANY_CONNECTION, **own}]))
    own_tags = {"linkgate:consumer": CONSUMER, "linkgate:ticket": "NET-17"}
    assert role.tag(connection.connection_id, own_tags) == ""
    for resource, names in [
        (connection.connection_id, ["team"]),
        (connection.connection_id, ["linkgate:row", "team"]),
        (service["ServiceId"], ["linkgate"]),
        (service["ServiceId"], ["linkgate:consumer"]),
    ]:
        assert role.tag(resource, dict.fromkeys(names, "managed")).startswith("UnauthorizedOperation: ")
    assert again(ec2, connection).tags == own_tags


def test_a_connections_own_tags_are_conditions_of_its_tagging(lab: LabProcess, client: Client, ec2: Any) -> None:
    service, consumer = create_service(ec2), client("ec2", CONSUMER)
    marked, plain = connected(ec2, consumer, service), connected(ec2, consumer, service)
    Connections(ec2).tag(marked.connection_id, {"linkgate": "managed"})
    actions = ["ec2:CreateTags", "ec2:DeleteTags"]
    role = assume(lab, client, [{"Action": actions, "Resource": ANY_CONNECTION, **MANAGED}])
    assert Connections(role).tag(marked.connection_id, {"a": "b"}) == ""
    assert Connections(role).tag(plain.connection_id, {"a": "b"}).startswith("UnauthorizedOperation: ")
    asked = {"Resources": [plain.connection_id], "Tags": [{"Key": "a"}]}
    assert refused(role.delete_tags, **asked) == "UnauthorizedOperation"
    role.delete_tags(Resources=[marked.connection_id], Tags=[{"Key": "a"}])
    assert again(ec2, marked).tags == {"linkgate": "managed"}
