"""Loopback addresses instead of private ones: each VPC a block of its own, each endpoint and subnet one address.

Blocks do not overlap although the VPCs' CIDRs may. The addresses stay the same as long as the lab runs.
"""

import ipaddress
import itertools
import socket

from lab.network.topology import Vpc

_CLAIM_PORT = 53533
_LAB_PREFIX = 12
_VPC_PREFIX = 22
_FIRST_ENDPOINT = 16
"""Offset in a VPC's block of the first endpoint; below it are the VPC's own, such as its resolver at 2, as on AWS."""


class AddressError(Exception):
    """There is no loopback address left; the message says of what."""


class Addresses:
    """The loopback addresses of one lab: 127.16.0.0/12, or the next /12 if another lab on this machine has it.

    A lab has blocks for 1023 VPCs with 1007 addresses each, which are not used again when an endpoint is gone.
    Raises AddressError if all 15 blocks are taken, or if the
    system has no loopback addresses but 127.0.0.1 (as macOS, unless they are added to lo0 as aliases).
    """

    def __init__(self) -> None:
        self._claim, self._block = _claim_block()
        # The first subnet of the block is the plane's own.
        self._free = itertools.islice(self._block.subnets(new_prefix=_VPC_PREFIX), 1, None)
        self._vpcs: dict[Vpc, ipaddress.IPv4Network] = {}
        self._endpoints: dict[tuple[Vpc, str, str], str] = {}
        self._used: dict[Vpc, int] = {}

    @property
    def own(self) -> str:
        """The address of the plane's own sockets, which is in no VPC."""
        return str(self._block[1])

    def vpc(self, vpc: Vpc) -> ipaddress.IPv4Network:
        """The block of a VPC."""
        if vpc not in self._vpcs:
            block = next(self._free, None)
            if block is None:
                raise AddressError(f"no loopback block left for {vpc.vpc_id}: this lab has {len(self._vpcs)} VPCs")
            self._vpcs[vpc] = block
        return self._vpcs[vpc]

    def resolver(self, vpc: Vpc) -> str:
        """The address of a VPC's DNS server: base plus two, as on AWS."""
        return str(self.vpc(vpc)[2])

    def endpoint(self, vpc: Vpc, endpoint_id: str, subnet_id: str) -> str:
        """The address of an endpoint in a subnet."""
        key = (vpc, endpoint_id, subnet_id)
        if key not in self._endpoints:
            block = self.vpc(vpc)
            offset = self._used.get(vpc, _FIRST_ENDPOINT)
            if offset >= block.num_addresses - 1:
                raise AddressError(f"no loopback address left in {vpc.vpc_id} for {endpoint_id}")
            self._used[vpc] = offset + 1
            self._endpoints[key] = str(block[offset])
        return self._endpoints[key]

    def release(self) -> None:
        """Let another lab have the block."""
        self._claim.close()


def _claim_block() -> tuple[socket.socket, ipaddress.IPv4Network]:
    """The first /12 of 127.0.0.0/8 (after that of 127.0.0.1) which no other lab holds; held by a bound socket."""
    blocks = ipaddress.IPv4Network("127.0.0.0/8").subnets(new_prefix=_LAB_PREFIX)
    for block in itertools.islice(blocks, 1, None):
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind((str(block[1]), _CLAIM_PORT))
        except OSError as error:
            claim.close()
            last = error
        else:
            return claim, block
    raise AddressError(f"no free loopback block among 127.16.0.0/12 to 127.240.0.0/12: {last}")
