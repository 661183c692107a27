"""Addresses of a subnet."""

import ipaddress
from collections.abc import Container

from lab.privatelink.rules.model import Refusal


def free_address(cidr: str, taken: Container[str]) -> str:
    """The lowest address of the subnet `cidr` that is not in `taken`.

    AWS keeps the first four addresses and the last one of every subnet for itself (VPC guide, "Subnet sizing").
    It hands out the others in no documented order; here it is from below, so that who picks from above collides
    last. Raises Refusal InsufficientFreeAddressesInSubnet.
    """
    network = ipaddress.IPv4Network(cidr)
    for offset in range(4, network.num_addresses - 1):
        address = str(network[offset])
        if address not in taken:
            return address
    raise Refusal(
        "InsufficientFreeAddressesInSubnet",
        "The specified subnet does not have enough free addresses to satisfy the request.",
    )
