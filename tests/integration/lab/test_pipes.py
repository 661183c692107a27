"""EventBridge pipes from a queue to a bus in the lab, rules' deliveries, and subscriptions to topics."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from lab.harness.process import PROVIDER_ACCOUNT, REGION, LabProcess
from tests.integration.conftest import Client
from tests.integration.deploy import (
    allow,
    arn_of,
    eventually,
    function,
    let_in,
    lines,
    only_for,
    queue,
    queue_with_dlq,
    received,
    role,
    unique,
    waiting,
)

NEEDED = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "events:PutEvents")


def bus_with_queue(client: Client) -> tuple[str, str]:
    """The ARN of a new bus, and the URL of a queue that gets all of its events."""
    events, name = client("events"), unique("bus")
    bus = events.create_event_bus(Name=name)["EventBusArn"]
    rule = events.put_rule(Name=name, EventBusName=name, EventPattern=json.dumps({"account": [PROVIDER_ACCOUNT]}))
    url, arn = queue(client)
    let_in(client, url, arn, "events", rule["RuleArn"])
    events.put_targets(Rule=name, EventBusName=name, Targets=[{"Id": "queue", "Arn": arn}])
    return bus, url


@dataclass
class Pipe:
    """A pipe with a queue at each end: `source` and its `dead` letters, and `sink` behind the bus."""

    name: str
    source: str
    dead: str
    sink: str

    def sent(self, client: Client, *bodies: str) -> None:
        for body in bodies:
            client("sqs").send_message(QueueUrl=self.source, MessageBody=body)


def pipe_of(client: Client, actions: tuple[str, ...] = NEEDED, template: str = "", **settings: Any) -> Pipe:
    source, source_arn, dead = queue_with_dlq(client, tries=2)
    bus, sink = bus_with_queue(client)
    target = {"TargetParameters": {"InputTemplate": template}} if template else {}
    name = unique("pipe")
    client("pipes").create_pipe(
        Name=name, Source=source_arn, Target=bus, RoleArn=role(client, "pipes", allow(*actions)), **target, **settings
    )
    return Pipe(name, source, dead, sink)


def details(client: Client, pipe: Pipe, count: int = 1) -> list[Any]:
    return [json.loads(message["Body"])["detail"] for message in received(client, pipe.sink, count)]


class TestMoving:
    def test_more_messages_than_a_batch_arrive_and_leave_the_queue(self, client: Client) -> None:
        pipe = pipe_of(client)
        pipe.sent(client, *(str(number) for number in range(23)))
        arrived = details(client, pipe, 23)
        assert sorted(int(detail["body"]) for detail in arrived) == list(range(23))
        assert arrived[0]["eventSource"] == "aws:sqs"
        assert arrived[0]["attributes"]["ApproximateReceiveCount"] == "1"
        assert eventually(lambda: waiting(client, pipe.source) == 0)

    def test_source_type_and_resources_are_those_of_the_target_parameters(self, client: Client) -> None:
        parameters = {"Source": "linkgate.notification", "DetailType": "$.body.kind", "Resources": ["arn:x"]}
        pipe = pipe_of(client, TargetParameters={"EventBridgeEventBusParameters": parameters})
        pipe.sent(client, '{"kind": "Connect"}')
        (message,) = received(client, pipe.sink)
        event = json.loads(message["Body"])
        assert (event["source"], event["detail-type"], event["resources"]) == (
            "linkgate.notification",
            "Connect",
            ["arn:x"],
        )
        described = client("pipes").describe_pipe(Name=pipe.name)
        assert described["TargetParameters"]["EventBridgeEventBusParameters"] == parameters

    def test_a_stopped_pipe_moves_nothing_until_it_is_started(self, client: Client) -> None:
        stopped, running = pipe_of(client, DesiredState="STOPPED"), pipe_of(client)
        stopped.sent(client, "held")
        running.sent(client, "moved")
        assert details(client, running)
        assert waiting(client, stopped.source) == 1
        client("pipes").start_pipe(Name=stopped.name)
        assert [detail["body"] for detail in details(client, stopped)] == ["held"]

    def test_a_deleted_pipe_moves_nothing(self, client: Client) -> None:
        deleted, other = pipe_of(client), pipe_of(client)
        client("pipes").delete_pipe(Name=deleted.name)
        deleted.sent(client, "held")
        other.sent(client, "moved")
        assert details(client, other)
        assert waiting(client, deleted.source) == 1

    def test_a_pipe_of_a_template_moves_with_its_parameters(self, client: Client) -> None:
        source, source_arn = queue(client)
        bus, sink = bus_with_queue(client)
        properties = {
            "Source": source_arn,
            "Target": bus,
            "RoleArn": role(client, "pipes", allow(*NEEDED)),
            "TargetParameters": {"InputTemplate": '{"text": <$.body>}'},
        }
        template = {"Resources": {"Pipe": {"Type": "AWS::Pipes::Pipe", "Properties": properties}}}
        client("cloudformation").create_stack(StackName=unique("stack"), TemplateBody=json.dumps(template))
        client("sqs").send_message(QueueUrl=source, MessageBody="from a template")
        (message,) = received(client, sink)
        assert json.loads(message["Body"])["detail"] == {"text": "from a template"}


class TestFilters:
    FILTER: ClassVar = {"FilterCriteria": {"Filters": [{"Pattern": '{"body": {"Event": ["Connect"]}}'}]}}

    def test_what_a_filter_drops_is_deleted_and_so_is_a_plain_text(self, client: Client) -> None:
        pipe = pipe_of(client, SourceParameters=self.FILTER)
        pipe.sent(client, "Connect", '{"Event": "Delete"}', '{"Event": "Connect"}')
        assert [json.loads(detail["body"]) for detail in details(client, pipe)] == [{"Event": "Connect"}]
        assert eventually(lambda: waiting(client, pipe.source) == 0)
        assert waiting(client, pipe.dead) == 0


class TestTemplates:
    @pytest.mark.parametrize(
        ("template", "body", "expected"),
        [
            ('{"id": "<$.messageId>x"}', "b", None),
            ('{"message": <$.body.Message>}', '{"Message": "{\\"a\\": \\"b\\"}"}', {"message": '{"a": "b"}'}),
            ('{"message": "<$.body.Message>"}', '{"Message": "say \\"hi\\"\\n"}', {"message": 'say "hi"\n'}),
            ('{"data": <$.body>}', '{"a": [1, {"b": null}]}', {"data": {"a": [1, {"b": None}]}}),
            ('{"data": <$.body.list[1].name>}', '{"list": [{}, {"name": "n"}]}', {"data": "n"}),
            ('{"text": <$.body>}', "no json <$.messageId>", {"text": "no json <$.messageId>"}),
            ('{"none": "<$.body.none>", "n": 1}', "{}", {"none": "", "n": 1}),
        ],
    )
    def test_variables_are_filled_in(self, client: Client, template: str, body: str, expected: Any) -> None:
        pipe = pipe_of(client, template=template)
        pipe.sent(client, body)
        (detail,) = details(client, pipe)
        assert detail == expected if expected else len(detail["id"]) == 37

    def test_reserved_variables_name_the_pipe_and_the_whole_event(self, client: Client) -> None:
        template = """{"pipe": "<aws.pipes.pipe-name>", "arn": <aws.pipes.pipe-arn>, "source": <aws.pipes.source-arn>,
            "at": <aws.pipes.event.ingestion-time>, "event": <aws.pipes.event.json>}"""
        pipe = pipe_of(client, template=template)
        pipe.sent(client, '{"a": 1}')
        (detail,) = details(client, pipe)
        assert detail["pipe"] == pipe.name
        assert detail["arn"] == f"arn:aws:pipes:{REGION}:{PROVIDER_ACCOUNT}:pipe/{pipe.name}"
        assert detail["at"].endswith("Z")
        assert detail["source"] == detail["event"]["eventSourceARN"]
        assert detail["event"]["body"] == {"a": 1}

    def test_a_detail_that_is_no_json_object_ends_in_the_dlq(self, client: Client) -> None:
        pipe = pipe_of(client, template='{"data": "<$.body>"}')
        pipe.sent(client, '{"an": "object"}')
        # Only a look at the queue, which a failing pipe takes, moves a spent message.
        assert [message["Body"] for message in received(client, pipe.dead)] == ['{"an": "object"}']
        assert waiting(client, pipe.sink) == 0


class TestPermissions:
    @pytest.mark.parametrize("missing", NEEDED[:3])
    def test_without_a_permission_on_its_queue_a_pipe_takes_nothing_and_says_so(
        self, lab: LabProcess, client: Client, missing: str
    ) -> None:
        pipe = pipe_of(client, actions=tuple(action for action in NEEDED if action != missing))
        pipe.sent(client, "kept")
        assert missing in eventually(lambda: _complaints(lab, pipe))[0]
        assert waiting(client, pipe.source) == 1
        assert waiting(client, pipe.sink) == 0

    def test_without_the_permission_to_put_events_messages_end_in_the_dlq_and_one_line_says_so(
        self, lab: LabProcess, client: Client
    ) -> None:
        pipe = pipe_of(client, actions=NEEDED[:3])
        pipe.sent(client, "kept")
        assert [message["Body"] for message in received(client, pipe.dead)] == ["kept"]
        (complaint,) = _complaints(lab, pipe)
        assert "events:PutEvents" in complaint

    def test_a_role_that_does_not_trust_pipes_moves_nothing(self, lab: LabProcess, client: Client) -> None:
        source, arn = queue(client)
        bus, _sink = bus_with_queue(client)
        stranger = role(client, "lambda", allow(*NEEDED))
        client("pipes").create_pipe(Name=unique("pipe"), Source=arn, Target=bus, RoleArn=stranger)
        client("sqs").send_message(QueueUrl=source, MessageBody="kept")
        expected = f"{stranger} does not exist or does not trust pipes.amazonaws.com"
        assert eventually(lambda: any(expected in line for line in _log(lab)))
        assert waiting(client, source) == 1

    def test_a_role_that_is_for_another_pipe_moves_nothing(self, lab: LabProcess, client: Client) -> None:
        source, arn = queue(client)
        bus, _sink = bus_with_queue(client)
        stranger = role(client, "pipes", allow(*NEEDED))
        only_for(client, stranger, "pipes", f"arn:aws:pipes:{REGION}:{PROVIDER_ACCOUNT}:pipe/another")
        client("pipes").create_pipe(Name=unique("pipe"), Source=arn, Target=bus, RoleArn=stranger)
        client("sqs").send_message(QueueUrl=source, MessageBody="kept")
        assert eventually(lambda: any(f"{stranger} does not exist or does not trust" in line for line in _log(lab)))
        assert waiting(client, source) == 1

    def test_what_the_bus_does_not_take_returns_and_ends_in_the_dlq(self, client: Client) -> None:
        parameters = {"EventBridgeEventBusParameters": {"Source": "$.body.source"}}
        pipe = pipe_of(client, TargetParameters=parameters)
        pipe.sent(client, '{"source": "aws.forged"}', '{"source": "mine"}')
        assert [json.loads(message["Body"])["source"] for message in received(client, pipe.sink)] == ["mine"]
        assert len(received(client, pipe.dead)) == 1


class TestRuleTargets:
    """A rule reaches a target only with the target's own permission."""

    def _rule(self, client: Client, **target: Any) -> tuple[str, str]:
        """The source that the new rule listens to on the default bus, and the rule's ARN."""
        name = unique("rule")
        arn = client("events").put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))["RuleArn"]
        client("events").put_targets(Rule=name, Targets=[{"Id": "target", **target}])
        return name, arn

    def _emit(self, client: Client, source: str) -> None:
        entry = {"Source": source, "DetailType": "t", "Detail": '{"a": 1}'}
        assert client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0

    def test_a_queue_without_a_policy_gets_nothing_and_the_dead_letter_queue_learns_why(self, client: Client) -> None:
        url, arn = queue(client)
        dead, dead_arn = queue(client)
        source, rule = self._rule(client, Arn=arn, DeadLetterConfig={"Arn": dead_arn})
        let_in(client, dead, dead_arn, "events", rule)
        self._emit(client, source)
        (message,) = received(client, dead)
        assert json.loads(message["Body"])["detail"] == {"a": 1}
        attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
        assert (attributes["RULE_ARN"], attributes["TARGET_ARN"]) == (rule, arn)
        assert attributes["ERROR_CODE"] == "NO_PERMISSIONS"
        assert waiting(client, url) == 0

    def test_the_policy_of_a_queue_lets_in_the_rule_it_names_only(self, lab: LabProcess, client: Client) -> None:
        url, arn = queue(client)
        named, rule = self._rule(client, Arn=arn)
        other, _ = self._rule(client, Arn=arn)
        let_in(client, url, arn, "events", rule)
        self._emit(client, other)
        self._emit(client, named)
        assert [json.loads(message["Body"])["source"] for message in received(client, url)] == [named]
        assert waiting(client, url) == 0

    def test_a_dead_letter_queue_needs_a_policy_too(self, lab: LabProcess, client: Client) -> None:
        _, arn = queue(client)
        dead, dead_arn = queue(client)
        source, rule = self._rule(client, Arn=arn, DeadLetterConfig={"Arn": dead_arn})
        self._emit(client, source)
        assert any(f"{rule} could not use its dead-letter queue" in line for line in _log(lab))
        assert waiting(client, dead) == 0

    def test_a_target_that_does_not_exist_sends_its_events_to_the_dead_letter_queue(self, client: Client) -> None:
        dead, dead_arn = queue(client)
        absent = f"arn:aws:sqs:{REGION}:{PROVIDER_ACCOUNT}:absent"
        source, rule = self._rule(client, Arn=absent, DeadLetterConfig={"Arn": dead_arn})
        let_in(client, dead, dead_arn, "events", rule)
        self._emit(client, source)
        (message,) = received(client, dead)
        assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_RESOURCE"

    def test_words_with_quotes_break_a_template_and_arrive_whole_by_their_path(self, client: Client) -> None:
        url, arn = queue(client)
        dead, dead_arn = queue(client)
        template = {"InputPathsMap": {"words": "$.detail.words"}, "InputTemplate": '"<words>"'}
        filled, rule = self._rule(client, Arn=arn, InputTransformer=template, DeadLetterConfig={"Arn": dead_arn})
        by_path, _ = self._rule(client, Arn=arn, InputPath="$.detail.words")
        let_in(client, dead, dead_arn, "events", rule)
        let_in(client, url, arn, "events", f"arn:aws:events:{REGION}:{PROVIDER_ACCOUNT}:rule/*")
        words = 'effect is "alow"'
        for source in (filled, by_path):
            entry = {"Source": source, "DetailType": "t", "Detail": json.dumps({"words": words})}
            client("events").put_events(Entries=[entry])
        (message,) = received(client, url)
        assert json.loads(message["Body"]) == words
        (lost,) = received(client, dead)
        assert lost["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "INVALID_PARAMETER"

    def test_a_function_runs_only_for_the_rule_it_permits(self, lab: LabProcess, client: Client) -> None:
        name = function(client, "def handler(event, context): print(event['source'])")
        permitted, rule = self._rule(client, Arn=arn_of(client, name))
        other, _ = self._rule(client, Arn=arn_of(client, name))
        client("lambda").add_permission(
            FunctionName=name,
            StatementId="rule",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=rule,
        )
        self._emit(client, other)
        self._emit(client, permitted)
        assert eventually(lambda: lines(client, name)) == [permitted]
        assert any(f"rule/{other} did not deliver" in line for line in _log(lab))

    def test_a_topic_needs_a_statement_for_eventbridge(self, client: Client) -> None:
        topic, url = _topic_with_queue(client, RawMessageDelivery="true")
        source, rule = self._rule(client, Arn=topic)
        self._emit(client, source)
        service = {"Principal": {"Service": "events.amazonaws.com"}, "Effect": "Allow"}
        statement = {**service, "Action": "sns:Publish", "Resource": topic}
        # Conditions are not for EventBridge and topics (its user guide): such a statement admits nothing.
        conditional = {**statement, "Condition": {"ArnEquals": {"aws:SourceArn": rule}}}
        for given in (conditional, statement):
            policy = json.dumps({"Statement": [given]})
            client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
            self._emit(client, source)
        (message,) = received(client, url)
        assert json.loads(message["Body"])["source"] == source
        assert waiting(client, url) == 0


def _topic_with_queue(client: Client, **attributes: str) -> tuple[str, str]:
    topic = client("sns").create_topic(Name=unique("topic"))["TopicArn"]
    url, arn = queue(client)
    let_in(client, url, arn, "sns", topic)
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
    return str(topic), url


class TestTopics:
    def test_raw_delivery_hands_on_the_text_alone(self, client: Client) -> None:
        topic, url = _topic_with_queue(client, RawMessageDelivery="true")
        client("sns").publish(TopicArn=topic, Message="text", Subject="s")
        assert [message["Body"] for message in received(client, url)] == ["text"]

    def test_otherwise_the_text_is_in_an_envelope(self, client: Client) -> None:
        topic, url = _topic_with_queue(client)
        client("sns").publish(TopicArn=topic, Message="text")
        (message,) = received(client, url)
        envelope = json.loads(message["Body"])
        assert (envelope["Type"], envelope["TopicArn"], envelope["Message"]) == ("Notification", topic, "text")

    def test_an_address_can_be_subscribed_and_published_to(self, client: Client) -> None:
        topic = client("sns").create_topic(Name=unique("topic"))["TopicArn"]
        client("sns").subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.com")
        (subscription,) = client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "a@example.com")
        assert client("sns").publish(TopicArn=topic, Message="text")["MessageId"]


def _log(lab: LabProcess) -> list[str]:
    return lab.log.read_text(errors="replace").splitlines()


def _complaints(lab: LabProcess, pipe: Pipe) -> list[str]:
    return [line for line in _log(lab) if f"pipe/{pipe.name} moves nothing" in line]
