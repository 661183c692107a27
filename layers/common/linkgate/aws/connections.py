"""EC2's endpoint connections: what they are now, and telling EC2 to accept or reject them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from linkgate.aws.errors import INDIVISIBLE, ec2_errors, unreachable
from linkgate.model import Connection, State

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import (
        FilterTypeDef,
        TagTypeDef,
        UnsuccessfulItemTypeDef,
        VpcEndpointConnectionTypeDef,
    )

Tell = Callable[[str, Sequence[str]], "list[UnsuccessfulItemTypeDef]"]

PER_CALL = 100
"""Connections that are judged and told EC2 of together; it documents no maximum, a hundred keeps answers small."""
FILTER_VALUES = 200
"""Values that one filter of a Describe may carry (EC2 API reference, "Filters")."""
ABREAST = 8
"""Describes that are under way together: a run may look at thousands, and EC2 takes its time for each call."""
PAGE = 1000
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of a request of which EC2 tells none: older than any other, so that it is not forgotten."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """EC2 did not do what it was told for one endpoint: its own code and words."""

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Connections:
    """The endpoint connections of the account's services in this Region.

    Raises Throttled when EC2 asks for fewer calls, Unavailable when it cannot be reached, and lets every other
    ClientError through: that is a wrong deployment (a missing permission), which waiting does not mend.
    """

    def __init__(self, ec2: "EC2Client") -> None:
        self._ec2 = ec2

    def named(self, endpoints: Iterable[str]) -> list[Connection]:
        """The connections of these endpoint ids, whatever their service; those EC2 does not show are left out."""
        wanted = sorted(endpoints)
        parts = [wanted[start : start + FILTER_VALUES] for start in range(0, len(wanted), FILTER_VALUES)]
        filters: list[FilterTypeDef] = [{"Name": "vpc-endpoint-id", "Values": part} for part in parts]
        with ThreadPoolExecutor(ABREAST) as pool:
            found = pool.map(lambda one: list(self._describe([one])), filters)
            return [connection for some in found for connection in some]

    def of(self, service: str) -> list[Connection]:
        """Every connection of one service, in any state."""
        return list(self._describe([{"Name": "service-id", "Values": [service]}]))

    def accept(self, service: str, endpoints: Sequence[str]) -> dict[str, Refusal]:
        """Accept connections of one service; returns what EC2 refused, by endpoint id.

        EC2 hides refusals in the `Unsuccessful` list of an answer with status 200. Where it refuses the whole
        list, the list is halved until the culprit is alone, so that one bad id holds nobody else up. A call refused
        for want of a permission is a refusal of each endpoint. What EC2 refused but shows as wanted (a repeated call,
        or somebody else's) is done. Raises Unavailable if EC2 does not answer: nobody knows then what it did.
        """
        refused = self._refused(self._accept, service, endpoints)
        return self._but(refused, service, State.PENDING, State.AVAILABLE, State.PARTIAL)

    def reject(self, service: str, endpoints: Sequence[str]) -> dict[str, Refusal]:
        """Reject connections of one service, live ones included; otherwise like `accept`."""
        return self._but(self._refused(self._reject, service, endpoints), service, State.REJECTED)

    def _but(self, refused: Mapping[str, Refusal], service: str, *wanted: State) -> dict[str, Refusal]:
        """What was refused, but for what EC2 shows as wanted."""
        doubtful = [endpoint for endpoint, why in refused.items() if why.code not in INDIVISIBLE]
        done = {one.endpoint for one in self.named(doubtful) if one.service == service and one.state in wanted}
        return {endpoint: why for endpoint, why in refused.items() if endpoint not in done}

    def tag(self, connection_id: str, tags: Mapping[str, str]) -> str:
        """Write tags on a connection, over what they said before; returns EC2's refusal in words, "" if it has none."""
        pairs: list[TagTypeDef] = [{"Key": name, "Value": value} for name, value in tags.items()]
        try:
            with ec2_errors():
                self._ec2.create_tags(Resources=[connection_id], Tags=pairs)
        except ClientError as error:
            return str(_refusal(error.response["Error"]))
        return ""

    def _refused(self, publish: Tell, service: str, endpoints: Sequence[str]) -> dict[str, Refusal]:
        try:
            with unreachable():
                unsuccessful = publish(service, endpoints)
        except ClientError as error:
            why = _refusal(error.response["Error"])
            if why.code in INDIVISIBLE or len(endpoints) == 1:
                return dict.fromkeys(endpoints, why)
            half = len(endpoints) // 2
            parts = (endpoints[:half], endpoints[half:])
            return {one: why for part in parts for one, why in self._refused(publish, service, part).items()}
        refused = {item.get("ResourceId", ""): _refusal(item.get("Error", {})) for item in unsuccessful}
        strangers = [why for endpoint, why in refused.items() if endpoint not in endpoints]
        # A refusal that does not say whose it is may be anybody's.
        nobodys = dict.fromkeys(endpoints, strangers[0]) if strangers else {}
        return nobodys | {endpoint: why for endpoint, why in refused.items() if endpoint in endpoints}

    def _accept(self, service: str, endpoints: Sequence[str]) -> "list[UnsuccessfulItemTypeDef]":
        answer = self._ec2.accept_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=list(endpoints))
        return answer.get("Unsuccessful", [])

    def _reject(self, service: str, endpoints: Sequence[str]) -> "list[UnsuccessfulItemTypeDef]":
        answer = self._ec2.reject_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=list(endpoints))
        return answer.get("Unsuccessful", [])

    def _describe(self, filters: "list[FilterTypeDef]") -> Iterator[Connection]:
        with ec2_errors():
            pages = self._ec2.get_paginator("describe_vpc_endpoint_connections").paginate(
                Filters=filters, PaginationConfig={"PageSize": PAGE}
            )
            for page in pages:
                yield from map(_connection, page.get("VpcEndpointConnections", []))


def _refusal(error: object) -> Refusal:
    fields = error if isinstance(error, dict) else {}
    return Refusal(str(fields.get("Code", "")), str(fields.get("Message", "")))


def _connection(response: "VpcEndpointConnectionTypeDef") -> Connection:
    return Connection(
        service=response["ServiceId"],
        endpoint=response["VpcEndpointId"],
        # Owners are digits; a JSON number on the way would have lost leading zeros.
        owner=response["VpcEndpointOwner"].zfill(12) if response.get("VpcEndpointOwner") else "",
        region=response.get("VpcEndpointRegion", ""),
        state=State.read(response.get("VpcEndpointState", "")),
        created=response.get("CreationTimestamp", NEVER),
        dns_names=tuple(entry["DnsName"] for entry in response.get("DnsEntries", []) if "DnsName" in entry),
        connection_id=response.get("VpcEndpointConnectionId", ""),
        tags={tag["Key"]: tag.get("Value", "") for tag in response.get("Tags", []) if "Key" in tag},
    )
