"""CloudTrail's records of EC2 calls."""

import json

from lab.privatelink import protocol
from lab.privatelink.api import cloudtrail
from lab.privatelink.rules.model import Refusal
from tests.unit.lab.privatelink.conftest import PROVIDER


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
