"""The bell queue: how a bell is sent, now or in a while."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from linkgate.aws.calls import parts
from linkgate.aws.errors import ec2_errors
from linkgate.errors import Unavailable
from linkgate.events.bell import Bell
from linkgate.retry import LONGEST_DELAY, delay

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

MESSAGES_PER_CALL = 10


class BellQueue:
    """A queue of bells."""

    def __init__(self, sqs: "SQSClient", queue_url: str) -> None:
        self._sqs = sqs
        self._queue_url = queue_url

    def send(self, bells: Iterable[Bell], later: int | None = None) -> None:
        """Send bells so many seconds `later`; otherwise first ones at once, repeats the later the more there were."""
        for batch in parts(bells, MESSAGES_PER_CALL):
            entries: list[SendMessageBatchRequestEntryTypeDef] = [
                {
                    "Id": str(number),
                    "MessageBody": json.dumps(bell.event()),
                    "DelaySeconds": _delay(bell, later),
                }
                for number, bell in enumerate(batch)
            ]
            with ec2_errors():
                failed = self._sqs.send_message_batch(QueueUrl=self._queue_url, Entries=entries).get("Failed")
            if failed:
                raise Unavailable(f"SQS refused {len(failed)} of {len(batch)} bells: {failed[0].get('Message', '')}")


def _delay(bell: Bell, later: int | None) -> int:
    return delay(bell.attempt) if later is None else min(later, LONGEST_DELAY)
