"""What SQS and SNS refuse as the policy of a queue or topic."""

import json
from typing import Any

import pytest

from lab.iam import policies

QUEUE, OTHER = "arn:aws:sqs:eu-west-1:111111111111:bells", "arn:aws:sqs:eu-west-1:111111111111:letters"
TOPIC = "arn:aws:sns:eu-west-1:111111111111:alarms"


def document(*resources: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    return {"Version": "2012-10-17", "Statement": [{**statement, "Resource": resource} for resource in resources]}


def fits(*resources: Any) -> bool:
    return policies.fits(json.dumps(document(*resources)), QUEUE)


def test_a_statement_is_about_the_one_queue_that_has_the_policy() -> None:
    assert fits(QUEUE, [QUEUE], "*")
    assert not fits(OTHER)
    assert not fits(QUEUE, OTHER)
    assert not fits([QUEUE, OTHER])
    assert not fits([])
    assert policies.fits(json.dumps({"Statement": document(QUEUE)["Statement"][0]}), QUEUE)


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"Statement": ["x"]}', '{"Statement": [{"Effect": "Allow"}]}'])
def test_what_is_no_policy_is_refused(text: str) -> None:
    assert not policies.fits(text, QUEUE)


@pytest.mark.parametrize(
    ("record", "own", "words"),
    [
        ({"attributes": {"QueueArn": QUEUE}}, QUEUE, policies.QUEUE_REFUSES),
        ({"attributes": {"TopicArn": TOPIC}}, TOPIC, policies.TOPIC_REFUSES),
    ],
)
def test_cloudformation_fails_with_the_words_of_the_service(record: dict[str, Any], own: str, words: str) -> None:
    policies.require_fit({"PolicyDocument": document(own)}, [record, None])
    with pytest.raises(ValueError, match=words):
        policies.require_fit({"PolicyDocument": document([own, OTHER])}, [record])
