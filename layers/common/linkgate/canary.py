"""The canary functions, wherever they are: targets out, verdicts back, side by side, each within its time."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from linkgate.answer import translated
from linkgate.errors import Unavailable
from linkgate.model import Verdict
from linkgate.reach import region_of
from linkgate.targets import Target
from linkgate.verdict import LONGEST_TEXT, NOTHING, read

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

TARGETS_PER_CALL = 100
"""What a canary gets through within its time even if nothing answers."""
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
        found = Found()
        calls = [(canary, batch) for canary, groups in errands.items() for batch in _batches(groups)]
        # Made before there are threads: boto3's session is not thread-safe, its clients are.
        clients = {region: self._functions(region) for region in {region_of(canary) for canary in errands}}

        def one(call: tuple[str, Group]) -> dict[Target, list[Verdict]] | Exception:
            canary, batch = call
            try:
                if left() < LONGEST_CALL:
                    raise Unavailable(f"no time is left to send the canary {canary}")
                return _sorted(batch, _told(clients[region_of(canary)], canary, batch))
            except Exception as error:
                return error

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for (canary, _), answer in zip(calls, pool.map(one, calls), strict=True):
                if isinstance(answer, Exception):
                    found.absent[canary] = answer
                else:
                    found.verdicts |= answer
        return found


def _batches(groups: Sequence[Group]) -> Iterator[Group]:
    batch: list[Target] = []
    for group in groups:
        if batch and len(batch) + len(group) > TARGETS_PER_CALL:
            yield batch
            batch = []
        batch.extend(group)
    if batch:
        yield batch


def _told(client: "LambdaClient", canary: str, batch: Group) -> object:
    """What a canary says; raises Unavailable in its own words where it failed."""
    with translated():
        asked = json.dumps({"targets": [target.payload() for target in batch]})
        answer = client.invoke(FunctionName=canary, Payload=asked)
        payload = answer["Payload"].read().decode(errors="replace")
    if answer.get("FunctionError"):
        raise Unavailable(f"the canary {canary} failed: {payload[:LONGEST_TEXT]}")
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("verdicts"), list):
        raise Unavailable(f"the canary {canary} answered no verdicts: {payload[:LONGEST_TEXT]}")
    return said["verdicts"]


def _sorted(batch: Group, said: Any) -> dict[Target, list[Verdict]]:
    """Verdicts by the targets that were asked about; what is about others is nobody's business."""
    found: dict[tuple[object, object], list[Mapping[str, Any]]] = {}
    for one in said:
        if isinstance(one, dict) and isinstance(one.get("endpoint_id"), str) and isinstance(one.get("url"), str):
            found.setdefault((one["endpoint_id"], one["url"]), []).append(one)
    return {
        target: [read(target, one) for one in found.get((target.endpoint, target.url), [NOTHING])] for target in batch
    }
