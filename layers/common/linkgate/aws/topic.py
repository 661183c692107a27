"""An SNS topic: whether anybody hears what is published to it."""

from typing import Any


class Topic:
    """One topic, by its ARN."""

    def __init__(self, sns: Any, arn: str) -> None:
        self._sns = sns
        self._arn = arn

    def heard(self) -> bool:
        """Whether somebody's subscription is confirmed: before that, SNS delivers nothing of what is published."""
        found = self._sns.get_topic_attributes(TopicArn=self._arn)["Attributes"]
        return int(found.get("SubscriptionsConfirmed", 0)) > 0
