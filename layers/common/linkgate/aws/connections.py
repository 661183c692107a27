"""EC2's endpoint connections: what they are now, and the calls that accept, reject and tag them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from linkgate.aws.calls import listed, parts, refusals
from linkgate.aws.errors import INDIVISIBLE, Refusal, ec2_errors, unreachable
from linkgate.model import Connection, State

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import TagTypeDef, UnsuccessfulItemTypeDef, VpcEndpointConnectionTypeDef

Act = Callable[[str, Sequence[str]], "list[UnsuccessfulItemTypeDef]"]

PER_CALL = 100
"""Connections that are judged and named in a call together; EC2 documents no maximum, this keeps answers small."""
FILTER_VALUES = 200
"""Values that one filter of a Describe may carry (EC2 API reference, "Filters")."""
ABREAST = 8
"""Describes that are under way together: a run may look at thousands, and EC2 takes its time for each call."""
PAGE = 1000
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of a request of which EC2 says none: older than any other, so that it is not forgotten."""


class Connections:
    """The endpoint connections of the account's services in this Region.

    Raises Throttled when EC2 asks for fewer calls, Unavailable when it cannot be reached, and lets every other
    ClientError through: that is a wrong deployment (a missing permission), which waiting does not mend.
    """

    def __init__(self, ec2: "EC2Client") -> None:
        self._ec2 = ec2

    def named(self, endpoints: Iterable[str]) -> list[Connection]:
        """The connections of these endpoint ids, whatever their service; those EC2 does not show are left out."""
        with ThreadPoolExecutor(ABREAST) as pool:
            asked = pool.map(
                lambda some: self._described("vpc-endpoint-id", some), parts(sorted(endpoints), FILTER_VALUES)
            )
            return [connection for some in asked for connection in some]

    def of(self, service: str) -> list[Connection]:
        """Every connection of one service, in any state."""
        return self._described("service-id", [service])

    def accept(self, service: str, endpoints: Sequence[str]) -> dict[str, Refusal]:
        """Accept connections of one service; returns what EC2 refused, by endpoint id.

        EC2 hides refusals in the `Unsuccessful` list of an answer with status 200; of a call refused as a whole, see
        `refusals`. What EC2 refused but shows as wanted (a repeated call, or somebody else's) is done. Raises
        Unavailable if EC2 does not answer: nobody knows then what it did.
        """
        return self._refused(self._accept, service, endpoints, State.PENDING, State.AVAILABLE, State.PARTIAL)

    def reject(self, service: str, endpoints: Sequence[str]) -> dict[str, Refusal]:
        """Reject connections of one service, live ones included; otherwise like `accept`."""
        return self._refused(self._reject, service, endpoints, State.REJECTED)

    def tag(self, connection_id: str, tags: Mapping[str, str]) -> str:
        """Write tags on a connection, over what they said before; returns EC2's refusal in words, "" if it has none."""
        pairs: list[TagTypeDef] = [{"Key": name, "Value": value} for name, value in tags.items()]
        try:
            with ec2_errors():
                self._ec2.create_tags(Resources=[connection_id], Tags=pairs)
        except ClientError as error:
            return str(Refusal.read(error.response["Error"]))
        return ""

    def _refused(self, act: Act, service: str, endpoints: Sequence[str], *wanted: State) -> dict[str, Refusal]:
        """What EC2 refused, but for what it shows as wanted."""

        def asked(some: Sequence[str]) -> dict[str, Refusal]:
            with unreachable():
                return _unsuccessful(some, act(service, some))

        refused = refusals(asked, endpoints)
        doubtful = [endpoint for endpoint, why in refused.items() if why.code not in INDIVISIBLE]
        done = {one.endpoint for one in self.named(doubtful) if one.service == service and one.state in wanted}
        return {endpoint: why for endpoint, why in refused.items() if endpoint not in done}

    def _accept(self, service: str, endpoints: Sequence[str]) -> "list[UnsuccessfulItemTypeDef]":
        answer = self._ec2.accept_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=list(endpoints))
        return answer.get("Unsuccessful", [])

    def _reject(self, service: str, endpoints: Sequence[str]) -> "list[UnsuccessfulItemTypeDef]":
        answer = self._ec2.reject_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=list(endpoints))
        return answer.get("Unsuccessful", [])

    def _described(self, name: str, values: Sequence[str]) -> list[Connection]:
        asked = {"Filters": [{"Name": name, "Values": values}], "PaginationConfig": {"PageSize": PAGE}}
        found = listed(self._ec2.get_paginator("describe_vpc_endpoint_connections"), "VpcEndpointConnections", **asked)
        return list(map(_connection, found))


def _unsuccessful(endpoints: Sequence[str], items: "Iterable[UnsuccessfulItemTypeDef]") -> dict[str, Refusal]:
    """Refusals inside an answer, by endpoint. One that does not say whose it is may be anybody's."""
    refused = {item.get("ResourceId", ""): Refusal.read(item.get("Error")) for item in items}
    unnamed = [why for endpoint, why in refused.items() if endpoint not in endpoints]
    anybodys = dict.fromkeys(endpoints, unnamed[0]) if unnamed else {}
    return anybodys | {endpoint: why for endpoint, why in refused.items() if endpoint in endpoints}


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
