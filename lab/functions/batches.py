"""Batches of queue messages for Lambda: more than ten, and gathered over a window.

ministack hands out at most ten messages as soon as there is one. Not like AWS: messages stay visible while a batch
gathers, the size of a payload (6 MB) ends no window, and the wait of up to 20 s that AWS may add is not there.
"""

import threading
import time
from typing import Any

from ministack.core.concurrency import esm_wake  # type: ignore[import-untyped]
from ministack.services import lambda_svc, sqs  # type: ignore[import-untyped]

PACE = 0.1
"""Seconds between two looks at the event sources, where ministack takes up to 1 s to see a window or timeout end."""

_opened: dict[str, float] = {}


def install() -> None:
    """Seam: what ministack's poller for event source mappings receives; and the event that wakes that poller."""
    sqs._receive_messages_for_esm = receive
    threading.Thread(target=_keep_awake, name="lab-batches", daemon=True).start()


def receive(queue_url: str, size: int) -> list[dict[str, Any]]:
    """Up to `size` messages of a queue of the current account, none before the batch is full or its window over."""
    with sqs._queues_lock:
        queue = sqs._get_q(queue_url)
        sqs._expire_retained(queue)
        sqs._dlq_sweep(queue)
        now = time.time()
        visible = sum(1 for message in queue["messages"] if message["visible_at"] <= now)
        if not is_due(queue["attributes"]["QueueArn"], visible, size, window(queue["attributes"]["QueueArn"])):
            return []
        timeout = int(queue["attributes"].get("VisibilityTimeout", "30"))
        return sqs._collect_msgs(queue, size, timeout)  # type: ignore[no-any-return]


def window(source_arn: str) -> float:
    """Seconds that the mapping of a source gathers records; several mappings of one source share the longest."""
    mappings = (mapping for mapping in lambda_svc._esms.values() if mapping.get("EventSourceArn") == source_arn)
    return max((float(mapping.get("MaximumBatchingWindowInSeconds") or 0) for mapping in mappings), default=0)


def is_due(source: str, waiting: int, size: int, seconds: float) -> bool:
    """Whether a batch of `source` goes out now; its window opens with the first record seen waiting."""
    if not waiting:
        _opened.pop(source, None)
        return False
    opened = _opened.setdefault(source, time.monotonic())
    if waiting < size and time.monotonic() - opened < seconds:
        return False
    _opened.pop(source, None)
    return True


def _keep_awake() -> None:
    while True:
        time.sleep(PACE)
        esm_wake.set()
