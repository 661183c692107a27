"""A VPC's plan as a ruleset of nftables: the kernel forwards, drops and translates packets by it.

Packets to an endpoint are filtered where they leave (chain `leave`), translated to a load balancer's node on the
switch, and there to a target. On both ways the sender's address is translated, too, so that equal CIDRs do not meet.
"""

from collections.abc import Iterable, Iterator

from lab.network.namespaces.fabric import BLOCK, CABLE
from lab.network.namespaces.plan import Forward, Interface, Plan

LOSS_PERCENT = 30
LONGEST = 600
"""Bytes of a packet that pass a path whose MTU nobody tells: less than a certificate has, more than a short answer."""


def ruleset(
    plan: Plan,
    address: str,
    lab_port: int,
    *,
    lossy: bool = False,
    dns_down: bool = False,
    narrow: bool = False,
    mute: bool = False,
) -> str:
    """The rules of a VPC with `address` on the switch, in place of those before.

    `lossy` drops LOSS_PERCENT of an endpoint's packets each way, `dns_down` everything to the DNS server, `narrow` what
    an endpoint sends that is longer than LONGEST, `mute` all that it sends. `lab_port` is where the local AWS listens
    outside: a VPC gets no answer there, not even a refusal.
    """
    interfaces, forwards = plan.interfaces, plan.forwards
    ends = [one.address for one in interfaces]
    closed = [one.address for one in interfaces if not one.is_open]
    loss = [f"numgen random mod 100 < {LOSS_PERCENT} drop"] if lossy else []
    leave = [
        "ct direction reply accept",
        f"ip daddr {BLOCK} drop",
        f"ip daddr 127.0.0.1 tcp dport {lab_port} drop",
        *_for("ip daddr", sorted(plan.down), ["drop"]),
        *_for("ip daddr", ends, loss),
        *_verdict_map("ip daddr", (f"{one.address} : jump interface{n}" for n, one in enumerate(interfaces))),
    ]
    enter = [
        *(["udp dport 53 drop"] if dns_down else []),
        *_for("ct original ip daddr", closed, ["drop"]),
        *_for("ct original ip daddr", ends, loss),
        *_for("ct original ip daddr", ends if narrow else (), [f"ip length > {LONGEST} drop"]),
        *_for("ct original ip daddr", ends if mute else (), ["drop"]),
    ]
    away = [f"{one.address} : {one.front}" for one in interfaces if one.front]
    nodes = [f"{front} : {node}" for front, node in plan.nodes.items()]
    balance = [f"{at} . {one.port} : goto forward{n}" for n, one in enumerate(forwards) for at in one.addresses]
    chains = {
        **{f"interface{n}": list(_interface(one)) for n, one in enumerate(interfaces)},
        **{f"forward{n}": list(_forward(one)) for n, one in enumerate(forwards)},
        "balance": _verdict_map("ip daddr . tcp dport", balance),
        "leave": ["type filter hook output priority mangle;", *leave],
        "enter": ["type filter hook input priority 150;", *enter],
        "translate": ["type nat hook output priority -100;", *_map("dnat to ip daddr", away), "jump balance"],
        "arrive": ["type nat hook prerouting priority -100;", "jump balance"],
        "depart": ["type nat hook postrouting priority 100;", f'oifname "{CABLE}" ct status dnat snat to {address}'],
        "hand": ["type nat hook input priority 100;", *_map("ct status dnat snat to ct original ip daddr", nodes)],
    }
    return (
        "table ip lab\ndelete table ip lab\ntable ip lab {\n" + "".join(_chain(*one) for one in chains.items()) + "}\n"
    )


def _chain(name: str, rules: Iterable[str]) -> str:
    return f"  chain {name} {{\n" + "".join(f"    {rule}\n" for rule in rules) + "  }\n"


def _interface(interface: Interface) -> Iterator[str]:
    """A security group is asked about new flows alone: it is stateful."""
    if interface.is_open:
        yield "ct state established accept"
        for cidr, first, last in interface.admitted:
            yield f"ip saddr {cidr} tcp dport {first}-{last} accept"
    yield "drop"


def _forward(forward: Forward) -> Iterator[str]:
    if forward.places is None:
        yield "drop"
    elif forward.places:
        targets = ", ".join(f"{number} : {at} . {port}" for number, (at, port) in enumerate(forward.places))
        yield f"meta l4proto tcp dnat ip to numgen inc mod {len(forward.places)} map {{ {targets} }}"


def _for(what: str, addresses: Iterable[str], actions: Iterable[str]) -> list[str]:
    found = ", ".join(dict.fromkeys(addresses))
    return [f"{what} {{ {found} }} {action}" for action in actions] if found else []


def _verdict_map(what: str, entries: Iterable[str]) -> list[str]:
    found = ", ".join(entries)
    return [f"{what} vmap {{ {found} }}"] if found else []


def _map(what: str, entries: Iterable[str]) -> list[str]:
    found = ", ".join(entries)
    return [f"{what} map {{ {found} }}"] if found else []
