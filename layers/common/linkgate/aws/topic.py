"""An SNS topic: what people are told, and whether anybody hears it."""

from typing import Any


class Topic:
    """An SNS topic. EventBridge could send to it too, but in quotes, on one line and without a subject."""

    def __init__(self, sns: Any, arn: str) -> None:
        self._sns = sns
        self._arn = arn

    def tell(self, subject: str, text: str) -> None:
        """Send a text to whoever subscribes; ClientErrors pass through."""
        self._sns.publish(TopicArn=self._arn, Subject=subject, Message=text)

    def heard(self) -> bool:
        """Whether somebody's subscription is confirmed: before that, SNS delivers nothing of what is published."""
        found = self._sns.get_topic_attributes(TopicArn=self._arn)["Attributes"]
        return int(found.get("SubscriptionsConfirmed", 0)) > 0
