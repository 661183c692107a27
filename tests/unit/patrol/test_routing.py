"""Who reaches whom: rows for an endpoint before those for its account, the service's before everybody's."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from linkgate.model import Connection, State
from linkgate.patrol.routing import CanaryRouting, Route
from linkgate.policy.canary import region_of

from tests.fakes import FakeAllowList
from tests.world import CONSUMER, OTHER, PROVIDER, endpoint_id, service_id

SERVICE, ENDPOINT, OWN = service_id(1), endpoint_id(1), "gatehouse-CanaryFunction-1A2B"
KEYS = [(SERVICE, ENDPOINT), ("*", ENDPOINT), (SERVICE, CONSUMER), ("*", CONSUMER)]
"""Where a row about the endpoint may stand, the one that wins first."""


def arn(name: str = "linkgate-canary-eu", region: str = "eu-west-1") -> str:
    return f"arn:aws:lambda:{region}:{OTHER}:function:{name}"


def connection(account: str = CONSUMER) -> Connection:
    return Connection(SERVICE, ENDPOINT, account, "eu-west-1", State.AVAILABLE, datetime(2026, 11, 23, tzinfo=UTC))


def route(table: FakeAllowList, account: str = CONSUMER, own: str = OWN, provider: str = CONSUMER) -> Route:
    return CanaryRouting(table.canaries([SERVICE]), own, provider).route(connection(account))


def reached(table: FakeAllowList, account: str = CONSUMER, own: str = OWN, provider: str = CONSUMER) -> str:
    found = route(table, account, own, provider)
    assert bool(found.canary) != bool(found.why)
    return found.canary


@pytest.mark.parametrize(("stronger", "weaker"), list(pairwise(KEYS)))
def test_the_more_particular_row_wins(stronger: tuple[str, str], weaker: tuple[str, str]) -> None:
    table = FakeAllowList()
    for (service, consumer), name in ((weaker, "linkgate-canary-weaker"), (stronger, "linkgate-canary-stronger")):
        table.put(service, f"@canary:{consumer}", function=arn(name))
    assert reached(table) == arn("linkgate-canary-stronger")


@pytest.mark.parametrize("key", KEYS)
def test_a_row_wins_over_the_stacks_own_canary(key: tuple[str, str]) -> None:
    table = FakeAllowList()
    table.put(key[0], f"@canary:{key[1]}", function=arn())
    assert reached(table) == arn()


def test_without_a_row_the_stacks_own_canary_reaches_the_stacks_own_account() -> None:
    assert reached(FakeAllowList()) == OWN
    assert reached(FakeAllowList(), own="") == ""


@pytest.mark.parametrize("account", [OTHER, PROVIDER, ""])
def test_without_a_row_nobody_reaches_another_account(account: str) -> None:
    assert reached(FakeAllowList(), account) == ""


@pytest.mark.parametrize("own", [OWN, ""])
def test_rows_about_others_reach_nobody(own: str) -> None:
    table = FakeAllowList()
    table.put(SERVICE, f"@canary:{PROVIDER}", function=arn())
    table.put(SERVICE, f"@canary:{endpoint_id(2)}", function=arn())
    table.put(service_id(2), f"@canary:{OTHER}", function=arn())
    assert reached(table, OTHER, own) == ""


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "row", [{"function": "linkgate-canary"}, {}, {"function": arn(), "regions": "eu-west-1"}, {"function": 7}]
)
def test_with_a_row_that_cannot_be_read_nobody_reaches_it(key: tuple[str, str], row: dict[str, object]) -> None:
    table = FakeAllowList()
    table.put(key[0], f"@canary:{key[1]}", **row)
    for service, consumer in KEYS[KEYS.index(key) + 1 :]:
        table.put(service, f"@canary:{consumer}", function=arn())
    assert reached(table) == ""


@pytest.mark.parametrize("name", ["payroll", "my-linkgate-canary", "linkgate", "linkgate-Canary"])
def test_functions_that_are_no_canary_by_their_name_are_never_invoked(name: str) -> None:
    table = FakeAllowList()
    table.put(SERVICE, f"@canary:{CONSUMER}", function=arn(name))
    assert reached(table) == ""


@pytest.mark.parametrize("name", ["linkgate-canary", "linkgate-canary-eu", OWN, "linkgate-canary:live"])
def test_canaries_are_invoked_by_the_name_that_the_row_says(name: str) -> None:
    table = FakeAllowList()
    table.put(SERVICE, f"@canary:{OTHER}", function=arn(name))
    assert reached(table, OTHER) == arn(name)


def test_without_an_own_canary_no_function_without_a_name_is_one() -> None:
    table = FakeAllowList()
    table.put(SERVICE, f"@canary:{OTHER}", function=arn("x"))
    assert reached(table, OTHER, own="") == ""


def test_where_nobody_reaches_it_the_row_that_is_missing_or_wrong_is_named() -> None:
    table, row = FakeAllowList(), f"{SERVICE}/@canary:{OTHER}"
    assert route(table, OTHER).why == f"no canary reaches it: there is no row {row}"
    none = "no canary reaches it: this stack has no canary of its own, and there is no row"
    assert route(table, own="").why == f"{none} {SERVICE}/@canary:{CONSUMER}"
    table.put(SERVICE, f"@canary:{OTHER}", function=arn("payroll"))
    assert route(table, OTHER).why.startswith(
        f'no canary reaches it: row {row}: function is "{arn("payroll")}": expected'
    )
    table.put(SERVICE, f"@canary:{OTHER}", function=7)
    assert route(table, OTHER).why.startswith(f"no canary reaches it: row {row}: function is 7: expected the ARN of")


def test_a_canary_is_invoked_in_the_region_of_its_arn() -> None:
    assert region_of(arn(region="us-east-2")) == "us-east-2"
    assert region_of(arn("linkgate-canary:live", "eu-central-1")) == "eu-central-1"
    assert region_of(OWN) == ""
