"""What passed through endpoints in a minute, by the kernel's list of each VPC's flows: for AWS/PrivateLinkServices."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from lab.network.plane import Usage
from lab.privatelink.rules.model import Endpoint

FLOWS = "/proc/thread-self/net/nf_conntrack"
ACCOUNTING = "/proc/sys/net/netfilter/nf_conntrack_acct"
"""Whether flows have bytes; each namespace has its own."""
_FLOW = re.compile(
    r" tcp +6 (?:\d+ )?([A-Z_0-9]+ )?(src=\S+ dst=(\S+) sport=\d+ dport=\d+) .*?bytes=(\d+) .*?bytes=(\d+)"
)
ACTIVE = frozenset({"SYN_SENT", "ESTABLISHED"})
"""What AWS counts as an active connection."""


class Flow(NamedTuple):
    """One TCP flow: its ends, where it goes, whether it is active, and bytes both ways so far."""

    ends: str
    address: str
    active: bool
    bytes: int


def flows(text: str) -> Iterator[Flow]:
    """The flows that the kernel lists."""
    for line in text.splitlines():
        if found := _FLOW.search(line):
            state, ends, address, sent, answered = found.groups()
            yield Flow(ends, address, (state or "").strip() in ACTIVE, int(sent) + int(answered))


class Meter:
    """Remembers how far each flow of a VPC was, so that bytes are counted once."""

    def __init__(self) -> None:
        self._before: Mapping[str, int] = {}

    def usage(self, text: str, endpoints: Iterable[Endpoint]) -> Iterator[Usage]:
        """What passed since the last call, for each endpoint with traffic; AWS tells nothing of another Region's."""
        seen = list(flows(text))
        before, self._before = self._before, {one.ends: one.bytes for one in seen}
        for endpoint in endpoints:
            addresses = {address.ip for address in endpoint.addresses}
            mine = [one for one in seen if one.address in addresses]
            # Ends are used again: a flow with fewer bytes than before is another one.
            passed = sum(one.bytes - (was if (was := before.get(one.ends, 0)) <= one.bytes else 0) for one in mine)
            at_home = any(arn.split(":")[3] == endpoint.region for arn in endpoint.load_balancer_arns)
            if passed and at_home:
                active = sum(one.active for one in mine)
                yield Usage(
                    endpoint.service_owner, endpoint.region, endpoint.service_id, endpoint.endpoint_id, active, passed
                )
