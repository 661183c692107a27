"""The alarm topic: what people are told."""

from typing import Any


class Topic:
    """An SNS topic. EventBridge could send to it too, but in quotes, on one line and without a subject."""

    def __init__(self, sns: Any, arn: str) -> None:
        self._sns = sns
        self._arn = arn

    def publish(self, subject: str, text: str) -> None:
        """Send a text to whoever subscribes; ClientErrors pass through."""
        self._sns.publish(TopicArn=self._arn, Subject=subject, Message=text)
