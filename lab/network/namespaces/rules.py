"""A VPC's plan as a ruleset of nftables: this text is the data plane; everything else only serves it.

Packets to an endpoint are judged where they leave (chain `leave`), translated to a load balancer's node on the switch,
and there to a target. On both ways the sender's address is translated, too, so that equal CIDRs do not meet.
"""

from collections.abc import Iterable, Iterator

from lab.network.namespaces.fabric import BLOCK, CABLE
from lab.network.namespaces.plan import Door, Line, Plan

LOSS_PERCENT = 30


def ruleset(plan: Plan, address: str, lab_port: int, *, lossy: bool = False, deaf: bool = False) -> str:
    """The rules of a VPC with `address` on the switch, in place of those before.

    `lossy` drops LOSS_PERCENT of an endpoint's packets each way, `deaf` everything to the DNS server. `lab_port` is
    where outside the local AWS listens: a VPC without a way out gets no answer there, not even a refusal.
    """
    doors, lines = plan.doors, plan.lines
    ends = [door.address for door in doors]
    shut = [door.address for door in doors if not door.is_open]
    loss = [f"numgen random mod 100 < {LOSS_PERCENT} drop"] if lossy else []
    leave = [
        "ct direction reply accept",
        f"ip daddr {BLOCK} drop",
        f"ip daddr 127.0.0.1 tcp dport {lab_port} drop",
        *_for("ip daddr", sorted(plan.dark), ["drop"]),
        *_for("ip daddr", ends, loss),
        *_verdicts("ip daddr", (f"{door.address} : jump door{number}" for number, door in enumerate(doors))),
    ]
    enter = [
        *(["udp dport 53 drop"] if deaf else []),
        *_for("ct original ip daddr", shut, ["drop"]),
        *_for("ct original ip daddr", ends, loss),
    ]
    away = [f"{door.address} : {door.front}" for door in doors if door.front]
    nodes = [f"{front} : {node}" for front, node in plan.nodes.items()]
    balance = [f"{at} . {line.port} : goto line{number}" for number, line in enumerate(lines) for at in line.addresses]
    chains = {
        **{f"door{number}": list(_door(door)) for number, door in enumerate(doors)},
        **{f"line{number}": list(_line(line)) for number, line in enumerate(lines)},
        "balance": _verdicts("ip daddr . tcp dport", balance),
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


def _door(door: Door) -> Iterator[str]:
    """A security group is asked about new flows alone: it is stateful."""
    if door.is_open:
        yield "ct state established accept"
        for cidr, first, last in door.admitted:
            yield f"ip saddr {cidr} tcp dport {first}-{last} accept"
    yield "drop"


def _line(line: Line) -> Iterator[str]:
    if line.places is None:
        yield "drop"
    elif line.places:
        targets = ", ".join(f"{number} : {at} . {port}" for number, (at, port) in enumerate(line.places))
        yield f"meta l4proto tcp dnat ip to numgen inc mod {len(line.places)} map {{ {targets} }}"


def _for(what: str, addresses: Iterable[str], actions: Iterable[str]) -> list[str]:
    found = ", ".join(dict.fromkeys(addresses))
    return [f"{what} {{ {found} }} {action}" for action in actions] if found else []


def _verdicts(what: str, entries: Iterable[str]) -> list[str]:
    found = ", ".join(entries)
    return [f"{what} vmap {{ {found} }}"] if found else []


def _map(what: str, entries: Iterable[str]) -> list[str]:
    found = ", ".join(entries)
    return [f"{what} map {{ {found} }}"] if found else []
