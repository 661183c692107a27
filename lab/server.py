"""The local AWS in one process: ministack, and the parts of AWS that it lacks or has otherwise.

Started by lab.harness.process.LabProcess with its whole configuration in the environment (see there).
"""

import os
import signal
import sys
import threading
from pathlib import Path

import ministack.app  # type: ignore[import-untyped]

from lab import cloudformation, functions, limits, network, privatelink
from lab.cloudwatch import metrics
from lab.eventbridge import archive, delivery, pipes, schedules
from lab.iam import actions, policies


def main() -> None:
    """Add what ministack lacks, then serve until SIGTERM."""
    threading.Thread(target=_end_with_owner, daemon=True).start()
    speed = float(os.environ["LAB_SPEED"])
    actions.install()
    policies.install()
    cloudformation.install()
    limits.install()
    archive.install()
    privatelink.install()
    folder, plane_wanted = Path(os.environ["LAB_FOLDER"]), os.environ["LAB_PLANE"]
    plane = network.install(folder, int(os.environ["GATEWAY_PORT"]), plane_wanted)
    functions.install(
        int(os.environ["LAB_CONCURRENCY"]), int(os.environ["LAB_ACCOUNT_CONCURRENCY"]), speed, plane.launch
    )
    pipes.install()
    delivery.install()
    metrics.install(speed, plane.usage)
    schedules.install(speed)

    ministack.app.main()


def _end_with_owner() -> None:
    """The owner holds the other end of stdin; when it is closed, this whole process group ends."""
    sys.stdin.buffer.read()
    os.killpg(os.getpgrp(), signal.SIGTERM)


if __name__ == "__main__":
    main()
