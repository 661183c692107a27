"""EC2's query protocol, filters and pages, and CloudTrail's records."""

import json

import botocore.session
import pytest

from lab.privatelink import newer, protocol
from lab.privatelink.api import cloudtrail, decisions, listing
from lab.privatelink.rules.model import Refusal
from lab.privatelink.rules.state import State
from tests.unit.lab.privatelink.conftest import PROVIDER, code


def test_requests_and_answers_survive_the_protocol() -> None:
    tags = [{"ResourceType": "vpc-endpoint-service", "Tags": [{"Key": "linkgate", "Value": "managed & more"}]}]
    asked = {"AcceptanceRequired": False, "NetworkLoadBalancerArns": ["a", "b"], "TagSpecifications": tags}
    action = "CreateVpcEndpointServiceConfiguration"
    assert protocol.request(action, protocol.query(action, asked)) == asked
    answered = {"ServiceConfiguration": {"ServiceId": "vpce-svc-1", "Tags": tags[0]["Tags"], "AvailabilityZones": []}}
    assert protocol.values(action, 200, protocol.answer(action, answered)) == answered


def test_an_answer_with_a_member_that_ec2_does_not_have_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="Sevice"):
        protocol.answer("DescribeVpcEndpointConnections", {"Sevice": 1})


def test_pages_neither_repeat_nor_skip_while_items_go(state: State) -> None:
    items = [f"item-{n:02}" for n in range(12)]
    first, token = listing.page(items, {"MaxResults": 5}, str)
    assert token is not None
    second, token = listing.page(items[3:], {"MaxResults": 5, "NextToken": token}, str)
    assert token is not None
    third, end = listing.page(items, {"MaxResults": 5, "NextToken": token}, str)
    assert (first + second + third, end) == (items, None)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [({"MaxResults": 4}, "InvalidParameterValue"), ({"NextToken": "no token"}, "InvalidNextToken")],
)
def test_impossible_pages_are_refused(request_: dict[str, object], expected: str) -> None:
    with pytest.raises(Refusal) as refused:
        listing.page(["a"], request_, str)
    assert code(refused) == expected


def test_filters_are_anded_their_values_ored_and_their_case_counts() -> None:
    facts = {"state": ("pendingAcceptance",), **listing.tag_facts({"team": "core"})}

    def chosen(**filters: list[str]) -> bool:
        asked = [{"Name": name.replace("__", ":"), "Values": values} for name, values in filters.items()]
        return bool(listing.chosen(["item"], asked, lambda item: facts))

    assert chosen(state=["available", "pendingAcceptance"], tag__team=["co*"])
    assert not chosen(state=["PendingAcceptance"])
    assert not chosen(state=["pendingAcceptance"], tag__team=["edge"])
    assert not chosen(tag__absent=["x"])
    with pytest.raises(Refusal) as refused:
        chosen(stat=["available"])
    assert code(refused) == "InvalidFilter"


def test_a_filter_has_two_hundred_values_at_most() -> None:
    def chosen(count: int) -> None:
        listing.chosen(["item"], [{"Name": "state", "Values": ["x"] * count}], lambda item: {"state": ()})

    chosen(200)
    with pytest.raises(Refusal) as refused:
        chosen(201)
    assert code(refused) == "FilterLimitExceeded"


def record(action: str, body: bytes, **query: str) -> dict[str, object]:
    sent = {key.replace("__", "."): value for key, value in query.items()}
    parsed: dict[str, object] = json.loads(cloudtrail.record(PROVIDER, action, {"Action": action, **sent}, body))
    return parsed


def test_a_record_lists_several_but_not_one() -> None:
    action = "AcceptVpcEndpointConnections"
    body = protocol.answer(action, {"Unsuccessful": []})
    one = record(action, body, ServiceId="vpce-svc-1", VpcEndpointId__1="vpce-1")
    two = record(action, body, VpcEndpointId__1="vpce-1", VpcEndpointId__2="vpce-2")
    first = {"tag": 1, "content": "vpce-1"}
    assert one["requestParameters"] == {f"{action}Request": {"ServiceId": "vpce-svc-1", "VpcEndpointId": first}}
    second = {"tag": 2, "content": "vpce-2"}
    assert two["requestParameters"] == {f"{action}Request": {"VpcEndpointId": [first, second]}}


def test_a_record_makes_a_number_of_the_owner_and_text_of_nothing() -> None:
    action = "CreateVpcEndpoint"
    tag = {"Key": "Name", "Value": "one"}
    endpoint = {"OwnerId": "012345678901", "DnsEntries": [], "PrivateDnsEnabled": False, "Tags": [tag]}
    found = record(action, protocol.answer(action, {"VpcEndpoint": endpoint}))
    answered = found["responseElements"][f"{action}Response"]["vpcEndpoint"]  # type: ignore[index]
    assert answered["ownerId"] == 12345678901
    assert answered["dnsEntrySet"] == ""
    assert answered["privateDnsEnabled"] is False
    assert answered["tagSet"] == {"item": {"key": "Name", "value": "one"}}


def test_a_record_of_a_refusal_has_its_code_and_no_answer() -> None:
    found = record("DeleteVpcEndpoints", protocol.refusal(Refusal("InvalidServiceName", "no")))
    assert (found["errorCode"], found["responseElements"]) == ("Client.InvalidServiceName", None)


def test_a_parameter_that_ec2_does_not_have_is_refused() -> None:
    with pytest.raises(Refusal, match=r"VpcEndpointIdd\.1") as refused:
        protocol.request("AcceptVpcEndpointConnections", {"Action": "Accept", "VpcEndpointIdd.1": "vpce-1"})
    assert code(refused) == "UnknownParameter"


def test_what_the_pinned_botocore_lacks_goes_through_the_protocol() -> None:
    asked = {"ServiceId": "vpce-svc-1", "TransitGatewayAttachmentIds": ["tgw-attach-1"]}
    sent = {"ServiceId": "vpce-svc-1", "TransitGatewayAttachmentId.1": "tgw-attach-1"}
    assert protocol.request("AcceptVpcEndpointConnections", sent) == asked
    connection = {"TransitGatewayAttachmentId": "tgw-attach-1", "TransitGatewayAttachmentOwner": "222222222222"}
    answer = protocol.answer("DescribeVpcEndpointConnections", {"VpcEndpointConnections": [connection]})
    assert b"<transitGatewayAttachmentId>tgw-attach-1</transitGatewayAttachmentId>" in answer


def test_the_pinned_botocore_does_not_have_it_yet() -> None:
    ec2 = botocore.session.get_session().get_service_model("ec2")
    known = {name: set(ec2.shape_for(name).members) for name in newer.MEMBERS}  # type: ignore[attr-defined]
    assert not [name for name, members in newer.MEMBERS.items() if known[name] & members.keys()], "delete newer.py"
    assert not set(ec2.operation_names) & newer.OPERATIONS.keys(), "delete newer.py"


@pytest.mark.parametrize("name", ["vpc-endpoint-id", "vpc-id", "tag:linkgate"])
def test_connections_are_not_filtered_by_their_endpoints(state: State, name: str) -> None:
    with pytest.raises(Refusal, match=f"The filter {name} is invalid") as refused:
        decisions.describe_connections(state, PROVIDER, {"Filters": [{"Name": name, "Values": ["vpce-1"]}]})
    assert code(refused) == "InvalidFilter"
    filters = [{"Name": name, "Values": ["x"]} for name in decisions.FILTERS]
    assert decisions.describe_connections(state, PROVIDER, {"Filters": filters})["VpcEndpointConnections"] == []


def test_either_endpoints_or_attachments_are_decided(state: State) -> None:
    both = {"ServiceId": "vpce-svc-1", "VpcEndpointIds": ["vpce-1"], "TransitGatewayAttachmentIds": ["tgw-attach-1"]}
    with pytest.raises(Refusal) as refused:
        decisions.accept(state, PROVIDER, both)
    assert code(refused) == "InvalidParameterCombination"
    with pytest.raises(Refusal) as refused:
        decisions.reject(state, PROVIDER, {"ServiceId": "vpce-svc-1"})
    assert code(refused) == "MissingParameter"
