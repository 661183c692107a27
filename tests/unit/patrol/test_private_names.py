"""A private name counts for an endpoint that uses it, and for a day after it last did."""

from typing import Any

import pytest
from linkgate.model import Status
from linkgate.patrol.report import counts

from tests.application import SERVICE, Application
from tests.unit.patrol.scene import PRIVATE, RECOVERED, UNHEALTHY, VERIFIED, A, B, found, join, numbers, regional, walk
from tests.world import Service


@pytest.fixture
def private(app: Application) -> Application:
    """The service has a private name, which A does not use: it does not exist in the canary's VPC."""
    app.world.services[SERVICE] = Service(private_dns_name=PRIVATE, private_dns_state="verified")
    app.canary.nowhere.add(PRIVATE)
    return app


def test_a_private_name_that_an_endpoint_does_not_use_is_not_missed(private: Application) -> None:
    assert numbers(found(private)) == (1, [], 0)
    assert private.known(A).status is Status.VERIFIED
    assert PRIVATE in {target["name"] for target in private.canary.targets}


def test_a_private_name_that_vanishes_is_missed_for_a_day_and_then_forgotten(private: Application) -> None:
    private.canary.nowhere.clear()
    walk(private, "11111")
    assert private.known(A).health["private_seen_at"]
    private.canary.nowhere.add(PRIVATE)
    walk(private, "111")
    assert private.known(A).status is Status.UNHEALTHY
    assert private.known(A).health["cause"] == "private_name_missing"
    assert private.bus.published[-1][1]["phase"] == "dns"
    private.world.advance(86400)
    walk(private, "111")
    assert private.known(A).status is Status.VERIFIED
    assert private.bus.kinds(A) == [VERIFIED, UNHEALTHY, RECOVERED]


def test_a_private_name_that_comes_back_is_well_again(private: Application) -> None:
    private.canary.nowhere.clear()
    walk(private, "1")
    private.canary.nowhere.add(PRIVATE)
    walk(private, "1")
    private.canary.nowhere.clear()
    assert numbers(found(private)) == (1, [], 0)


def test_a_private_name_that_leads_to_another_endpoint_of_the_vpc_is_not_this_ones(private: Application) -> None:
    join(private, B)
    private.canary.nowhere.clear()
    private.canary.during = None
    answered = private.canary._verdict

    def to_b(target: dict[str, Any]) -> dict[str, Any]:
        found = answered(target)
        return found | {"address": "10.1.0.2"} if target["name"] == PRIVATE else found

    private.canary._verdict = to_b  # type: ignore[method-assign]
    walk(private, "11111")
    assert not private.known(A).health["private_seen_at"]
    assert private.known(B).health["private_seen_at"]
    private.canary.nowhere.add(PRIVATE)
    walk(private)
    assert (private.known(A).recent, private.known(B).recent) == ("11111", "11110")


@pytest.mark.parametrize(
    ("state", "cause"), [("verified", "private_name_missing"), ("pendingVerification", "private_name_unverified")]
)
def test_a_private_name_that_ec2_lists_counts_from_the_first_round_on(
    private: Application, state: str, cause: str
) -> None:
    private.world.links[A].dns_names = (regional(), PRIVATE)
    private.world.services[SERVICE].private_dns_state = state
    assert numbers(found(private)) == (1, [], 0)
    assert (private.known(A).recent, private.known(A).cause) == ("0", cause)


def test_a_private_name_that_a_canary_may_not_probe_is_told_since_nobody_else_can_say_whether_it_is_used(
    private: Application,
) -> None:
    private.canary.nowhere.clear()
    private.canary.causes[PRIVATE] = "probe_error"
    seen = found(private)
    assert (numbers(seen), counts(seen)["ProbeErrors"]) == ((1, [], 0), 1)
    assert (private.known(A).status, private.known(A).health["errors"]) == (Status.VERIFIED, ["as told"])
    private.canary.causes[PRIVATE] = ""
    walk(private)
    assert private.known(A).health["errors"] == []
