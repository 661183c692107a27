"""EC2's endpoint connections: what they are now, and the calls that accept, reject and tag them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from linkgate.aws.calls import listed, parts, refusals
from linkgate.aws.errors import INDIVISIBLE, Refusal, ec2_errors, unreachable
from linkgate.model import Connection, State

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import (
        FilterTypeDef,
        TagTypeDef,
        UnsuccessfulItemTypeDef,
        VpcEndpointConnectionTypeDef,
    )

Act = Callable[[str, Sequence[str]], "list[UnsuccessfulItemTypeDef]"]

PER_CALL = 100
"""Connections that are judged and named in a call together; EC2 documents no maximum, this keeps answers small."""
FILTER_VALUES = 200
"""Values that one filter of a Describe may carry (EC2 API reference, "Filters")."""
PAGE = 1000
WAITING = "pendingAcceptance"
"""EC2's word for a connection that waits, as its filter `vpc-endpoint-state` takes it."""
LONGEST_STATE = 100
"""Characters that are kept of a state that nobody knows."""
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of a request of which EC2 says none: older than any other, so that it is not forgotten."""


@dataclass(slots=True)
class Shown:
    """What EC2 shows of one service: its endpoint connections, and the ids of what else is connected.

    `attachments` are transit gateway attachments (of Gateway Load Balancer services alone): they have no endpoint, so
    Linkgate counts and names them, and leaves them alone.
    """

    connections: list[Connection] = field(default_factory=list)
    attachments: list[str] = field(default_factory=list)


class Connections:
    """The endpoint connections of the account's services in this Region.

    They are described by service and picked out here: EC2 documents a filter by endpoint, but was seen to refuse it
    (`InvalidFilter: The filter vpc-endpoint-id is invalid`, terraform-provider-aws, internal/service/ec2/find.go).

    Raises Throttled when EC2 asks for fewer calls, Unavailable when it cannot be reached, and lets every other
    ClientError through: that is a wrong deployment (a missing permission), which waiting does not mend.
    """

    def __init__(self, ec2: "EC2Client") -> None:
        self._ec2 = ec2

    def of(self, services: Iterable[str]) -> dict[str, Shown]:
        """Everything that is connected to some services, in any state, by service."""
        shown = {service: Shown() for service in services}
        for one in self._described(sorted(shown)):
            if one.endpoint:
                shown[one.service].connections.append(one)
            else:
                shown[one.service].attachments.append(one.attachment)
        return shown

    def named(self, endpoints: Mapping[str, str], services: Iterable[str]) -> list[Connection]:
        """The connections of these endpoint ids among those of some services; those EC2 does not show are left out.

        `endpoints` gives the account of each, "" where nobody knows it: then it is a new one, and likely to wait.
        A service may have thousands of connections, so EC2 is asked for these accounts and for those that wait first.
        What that does not show is looked for among all of them: a filter that EC2 understands otherwise than documented
        costs a call, and hides nobody.
        """
        among, missing, found = sorted(set(services)), set(endpoints), list[Connection]()
        accounts = sorted({endpoints[endpoint] for endpoint in missing} - {""})
        narrow: list[FilterTypeDef] = [
            {"Name": "vpc-endpoint-owner", "Values": some} for some in parts(accounts, FILTER_VALUES)
        ]
        if "" in endpoints.values():
            narrow.append({"Name": "vpc-endpoint-state", "Values": [WAITING]})
        for filters in (*([one] for one in narrow), []):
            for one in self._described(among, *filters) if missing else ():
                if one.endpoint in missing:
                    missing.remove(one.endpoint)
                    found.append(one)
                if not missing:
                    break
        return found

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
        shown = self.named(dict.fromkeys(doubtful, ""), [service])
        done = {one.endpoint for one in shown if one.state in wanted}
        return {endpoint: why for endpoint, why in refused.items() if endpoint not in done}

    def _accept(self, service: str, endpoints: Sequence[str]) -> "list[UnsuccessfulItemTypeDef]":
        answer = self._ec2.accept_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=list(endpoints))
        return answer.get("Unsuccessful", [])

    def _reject(self, service: str, endpoints: Sequence[str]) -> "list[UnsuccessfulItemTypeDef]":
        answer = self._ec2.reject_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=list(endpoints))
        return answer.get("Unsuccessful", [])

    def _described(self, services: Sequence[str], *narrow: "FilterTypeDef") -> Iterator[Connection]:
        """What is connected to some services, a filter's worth of them in each Describe; attachments among it."""
        for some in parts(services, FILTER_VALUES):
            filters = [{"Name": "service-id", "Values": some}, *narrow]
            paginator = self._ec2.get_paginator("describe_vpc_endpoint_connections")
            asked = {"Filters": filters, "PaginationConfig": {"PageSize": PAGE}}
            yield from map(_connection, listed(paginator, "VpcEndpointConnections", **asked))


def _unsuccessful(endpoints: Sequence[str], items: "Iterable[UnsuccessfulItemTypeDef]") -> dict[str, Refusal]:
    """Refusals inside an answer, by endpoint. One that does not say whose it is may be anybody's."""
    refused = {item.get("ResourceId", ""): Refusal.read(item.get("Error")) for item in items}
    unnamed = [why for endpoint, why in refused.items() if endpoint not in endpoints]
    anybodys = dict.fromkeys(endpoints, unnamed[0]) if unnamed else {}
    return anybodys | {endpoint: why for endpoint, why in refused.items() if endpoint in endpoints}


def _connection(response: "VpcEndpointConnectionTypeDef") -> Connection:
    text = response.get("VpcEndpointState", "")
    state = State.read(text)
    return Connection(
        service=response["ServiceId"],
        endpoint=response.get("VpcEndpointId", ""),
        # Owners are digits; a JSON number on the way would have lost leading zeros.
        account=response["VpcEndpointOwner"].zfill(12) if response.get("VpcEndpointOwner") else "",
        region=response.get("VpcEndpointRegion", ""),
        state=state,
        created=response.get("CreationTimestamp", NEVER),
        dns_names=tuple(entry["DnsName"] for entry in response.get("DnsEntries", []) if "DnsName" in entry),
        connection_id=response.get("VpcEndpointConnectionId", ""),
        tags={tag["Key"]: tag.get("Value", "") for tag in response.get("Tags", []) if "Key" in tag},
        attachment=str(response.get("TransitGatewayAttachmentId", "")),
        raw_state=str(text)[:LONGEST_STATE] if state is State.UNKNOWN else "",
        ip_type=str(response.get("IpAddressType", "")),
    )
