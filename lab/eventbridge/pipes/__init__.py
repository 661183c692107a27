"""EventBridge Pipes from an SQS queue to an event bus, with real requests under the pipe's own role.

ministack stores such pipes and moves nothing. What an SQS record is and how a body is parsed is in the EventBridge
user guide ("Amazon SQS as a source"). Not like AWS: a pipe changes its state at once, a batch is at most ten
messages and has no window, there is no enrichment, and other sources and targets are left to ministack.
"""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from ministack.core.responses import request_scope  # type: ignore[import-untyped]
from ministack.services import pipes, sqs  # type: ignore[import-untyped]
from ministack.services.cloudformation import provisioners  # type: ignore[import-untyped]

from lab.eventbridge.pipes.transfer import Mover, Refused
from lab.iam import permissions

log = logging.getLogger("lab.pipes")
PACE = 0.1
"""Seconds between two looks at the sources."""
PAUSE = 1.0
"""Seconds that a pipe rests after a refusal."""

SERVICE = "pipes.amazonaws.com"
TO_POLL = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
"""What a pipe's role needs on its queue. What it needs on the bus shows when it puts events: without it messages
return to the queue after their visibility timeout, and so reach its dead-letter queue."""

_PARAMETERS = ("SourceParameters", "TargetParameters")
_Record = dict[str, Any]


def install() -> None:
    """Keep the parameters of pipes, which ministack drops, and move messages from queues to buses.

    Seams: the API's create, update and describe, CloudFormation's create and update, and the table of pipes.
    """
    _keep_parameters_of_api()
    _keep_parameters_of_templates()
    threading.Thread(target=_Runner().run, name="lab-pipes", daemon=True).start()


def _keep(name: str, properties: _Record) -> None:
    for parameter in _PARAMETERS:
        if properties.get(parameter) is not None:
            pipes._pipes[name][parameter] = properties[parameter]


def _keep_parameters_of_api() -> None:
    describe = pipes._describe_response

    def keeping(action: Callable[[str, _Record], Any]) -> Callable[[str, _Record], Any]:
        def run(name: str, body: _Record) -> Any:
            response = action(name, body)
            if response[0] == 200:
                _keep(name, body)
            return response

        return run

    def described(pipe: _Record) -> _Record:
        return {**describe(pipe), **{name: pipe[name] for name in _PARAMETERS if name in pipe}}

    pipes._create_pipe, pipes._update_pipe = keeping(pipes._create_pipe), keeping(pipes._update_pipe)
    pipes._describe_response = described


def _keep_parameters_of_templates() -> None:
    handlers = provisioners._RESOURCE_HANDLERS["AWS::Pipes::Pipe"]
    create, update = handlers["create"], handlers["update"]

    def created(logical_id: str, properties: _Record, stack: str) -> Any:
        result = create(logical_id, properties, stack)
        _keep(result[0], properties)
        return result

    def updated(physical_id: str, old: _Record, new: _Record, stack: str, logical_id: str | None = None) -> Any:
        result = update(physical_id, old, new, stack, logical_id)
        _keep(result[0], {**{parameter: {} for parameter in _PARAMETERS}, **new})
        return result

    handlers.update(create=created, update=updated)


class _Runner:
    """Moves what waits, pipe by pipe; a pipe that is refused something rests and says so once."""

    def __init__(self) -> None:
        self._movers: dict[tuple[str, str], Mover] = {}
        self._resting: dict[str, float] = {}
        self._complaints: dict[str, str] = {}

    def run(self) -> None:
        while True:
            for account, region, pipe in pipes._iter_all_pipes():
                if _is_from_queue_to_bus(pipe) and self._resting.get(pipe["Arn"], 0) < time.monotonic():
                    with request_scope(account, region):
                        self._move(pipe)
            time.sleep(PACE)

    def _move(self, pipe: _Record) -> None:
        arn = pipe["Arn"]
        try:
            while pipe["CurrentState"] == "RUNNING" and arn == _arn_now(pipe) and _has_messages(pipe["Source"]):
                self._mover(pipe).move(pipe, sqs._queue_url(pipe["Source"].rsplit(":", 1)[1]))
                self._complaints.pop(arn, None)
        except (Refused, ClientError, BotoCoreError) as refusal:
            self._resting[arn] = time.monotonic() + PAUSE
            if self._complaints.get(arn) != str(refusal):
                self._complaints[arn] = str(refusal)
                log.warning("%s moves nothing: %s", arn, refusal)
        except Exception:
            self._resting[arn] = time.monotonic() + PAUSE
            log.exception("%s failed", arn)

    def _mover(self, pipe: _Record) -> Mover:
        role, source = pipe["RoleArn"], pipe["Source"]
        if not permissions.trusts(role, SERVICE, pipe["Arn"]):
            raise Refused(f"{role} does not exist or does not trust {SERVICE}")
        allows = partial(permissions.role_allows, role, SERVICE, resource_arn=source, source_arn=pipe["Arn"])
        if lacking := [action for action in TO_POLL if not allows(action=action)]:
            raise Refused(f"{role} lacks {', '.join(lacking)} on {source}")
        key = pipe["Arn"], role
        if key not in self._movers:
            keys: Any = permissions.session(role, SERVICE, pipe["Name"])
            session = boto3.Session(region_name=pipe["Arn"].split(":")[3], **keys)
            self._movers[key] = Mover(session.client("sqs"), session.client("events"))
        return self._movers[key]


def _is_from_queue_to_bus(pipe: _Record) -> bool:
    return ":sqs:" in pipe["Source"] and ":event-bus/" in pipe["Target"]


def _arn_now(pipe: _Record) -> str | None:
    return (pipes._pipes.get(pipe["Name"]) or {}).get("Arn")


def _has_messages(queue_arn: str) -> bool:
    """Looked up in memory, so that an idle pipe costs no requests; what is moved goes through real ones."""
    queue = sqs._queue_by_arn(queue_arn)
    now = time.time()
    return queue is not None and any(message["visible_at"] <= now for message in queue["messages"])
