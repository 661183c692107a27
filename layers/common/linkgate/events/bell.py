"""Bells: an event says where to look, and nothing else. Ids are found by their pattern, never by field names.

The body of an EC2 connection notification is not documented, and CloudTrail turns XML into JSON in ways that
depend on the number of elements (lists or objects, "" for empty, numbers for account ids); ids survive all that.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

ENDPOINT_ID = re.compile(r"vpce-[0-9a-f]{8,17}(?![0-9a-z])")
SERVICE_ID = re.compile(r"vpce-svc-[0-9a-f]{8,17}(?![0-9a-z])")
CLOUDTRAIL = "AWS API Call via CloudTrail"
CLOUDTRAIL_ORIGIN = "CloudTrail"
CREATE, DELETE = "CreateVpcEndpoint", "DeleteVpcEndpoints"
BELL = "Bell"
ENDPOINTS_PER_BELL = 500


@dataclass(frozen=True, slots=True)
class Bell:
    """Where to look. Endpoints if it names any; else the whole of its services; else every managed service.

    `origin` says for the ledger where the bell comes from; `attempt` counts the delayed repeats of the same question,
    `absent` the looks in a row that did not show its endpoints; `readable` is False where a notification should have
    named something and did not.
    """

    endpoints: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    origin: str = ""
    attempt: int = 0
    absent: int = 0
    readable: bool = True

    @property
    def everything(self) -> bool:
        """Whether it names nothing: then every managed service is looked at."""
        return not self.endpoints and not self.services and not self.foreign

    @property
    def foreign(self) -> bool:
        """Whether somebody created an endpoint of AWS's own services, of a resource or a service network.

        Whoever asks for an endpoint service names its id.
        """
        return self.origin.startswith(f"{CLOUDTRAIL_ORIGIN} {CREATE}") and not self.services

    @property
    def deletion(self) -> bool:
        """Whether somebody deleted its endpoints: one that the ledger never knew is nothing to look for."""
        return self.origin.startswith(f"{CLOUDTRAIL_ORIGIN} {DELETE}")

    def again(self, endpoints: frozenset[str], absent: bool = False) -> "Bell":
        """The same bell for some endpoints, to be sent later; `absent` if this look did not show them."""
        return Bell(endpoints, self.services, self.origin, self.attempt + 1, self.absent + 1 if absent else 0)

    def event(self) -> dict[str, object]:
        """The bell in the form of an event, as `parse` reads it."""
        detail = {
            "endpoints": sorted(self.endpoints),
            "services": sorted(self.services),
            "origin": self.origin,
            "attempt": self.attempt,
            "absent": self.absent,
        }
        return {"source": "linkgate", "detail-type": BELL, "detail": detail}


def chunks(endpoints: Iterable[str], size: int = ENDPOINTS_PER_BELL) -> Iterator[frozenset[str]]:
    """Endpoints, in their order, in parts that one bell carries, some 12 KB of the 256 that a message holds."""
    rest = iter(endpoints)
    while some := frozenset(islice(rest, size)):
        yield some


def parse(body: str) -> Bell:
    """Read the body of a message in the bell queue: an EventBridge event, a bell of our own, or anything at all."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, Mapping):
        return _find(body, "unknown message")
    detail, kind = event.get("detail"), str(event.get("detail-type", ""))
    if kind == BELL and isinstance(detail, Mapping):
        found = _find(
            json.dumps([detail.get("endpoints"), detail.get("services")]),
            str(detail.get("origin") or detail.get("cause", "")),
        )
        return replace(found, attempt=_count(detail, "attempt"), absent=_count(detail, "absent"), readable=True)
    if kind == CLOUDTRAIL and isinstance(detail, Mapping):
        # detail.vpcEndpointId is the endpoint that the API request came through, not the one it is about.
        spoken = json.dumps([detail.get("requestParameters"), detail.get("responseElements")])
        found = _find(spoken, f"{CLOUDTRAIL_ORIGIN} {detail.get('eventName', '')} {_caller(detail)}".strip())
        # A call that was refused may have nothing to name.
        return replace(found, readable=found.readable or found.foreign or bool(detail.get("errorCode")))
    return _find(json.dumps(detail) if detail is not None else body, kind or "unknown message")


def who(origin: str, act: str = "Accept|Reject") -> str:
    """Who called Accept or Reject, by the origin of CloudTrail's bell; "" where it does not say."""
    match = re.fullmatch(rf"{CLOUDTRAIL_ORIGIN} (?:{act})VpcEndpointConnections (\S+)", origin)
    return match[1] if match else ""


def _count(detail: Mapping[str, object], name: str) -> int:
    value = detail.get(name)
    return max(0, value) if isinstance(value, int) else 0


def _find(text: str, origin: str) -> Bell:
    endpoints, services = frozenset(ENDPOINT_ID.findall(text)), frozenset(SERVICE_ID.findall(text))
    return Bell(endpoints, services, origin, readable=bool(endpoints or services))


def _caller(detail: Mapping[str, object]) -> str:
    identity = detail.get("userIdentity")
    return str(identity.get("arn", "")) if isinstance(identity, Mapping) else ""
