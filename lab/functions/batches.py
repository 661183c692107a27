"""Batches of queue messages for Lambda: more than ten, and gathered over a window.

ministack hands out at most ten messages as soon as there is one. Not like AWS: messages stay visible while a batch
gathers, and the size of a payload (6 MB) ends no window.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from ministack.core.concurrency import esm_wake  # type: ignore[import-untyped]
from ministack.services import lambda_svc, sqs  # type: ignore[import-untyped]

PACE = 0.1
"""Seconds between two looks at the event sources, where ministack takes up to 1 s to see a window or timeout end."""

QUIET = 20.0
"""Seconds that Lambda may wait at a quiet queue of a mapping with a window, "even if you set a batch window lower than
20 seconds" (developer guide, "Using Lambda with Amazon SQS", batching behavior). Here it always waits as long."""


class Windows:
    """Batches that gather, each until it is full or its window is over; a window opens with the first record seen.

    A source with a window that had no batch for `quiet` seconds is quiet: its next window lasts as long at least.
    """

    def __init__(self, quiet: float = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._quiet = quiet
        self._clock = clock
        self._opened: dict[str, float] = {}
        self._ended: dict[str, float] = {}

    def is_due(self, source: str, waiting: int, size: int, seconds: float) -> bool:
        """Whether a batch of `source` goes out now, with `waiting` records of at most `size`; the window in seconds."""
        if not waiting:
            self._opened.pop(source, None)
            return False
        now = self._clock()
        opened = self._opened.setdefault(source, now)
        if seconds and opened - self._ended.get(source, float("-inf")) >= self._quiet:
            seconds = max(seconds, self._quiet)
        if waiting < size and now - opened < seconds:
            return False
        self._opened.pop(source, None)
        self._ended[source] = now
        return True


def install(speed: float) -> None:
    """Seam: what ministack's poller for event source mappings receives; and the event that wakes that poller.

    `speed` is how much faster than on AWS the wait at a quiet queue passes.
    """
    windows = Windows(QUIET / speed)
    sqs._receive_messages_for_esm = lambda queue_url, size: receive(windows, queue_url, size)
    threading.Thread(target=_keep_awake, name="lab-batches", daemon=True).start()


def receive(windows: Windows, queue_url: str, size: int) -> list[dict[str, Any]]:
    """Up to `size` messages of a queue of the current account, none before the batch is full or its window over."""
    with sqs._queues_lock:
        queue = sqs._get_q(queue_url)
        sqs._expire_retained(queue)
        sqs._dlq_sweep(queue)
        now = time.time()
        visible = sum(1 for message in queue["messages"] if message["visible_at"] <= now)
        arn = queue["attributes"]["QueueArn"]
        if not windows.is_due(arn, visible, size, window(arn)):
            return []
        timeout = int(queue["attributes"].get("VisibilityTimeout", "30"))
        return sqs._collect_msgs(queue, size, timeout)  # type: ignore[no-any-return]


def window(source_arn: str) -> float:
    """Seconds that the mapping of a source gathers records; several mappings of one source share the longest."""
    mappings = (mapping for mapping in lambda_svc._esms.values() if mapping.get("EventSourceArn") == source_arn)
    return max((float(mapping.get("MaximumBatchingWindowInSeconds") or 0) for mapping in mappings), default=0)


def _keep_awake() -> None:
    while True:
        time.sleep(PACE)
        esm_wake.set()
