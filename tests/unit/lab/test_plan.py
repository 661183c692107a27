"""What VPCs' namespaces must do, from the control plane's state alone; the kernel does it in tests/integration."""

from dataclasses import replace

import pytest

from lab.network.namespaces.plan import Forward, Host, Interface, Plan, complaints, plans, reached
from lab.network.namespaces.rules import ruleset
from lab.network.topology import Admission, Balancer, Check, Listener, Target, Topology, Vpc
from lab.privatelink.rules.model import Address, Endpoint

NLB = "arn:aws:elasticloadbalancing:eu-west-1:111111111111:loadbalancer/net/shop/1"
PROVIDER, CONSUMER = Vpc("111111111111", "vpc-1"), Vpc("222222222222", "vpc-2")
RULE = Admission("10.2.0.0/16", 80, 80)
SHOP = Endpoint(
    endpoint_id="vpce-1",
    owner=CONSUMER.owner,
    region="eu-west-1",
    vpc_id=CONSUMER.vpc_id,
    service_id="vpce-svc-1",
    service_owner=PROVIDER.owner,
    load_balancer_arns=(NLB,),
    state="available",
    dns_names=(),
    addresses=(
        Address("subnet-a", "eu-west-1a", "10.2.1.4", "eni-a"),
        Address("subnet-b", "eu-west-1b", "10.2.2.4", "eni-b"),
    ),
    security_group_ids=("sg-1",),
    private_dns_name=None,
)
NODES = (Address("subnet-c", "eu-west-1a", "10.1.1.4", "eni-c"), Address("subnet-d", "eu-west-1b", "10.1.2.4", "eni-d"))
A, B = Target("i-a", 80, True, "10.1.1.5", "eu-west-1a", True), Target("i-b", 80, True, "10.1.2.5", "eu-west-1b", True)
TOPOLOGY = Topology(
    endpoints=(SHOP,),
    listeners=(Listener(NLB, 80, (A, B), Check("HTTP")),),
    balancers=(Balancer(NLB, "shop", PROVIDER, NODES, names=("shop.example.com",)),),
    groups={"sg-1": (RULE,)},
)
FRONTS = {(NLB, "eu-west-1a"): "198.19.0.1", (NLB, "eu-west-1b"): "198.19.0.2"}


def made(topology: Topology = TOPOLOGY, down: str = "", sick: tuple[Target, ...] = ()) -> dict[Vpc, Plan]:
    return plans(topology, lambda vpc, target, check: target not in sick, {down}, FRONTS.__getitem__)


def interfaces(topology: Topology = TOPOLOGY, down: str = "") -> list[Interface]:
    return made(topology, down)[CONSUMER].interfaces


def with_endpoint(**changes: object) -> Topology:
    return replace(TOPOLOGY, endpoints=(replace(SHOP, **changes),))  # type: ignore[arg-type]


# Endpoints


def test_each_address_of_an_available_endpoint_leads_to_the_node_of_its_zone() -> None:
    assert interfaces() == [
        Interface("10.2.1.4", True, (RULE,), "198.19.0.1"),
        Interface("10.2.2.4", True, (RULE,), "198.19.0.2"),
    ]


@pytest.mark.parametrize("state", ["pendingAcceptance", "pending", "rejected", "deleting", "failed"])
def test_every_address_is_closed_unless_the_state_is_available(state: str) -> None:
    assert [one.is_open for one in interfaces(with_endpoint(state=state))] == [False, False]


def test_an_address_in_a_zone_without_a_load_balancer_is_closed() -> None:
    alone = replace(TOPOLOGY, balancers=(replace(TOPOLOGY.balancers[0], addresses=NODES[:1]),))
    assert [one.is_open for one in interfaces(alone)] == [True, False]


def test_an_endpoint_without_a_group_of_any_rule_admits_nobody() -> None:
    assert [one.admitted for one in interfaces(with_endpoint(security_group_ids=("sg-2",)))] == [(), ()]


def test_an_endpoint_beside_its_own_load_balancer_needs_no_way_out() -> None:
    beside = with_endpoint(owner=PROVIDER.owner, vpc_id=PROVIDER.vpc_id)
    plan = made(beside)[PROVIDER]
    assert [(one.is_open, one.front) for one in plan.interfaces] == [(True, None), (True, None)]
    assert [one.addresses for one in plan.forwards] == [
        ("10.1.1.4", "198.19.0.1", "10.2.1.4"),
        ("10.1.2.4", "198.19.0.2", "10.2.2.4"),
    ]


# Load balancers


def forwards(topology: Topology = TOPOLOGY, down: str = "", sick: tuple[Target, ...] = ()) -> list[Forward]:
    return made(topology, down, sick)[PROVIDER].forwards


def test_a_node_uses_the_targets_of_its_zone() -> None:
    assert [one.places for one in forwards()] == [(("10.1.1.5", 80),), (("10.1.2.5", 80),)]


def test_with_cross_zone_balancing_a_node_uses_the_targets_of_every_zone() -> None:
    across = replace(TOPOLOGY, balancers=(replace(TOPOLOGY.balancers[0], cross_zone=True),))
    assert [one.places for one in forwards(across)] == [(("10.1.1.5", 80), ("10.1.2.5", 80))] * 2
    assert [one.places for one in forwards(across, sick=(A,))] == [(("10.1.2.5", 80),)] * 2


def test_a_zone_without_a_healthy_target_drops_while_another_has_one() -> None:
    assert [one.places for one in forwards(sick=(A,))] == [None, (("10.1.2.5", 80),)]


def test_where_every_target_is_sick_all_are_used() -> None:
    assert forwards(sick=(A, B)) == forwards()


def test_where_no_target_runs_every_node_resets() -> None:
    stopped = tuple(replace(target, up=False, served=False) for target in (A, B))
    halted = replace(TOPOLOGY, listeners=(replace(TOPOLOGY.listeners[0], targets=stopped),))
    assert [one.places for one in forwards(halted)] == [(), ()]
    assert made(halted)[PROVIDER].hosts == set()


@pytest.mark.parametrize("cross_zone", [True, False])
def test_no_target_is_chosen_among_none(cross_zone: bool) -> None:
    assert reached((), "eu-west-1a", cross_zone, lambda target: True) == ()


def test_a_target_checked_over_https_serves_https_for_the_services_names() -> None:
    plain, secure = made()[PROVIDER].hosts, Check("HTTPS")
    assert {host.names for host in plain} == {None}
    topology = replace(TOPOLOGY, listeners=(replace(TOPOLOGY.listeners[0], check=secure),))
    assert Host("i-a", ("10.1.1.5", 80), ("shop.example.com",)) in made(topology)[PROVIDER].hosts


def test_a_server_answers_at_the_port_of_its_health_check_too() -> None:
    topology = replace(TOPOLOGY, listeners=(Listener(NLB, 80, (A,), Check("HTTP", port=8081)),))
    assert {host.place for host in made(topology)[PROVIDER].hosts} == {("10.1.1.5", 80), ("10.1.1.5", 8081)}


def test_an_address_that_is_no_instances_is_a_target_without_a_server() -> None:
    elsewhere = Target("10.1.9.9", 80, True, "10.1.9.9", "eu-west-1a")
    topology = replace(TOPOLOGY, listeners=(Listener(NLB, 80, (elsewhere,)),))
    assert made(topology)[PROVIDER].hosts == set()


def test_a_load_balancer_without_a_listener_is_complained_of_once_an_endpoint_needs_it() -> None:
    bare = replace(TOPOLOGY, listeners=())
    assert complaints(bare) == [f"load balancer {NLB} has no TCP listener: every connection to vpce-svc-1 is reset"]
    assert complaints(replace(bare, endpoints=())) == complaints(TOPOLOGY) == []


# A zone that is down


def test_in_a_zone_that_is_down_endpoints_nodes_and_servers_drop_everything() -> None:
    across = replace(TOPOLOGY, balancers=(replace(TOPOLOGY.balancers[0], cross_zone=True),))
    for topology in (TOPOLOGY, across):
        assert [one.is_open for one in interfaces(topology, "eu-west-1a")] == [False, True]
        assert [one.places for one in forwards(topology, "eu-west-1a")] == [None, (("10.1.2.5", 80),)]
        assert made(topology, "eu-west-1a")[PROVIDER].down == {"10.1.1.5"}


# The kernel's text


def chain(rules: str, name: str) -> list[str]:
    return [line.strip() for line in rules.split(f"chain {name} {{\n")[1].split("  }\n")[0].splitlines()]


def test_a_closed_interface_drops_before_it_looks_at_anything() -> None:
    rules = ruleset(made(with_endpoint(state="rejected"))[CONSUMER], "198.18.0.1", 4566)
    assert chain(rules, "interface0") == chain(rules, "interface1") == ["drop"]
    assert "ct original ip daddr { 10.2.1.4, 10.2.2.4 } drop" in chain(rules, "enter")


def test_an_open_interface_admits_what_the_group_does_and_what_was_admitted_before() -> None:
    rules = ruleset(made()[CONSUMER], "198.18.0.1", 4566)
    assert chain(rules, "interface0") == [
        "ct state established accept",
        "ip saddr 10.2.0.0/16 tcp dport 80-80 accept",
        "drop",
    ]


def test_equal_plans_are_equal_texts_and_an_empty_vpc_reaches_nothing_outside_either() -> None:
    assert ruleset(made()[PROVIDER], "198.18.0.2", 4566) == ruleset(made()[PROVIDER], "198.18.0.2", 4566)
    walls = ["ip daddr 198.18.0.0/15 drop", "ip daddr 127.0.0.1 tcp dport 4566 drop"]
    assert chain(ruleset(Plan(), "198.18.0.3", 4566), "leave")[2:] == walls
