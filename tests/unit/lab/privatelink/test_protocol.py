"""EC2's query protocol, there and back."""

import pytest

from lab.privatelink import protocol


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
