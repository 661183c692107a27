"""Handler of the rules for messages: sends people what an event says, as text with a subject."""

import functools
import os
from typing import Any

from aws_lambda_powertools import Logger
from linkgate.aws import clients
from linkgate.aws.topic import Topic
from linkgate.config import Settings
from linkgate.events.message import of_event, subject

REQUIRED = ("stack", "alarm_topic_arn")
logger = Logger(service="message")


@functools.cache
def application() -> tuple[Settings, Topic]:
    settings = Settings.from_env(os.environ, REQUIRED)
    return settings, Topic(clients.client("sns"), settings.alarm_topic_arn)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:
    """An event of the bus, or of CloudWatch about one of the stack's alarms."""
    settings, topic = application()
    text = of_event(event)
    topic.tell(subject(settings.stack, text), text)
