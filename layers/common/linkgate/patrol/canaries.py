"""The canary functions, wherever they are: targets in, verdicts out, side by side, each within its time."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from linkgate.aws.errors import ec2_errors
from linkgate.errors import NotYet, Unavailable
from linkgate.health.targets import Target
from linkgate.health.verdict import LONGEST_TEXT, NOTHING, Verdict, read
from linkgate.patrol.run import Left
from linkgate.policy.canary import region_of

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

TARGETS_PER_CALL = 100
"""What a canary gets through within its time even if nothing answers."""
MOST_VERDICTS = 20
"""Of one target, of which a canary probes 16 addresses. A diagnosis compares all of an endpoint with each other."""
AT_ONCE = 16
LONGEST_CALL = 90
"""Seconds for a call, of which clients.PATIENT waits 73, and for recording what it gave."""
NOT_READY = frozenset({"ResourceConflictException", "ResourceNotReadyException"})
"""What Invoke says of a function that is `Pending`, or was `Inactive` and is being made ready by this very call.

Lambda takes a function's network interface away when nobody invoked it for some weeks (Lambda developer guide,
"Giving Lambda functions access to resources in an Amazon VPC").
"""
Group = Sequence[Target]
"""The targets of one endpoint, which stay together."""


class Answers(NamedTuple):
    """Verdicts by endpoint, and why one canary or another gave none about its targets."""

    verdicts: dict[str, list[Verdict]]
    absent: dict[str, Exception]


class Canaries:
    """The canary functions. `own` is the name of the stack's own, "" if it has none."""

    def __init__(self, functions: "Callable[[str], LambdaClient]", own: str) -> None:
        self._functions = functions
        self.own = own

    def probe(self, jobs: Mapping[str, Sequence[Group]], left: Left) -> Answers:
        """Invoke canaries, by name or ARN, with groups of targets. Targets of a canary that fails have no verdict.

        Every other target has one at least: `probe_error` where the canary says nothing about it. No call begins that
        might outlast what is `left`.
        """
        clients, alone = dict[str, "LambdaClient"](), Lock()

        def call(canary: str, batch: Group) -> dict[str, list[Verdict]]:
            if left() < LONGEST_CALL:
                raise Unavailable(f"no time is left to invoke the canary {canary}")
            region = region_of(canary)
            with alone:  # boto3's session is not thread-safe, its clients are
                clients[region] = clients.get(region) or self._functions(region)
            payload = _invoked(clients[region], canary, batch)
            with alone:  # what is read is thirty times as large, and then mostly thrown away
                return _sorted(batch, _verdicts(canary, payload))

        result = Answers({}, {})
        with ThreadPoolExecutor(AT_ONCE) as pool:
            futures = [(canary, pool.submit(call, canary, batch)) for canary, batch in self._calls(jobs)]
            for canary, future in futures:
                try:
                    result.verdicts.update(future.result())
                except Exception as error:
                    result.absent[canary] = error
        return result

    def wake(self) -> dict[str, Exception]:
        """Invoke our own canary with nothing to probe, so that it does not sleep; by its name, why that failed."""
        try:
            _invoked(self._functions(region_of(self.own)), self.own, ())
        except Exception as error:
            return {self.own: error}
        return {}

    def _calls(self, jobs: Mapping[str, Sequence[Group]]) -> list[tuple[str, Group]]:
        """Every canary's first call, our own before all, then the second ones: none that hangs keeps others waiting."""
        canaries = sorted(jobs, key=lambda canary: canary != self.own)
        calls = ([(canary, batch) for batch in _batches(jobs[canary])] for canary in canaries)
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
    """What a canary answers; raises Unavailable in its own words where it failed, NotYet where it sleeps."""
    asked = json.dumps({"targets": [target.payload() for target in batch]})
    try:
        with ec2_errors():
            answer = client.invoke(FunctionName=canary, Payload=asked)
            payload = answer["Payload"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in NOT_READY:
            raise NotYet(f"the canary {canary} is not ready yet: {error}") from error
        raise
    if answer.get("FunctionError"):
        raise Unavailable(f"the canary {canary} failed: {_words(payload)}")
    return payload


def _verdicts(canary: str, payload: bytes) -> list[object]:
    """The verdicts in an answer; raises Unavailable where there are none."""
    try:
        answer = json.loads(payload)
    except (ValueError, RecursionError):
        answer = None
    verdicts = answer.get("verdicts") if isinstance(answer, dict) else None
    if not isinstance(verdicts, list):
        raise Unavailable(f"the canary {canary} answered no verdicts: {_words(payload)}")
    return verdicts


def _words(payload: bytes) -> str:
    return payload[:LONGEST_TEXT].decode(errors="replace")


def _sorted(batch: Group, verdicts: Sequence[object]) -> dict[str, list[Verdict]]:
    """Verdicts by endpoint, on the targets that were asked about; those on others are ignored."""
    found: dict[tuple[object, object], list[Mapping[str, Any]]]
    found = {(target.endpoint, target.url): [] for target in batch}
    for one in verdicts:
        if isinstance(one, dict) and isinstance(one.get("endpoint_id"), str) and isinstance(one.get("url"), str):
            mine = found.get((one["endpoint_id"], one["url"]))
            if mine is not None and len(mine) < MOST_VERDICTS:
                mine.append(one)
    by_endpoint = defaultdict[str, list[Verdict]](list)
    for target in batch:
        by_endpoint[target.endpoint] += [read(target, one) for one in found[target.endpoint, target.url] or [NOTHING]]
    return by_endpoint
