"""The canary functions, wherever they are: targets out, verdicts back, side by side, each within its time."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import zip_longest
from threading import Lock
from typing import TYPE_CHECKING, Any

from linkgate.aws.errors import ec2_errors
from linkgate.errors import Unavailable
from linkgate.health.targets import Target
from linkgate.health.verdict import LONGEST_TEXT, NOTHING, read
from linkgate.model import Verdict
from linkgate.patrol.routing import region_of

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

TARGETS_PER_CALL = 100
"""What a canary gets through within its time even if nothing answers."""
MOST_VERDICTS = 20
"""Of one target, of which a canary crosses to 16 addresses. A diagnosis compares all of an endpoint with each other."""
AT_ONCE = 16
LONGEST_CALL = 90
"""Seconds for a call, of which clients.PATIENT waits 73, and for keeping what it brings back."""
Left = Callable[[], float]
"""Seconds that are left to the function that asks."""
Group = Sequence[Target]
"""The targets of one endpoint, which stay together."""


@dataclass(slots=True)
class Found:
    """What canaries found: verdicts by target, and why one canary or another said nothing about its targets."""

    verdicts: dict[Target, list[Verdict]] = field(default_factory=dict)
    absent: dict[str, Exception] = field(default_factory=dict)


class Canaries:
    """The canary functions. `own` is the name of the stack's own, "" if it has none."""

    def __init__(self, functions: "Callable[[str], LambdaClient]", own: str) -> None:
        self._functions = functions
        self.own = own

    def send(self, errands: Mapping[str, Sequence[Group]], left: Left) -> Found:
        """Send canaries, by name or ARN, to groups of targets. Targets of a canary that fails have no verdict at all.

        Every other target has one at least: `probe_error` where the canary says nothing about it. No call begins that
        might outlast what is `left`.
        """
        found, calls, clients, alone = Found(), self._calls(errands), dict[str, "LambdaClient"](), Lock()

        def one(call: tuple[str, Group]) -> dict[Target, list[Verdict]] | Exception:
            (canary, batch), region = call, region_of(call[0])
            try:
                if left() < LONGEST_CALL:
                    raise Unavailable(f"no time is left to send the canary {canary}")
                with alone:  # boto3's session is not thread-safe, its clients are
                    clients[region] = clients.get(region) or self._functions(region)
                payload = _invoked(clients[region], canary, batch)
                with alone:  # what is read is thirty times as large, and then mostly thrown away
                    return _sorted(batch, _told(canary, payload))
            except Exception as error:
                return error

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for (canary, _), answer in zip(calls, pool.map(one, calls), strict=True):
                if isinstance(answer, Exception):
                    found.absent[canary] = answer
                else:
                    found.verdicts |= answer
        return found

    def _calls(self, errands: Mapping[str, Sequence[Group]]) -> list[tuple[str, Group]]:
        """Every canary's first call, our own before all, then the second ones: who hangs keeps no other waiting."""
        canaries = sorted(errands, key=lambda canary: canary != self.own)
        calls = ([(canary, batch) for batch in _batches(errands[canary])] for canary in canaries)
        return [call for some in zip_longest(*calls) for call in some if call]


def _batches(groups: Sequence[Group]) -> Iterator[Group]:
    batch: list[Target] = []
    for group in groups:
        if batch and len(batch) + len(group) > TARGETS_PER_CALL:
            yield batch
            batch = []
        batch.extend(group)
    if batch:
        yield batch


def _invoked(client: "LambdaClient", canary: str, batch: Group) -> bytes:
    """What a canary answers; raises Unavailable in its own words where it failed."""
    with ec2_errors():
        asked = json.dumps({"targets": [target.payload() for target in batch]})
        answer = client.invoke(FunctionName=canary, Payload=asked)
        payload = answer["Payload"].read()
    if answer.get("FunctionError"):
        raise Unavailable(f"the canary {canary} failed: {_words(payload)}")
    return payload


def _told(canary: str, payload: bytes) -> list[object]:
    """The verdicts in an answer; raises Unavailable where there are none."""
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("verdicts"), list):
        raise Unavailable(f"the canary {canary} answered no verdicts: {_words(payload)}")
    return list(said["verdicts"])


def _words(payload: bytes) -> str:
    return payload[:LONGEST_TEXT].decode(errors="replace")


def _sorted(batch: Group, said: Iterable[object]) -> dict[Target, list[Verdict]]:
    """Verdicts by the targets that were asked about; what is about others is nobody's business."""
    found: dict[tuple[object, object], list[Mapping[str, Any]]]
    found = {(target.endpoint, target.url): [] for target in batch}
    for one in said:
        if isinstance(one, dict) and isinstance(one.get("endpoint_id"), str) and isinstance(one.get("url"), str):
            mine = found.get((one["endpoint_id"], one["url"]))
            if mine is not None and len(mine) < MOST_VERDICTS:
                mine.append(one)
    return {target: [read(target, one) for one in found[target.endpoint, target.url] or [NOTHING]] for target in batch}
