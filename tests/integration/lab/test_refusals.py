"""What the lab refuses because AWS does, or may: each rule's source stands with it in the lab's code."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.conftest import Client
from tests.integration.deploy import allow, eventually, function, queue, unique


def policy(*resources: Any) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "*"}
    return json.dumps({"Statement": [{**statement, "Resource": resource} for resource in resources]})


def test_a_policy_is_about_the_one_queue_that_it_is_put_on(client: Client) -> None:
    (url, arn), (_, other) = queue(client), queue(client)
    for wrong in (policy([arn, other]), policy(arn, other), "no JSON"):
        with pytest.raises(ClientError, match=r"\(InvalidAttributeValue\).*Invalid value for the parameter Policy\."):
            client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": wrong})
    client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(arn)})
    with pytest.raises(ClientError, match="InvalidAttributeValue"):
        queue(client, Policy=policy(other))


def test_a_policy_is_about_the_one_topic_that_it_is_put_on(client: Client) -> None:
    sns = client("sns")
    topic, other = (sns.create_topic(Name=unique("topic"))["TopicArn"] for _ in range(2))
    given = {"TopicArn": topic, "AttributeName": "Policy"}
    with pytest.raises(ClientError, match=r"\(InvalidParameter\).*must apply to a single resource!"):
        sns.set_topic_attributes(**given, AttributeValue=policy([topic, other]))
    sns.set_topic_attributes(**given, AttributeValue=policy(topic))


def end_of(client: Client, template: dict[str, Any], **parameters: str) -> str:
    """What became of a new stack of the template."""
    cloudformation, name = client("cloudformation"), unique("stack")
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template), Parameters=given)

    def status() -> str:
        found: str = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        return "" if found.endswith("_IN_PROGRESS") else found

    return eventually(status)


def test_a_stack_with_one_policy_for_two_queues_is_rolled_back(client: Client) -> None:
    queues: dict[str, Any] = {name: {"Type": "AWS::SQS::Queue"} for name in ("One", "Two")}
    document = json.loads(policy([{"Fn::GetAtt": [name, "Arn"]} for name in queues]))
    properties = {"Queues": [{"Ref": name} for name in queues], "PolicyDocument": document}
    both = {"Type": "AWS::SQS::QueuePolicy", "Properties": properties}
    assert end_of(client, {"Resources": {**queues, "Policy": both}}) == "ROLLBACK_COMPLETE"
    document["Statement"][0]["Resource"] = {"Fn::GetAtt": ["One", "Arn"]}
    properties["Queues"].pop()
    assert end_of(client, {"Resources": {**queues, "Policy": both}}) == "CREATE_COMPLETE"


EMPTY = {"Subnets": {"Type": "CommaDelimitedList", "Default": ""}}
FIRST = {"Fn::Select": [0, {"Ref": "Subnets"}]}
RULE = {"Any": {"Assertions": [{"Assert": {"Fn::Not": [{"Fn::Contains": [{"Ref": "Subnets"}, ""]}]}}]}}


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"Conditions": {"Has": {"Fn::Equals": [FIRST, ""]}}}, "nonexistent value at index 0"),
        ({"Rules": RULE}, "a rule refers to the list Subnets"),
    ],
)
def test_a_template_on_doubtful_ground_makes_no_stack(client: Client, part: dict[str, Any], words: str) -> None:
    with pytest.raises(ClientError, match=words):
        end_of(client, {"Parameters": EMPTY, "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}, **part})


def test_whether_a_list_is_empty_is_asked_by_joining_it(client: Client) -> None:
    joined = {"Fn::Join": ["", {"Ref": "Subnets"}]}
    part = {"Conditions": {"Has": {"Fn::Not": [{"Fn::Equals": [joined, ""]}]}}}
    # The resource that the condition leaves out could not be made.
    wrong = {"Type": "AWS::SQS::Queue", "Condition": "Has", "Properties": {"VisibilityTimeout": -1}}
    template = {"Parameters": EMPTY, "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}, "Wrong": wrong}, **part}
    assert end_of(client, template) == "CREATE_COMPLETE"
    assert end_of(client, template, Subnets="subnet-1,subnet-2") == "ROLLBACK_COMPLETE"


def test_no_message_is_put_off_for_more_than_a_quarter_of_an_hour(client: Client) -> None:
    url, _ = queue(client)
    message: dict[str, Any] = {"MessageBody": "later"}
    client("sqs").send_message(QueueUrl=url, **message, DelaySeconds=900)
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        client("sqs").send_message(QueueUrl=url, **message, DelaySeconds=901)
    entries = [{"Id": str(delay), **message, "DelaySeconds": delay} for delay in (0, 901)]
    answer = client("sqs").send_message_batch(QueueUrl=url, Entries=entries)
    assert ([m["Id"] for m in answer["Successful"]], [m["Id"] for m in answer["Failed"]]) == (["0"], ["901"])


def test_an_event_has_a_detail_that_is_json_and_a_request_is_small(client: Client) -> None:
    def entry(detail: str) -> dict[str, str]:
        return {"Source": "test", "DetailType": "t", "Detail": detail}

    answer = client("events").put_events(Entries=[entry("{}"), entry("no JSON"), entry("{}")])
    assert [found.get("ErrorCode") for found in answer["Entries"]] == [None, "MalformedDetail", None]
    assert answer["FailedEntryCount"] == 1
    with pytest.raises(ClientError, match="over the limit"):
        client("events").put_events(Entries=[entry(json.dumps({"a": "x" * 256 * 1024}))])


def test_a_mapping_that_lambda_does_not_take_makes_no_stack(client: Client) -> None:
    code = "def handler(event, context): pass"
    name = function(client, code, allow("sqs:*"), Timeout=60)
    source = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 60}}
    given = {"EventSourceArn": {"Fn::GetAtt": ["Source", "Arn"]}, "FunctionName": name}

    def end(**properties: Any) -> str:
        mapping = {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {**given, **properties}}
        return end_of(client, {"Resources": {"Source": source, "Mapping": mapping}})

    assert end() == "CREATE_COMPLETE"
    assert end(BatchSize=11) == "ROLLBACK_COMPLETE"
    _, arn = queue(client, VisibilityTimeout="59")
    with pytest.raises(ClientError, match="less than Function timeout"):
        client("lambda").create_event_source_mapping(EventSourceArn=arn, FunctionName=name)
    blind = function(client, code, allow("sqs:ReceiveMessage", "sqs:GetQueueAttributes"))
    with pytest.raises(ClientError, match="lacks sqs:DeleteMessage on"):
        client("lambda").create_event_source_mapping(EventSourceArn=arn, FunctionName=blind)


def test_a_stream_is_read_by_a_role_that_may_list_streams(client: Client) -> None:
    stream = client("dynamodb").create_table(
        TableName=unique("table"),
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    )["TableDescription"]["LatestStreamArn"]
    given = {"EventSourceArn": stream, "StartingPosition": "LATEST"}
    code = "def handler(event, context): pass"
    almost = function(client, code, allow("dynamodb:*", on=stream))
    with pytest.raises(ClientError, match="lacks dynamodb:ListStreams on"):
        client("lambda").create_event_source_mapping(**given, FunctionName=almost)
    whole = function(client, code, allow("dynamodb:*"))
    client("lambda").create_event_source_mapping(**given, FunctionName=whole)


LONG = "x" * 81


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("AWS::SQS::Queue", {"QueueName": LONG}),
        ("AWS::Events::Rule", {"Name": LONG[:65], "EventPattern": {"source": ["a"]}}),
        ("AWS::Lambda::Function", {"FunctionName": LONG[:65], "Code": {"ZipFile": "x"}, "Role": "r"}),
        ("AWS::Lambda::Function", {"Environment": {"Variables": {"AWS_REGION": "x"}}, "Role": "r"}),
    ],
)
def test_what_its_service_would_not_make_makes_no_stack(client: Client, kind: str, properties: dict[str, Any]) -> None:
    assert end_of(client, {"Resources": {"One": {"Type": kind, "Properties": properties}}}) == "ROLLBACK_COMPLETE"


def test_a_queue_a_rule_and_a_function_are_refused_by_their_services_alike(client: Client) -> None:
    events, rule = client("events"), unique("rule")
    with pytest.raises(ClientError, match="1 to 80 in length"):
        client("sqs").create_queue(QueueName=LONG)
    with pytest.raises(ClientError, match="less than or equal to 64"):
        events.put_rule(Name=LONG[:65], EventPattern='{"source": ["a"]}')
    events.put_rule(Name=rule, EventPattern='{"source": ["a"]}')
    _, arn = queue(client)
    events.put_targets(Rule=rule, Targets=[{"Id": str(number), "Arn": arn} for number in range(5)])
    with pytest.raises(ClientError, match="LimitExceededException"):
        events.put_targets(Rule=rule, Targets=[{"Id": "5", "Arn": arn}])
    with pytest.raises(ClientError, match="Only one of Input"):
        events.put_targets(Rule=rule, Targets=[{"Id": "0", "Arn": arn, "Input": "{}", "InputPath": "$.a"}])
    code, environment = "def handler(event, context): pass", {"Variables": {"LONG": "x" * 4096}}
    with pytest.raises(ClientError, match="exceeded the 4KB limit"):
        function(client, code, Environment=environment)
    name = function(client, code)
    with pytest.raises(ClientError, match="exceeded the 4KB limit"):
        client("lambda").update_function_configuration(FunctionName=name, Environment=environment)
