"""The IAM action of a request, where ministack asks for one that IAM does not have."""

from typing import Any

from ministack.core import iam_actions  # type: ignore[import-untyped]

COVERED_BY = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sns:PublishBatch": "sns:Publish",
}
"""Operations without an action of their own in IAM (service authorization reference, SQS and SNS); ministack asks
for one of the operation's name, which no correct policy has."""


def install() -> None:
    """Seam: the IAM action of a request."""
    action_of = iam_actions.extract_iam_action

    def covered(*request: Any, **more: Any) -> Any:
        action = action_of(*request, **more)
        return COVERED_BY.get(action, action)

    iam_actions.extract_iam_action = covered
