"""AWS Organizations through botocore's own shapes: places in the tree, what is remembered, every way of failing."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from botocore.stub import Stubber
from linkgate.aws.organizations import DEPTH, FAILED, Organization
from linkgate.errors import Unavailable

from tests.organization import FakeOrganization
from tests.unit.edges import stubbed, unreachable
from tests.world import CONSUMER, OTHER, PROVIDER, START

ROOT, ORGANIZATION = "r-ab12", "o-a1b2c3d4e5"
OUTER, INNER, BESIDE = "ou-ab12-outer111", "ou-ab12-inner111", "ou-ab12-beside11"
PARENTS, DESCRIBE = "list_parents", "describe_organization"
FIVE_MINUTES, A_MOMENT = timedelta(minutes=5), timedelta(seconds=1)


class Edge:
    """The organisation under test, the time, and the answers that AWS is going to give, in this order."""

    def __init__(self, client: Any, stubber: Stubber) -> None:
        self.now = START
        self.client, self.stubber = client, stubber
        self.organization = Organization(client, self.clock)

    def clock(self) -> datetime:
        return self.now

    def places(self, child: str, *parents: str, more: str = "", after: str = "") -> None:
        """A page of the parents of an account or OU."""
        kinds = {"r": "ROOT", "o": "ORGANIZATIONAL_UNIT"}
        answer = {"Parents": [{"Id": parent, "Type": kinds[parent[0]]} for parent in parents]}
        asked = {"ChildId": child} | ({"NextToken": after} if after else {})
        self.stubber.add_response(PARENTS, answer | ({"NextToken": more} if more else {}), asked)

    def chain(self, *ids: str) -> None:
        """The parents of an account and of its OUs, a page each."""
        for child, parent in pairwise(ids):
            self.places(child, parent)

    def stands(self, *ids: str) -> None:
        """A chain up to the root, and the organisation."""
        self.chain(*ids)
        self.describes()

    def refuses(self, child: str, code: str, words: str = "", status: int = 400) -> None:
        """An error in answer to the parents of an account or OU."""
        asked = {"ChildId": child}
        self.stubber.add_client_error(PARENTS, code, words, http_status_code=status, expected_params=asked)

    def describes(self) -> None:
        self.stubber.add_response(DESCRIBE, {"Organization": {"Id": ORGANIZATION}}, {})

    def lineage(self, account: str = CONSUMER) -> tuple[str, ...]:
        return self.organization.lineage(account)

    def fails(self, account: str = CONSUMER) -> str:
        """What the Unavailable says that a question about an account ends with."""
        with pytest.raises(Unavailable) as failure:
            self.organization.lineage(account)
        return str(failure.value)


@pytest.fixture
def edge() -> Iterator[Edge]:
    with stubbed("organizations") as (client, stubber):
        yield Edge(client, stubber)


@pytest.fixture
def known(edge: Edge) -> Edge:
    """An edge that has answered for CONSUMER, who stands in INNER, which stands in OUTER."""
    edge.stands(CONSUMER, INNER, OUTER, ROOT)
    assert edge.lineage() == (INNER, OUTER, ORGANIZATION)
    return edge


# ------------------------------------------------------------------ the tree


def test_an_account_right_below_the_root_such_as_the_management_account_has_the_organisation_alone(edge: Edge) -> None:
    edge.stands(PROVIDER, ROOT)
    assert edge.lineage(PROVIDER) == (ORGANIZATION,)


def test_an_account_that_ec2_does_not_name_stands_nowhere_known(edge: Edge) -> None:
    with pytest.raises(Unavailable, match="does not say which account"):
        edge.lineage("")


def test_a_question_that_organizations_does_not_understand_is_no_answer(edge: Edge) -> None:
    edge.refuses(OTHER, "InvalidInputException")
    with pytest.raises(Unavailable, match="InvalidInputException"):
        edge.lineage(OTHER)


@pytest.mark.parametrize("code", ["ChildNotFoundException", "AccountNotFoundException"])
def test_an_account_that_is_not_in_the_organisation_has_no_lineage(edge: Edge, code: str) -> None:
    edge.refuses(OTHER, code)
    assert edge.lineage(OTHER) == ()


def test_a_parent_behind_an_empty_page_is_found(edge: Edge) -> None:
    edge.places(CONSUMER, more="two")
    edge.places(CONSUMER, ROOT, after="two")
    edge.describes()
    assert edge.lineage() == (ORGANIZATION,)


def test_an_account_of_which_no_parent_is_named_is_not_taken_for_a_stranger(edge: Edge) -> None:
    edge.places(CONSUMER)
    assert edge.fails() == f"AWS Organizations names no parent of {CONSUMER}"


def test_ous_that_contain_each_other_end_and_are_no_lineage(edge: Edge) -> None:
    edge.chain(CONSUMER, INNER, OUTER, INNER)
    assert "more than 10 OUs" in edge.fails()


def deep(levels: int) -> list[str]:
    return [f"ou-ab12-level{level:03d}" for level in range(levels)]


def test_as_many_ous_as_may_be_are_a_lineage(edge: Edge) -> None:
    units = deep(DEPTH)
    edge.stands(CONSUMER, *units, ROOT)
    assert edge.lineage() == (*units, ORGANIZATION)


def test_one_ou_too_many_is_no_lineage(edge: Edge) -> None:
    units = deep(DEPTH + 1)
    edge.chain(CONSUMER, *units)
    assert "more than 10 OUs" in edge.fails()


# ------------------------------------------------------------------ what is remembered


def test_an_answer_is_remembered_for_five_minutes(known: Edge) -> None:
    known.now += FIVE_MINUTES - A_MOMENT
    assert known.lineage() == (INNER, OUTER, ORGANIZATION)


def test_a_moved_account_is_noticed_after_five_minutes(known: Edge) -> None:
    known.now += FIVE_MINUTES
    known.stands(CONSUMER, BESIDE, ROOT)
    assert known.lineage() == (BESIDE, ORGANIZATION)


def test_another_account_of_a_known_ou_costs_one_question(known: Edge) -> None:
    known.places(OTHER, INNER)
    assert known.lineage(OTHER) == (INNER, OUTER, ORGANIZATION)


def test_each_answer_grows_old_by_itself(known: Edge) -> None:
    known.now += FIVE_MINUTES - A_MOMENT
    known.chain(OTHER, BESIDE, OUTER)
    assert known.lineage(OTHER) == (BESIDE, OUTER, ORGANIZATION)
    known.now += A_MOMENT
    known.stands(OUTER, ROOT)
    assert known.lineage(OTHER) == (BESIDE, OUTER, ORGANIZATION)


def test_a_stranger_is_remembered_as_one_until_five_minutes_have_passed(edge: Edge) -> None:
    edge.refuses(OTHER, "ChildNotFoundException")
    assert edge.lineage(OTHER) == ()
    edge.now += FIVE_MINUTES - A_MOMENT
    assert edge.lineage(OTHER) == ()
    edge.now += A_MOMENT
    edge.stands(OTHER, ROOT)
    assert edge.lineage(OTHER) == (ORGANIZATION,)


def test_a_clock_set_back_by_an_hour_keeps_nothing_for_an_hour(known: Edge) -> None:
    known.now -= timedelta(hours=1)
    known.stands(CONSUMER, ROOT)
    assert known.lineage() == (ORGANIZATION,)


# ------------------------------------------------------------------ failing

THROTTLED, DENIED = "TooManyRequestsException", "AccessDeniedException"
WORDS = "You don't have permissions to access this resource."


@pytest.mark.parametrize(
    ("code", "status"),
    [(THROTTLED, 400), ("ThrottlingException", 400), ("ServiceException", 500), ("ServiceUnavailable", 503)],
)
def test_organizations_that_does_not_answer_now_is_asked_again_later(edge: Edge, code: str, status: int) -> None:
    edge.refuses(CONSUMER, code, "sorry", status)
    assert f"({code})" in edge.fails()


def test_organizations_that_cannot_be_reached_is_asked_again_later() -> None:
    with unreachable("organizations") as client, pytest.raises(Unavailable, match="AWS Organizations: Could not conn"):
        Organization(client, lambda: START).lineage(CONSUMER)


@pytest.mark.parametrize("code", [DENIED, "AccessDenied"])
def test_a_refusal_names_the_parameter_and_repeats_the_apis_words(edge: Edge, code: str) -> None:
    edge.refuses(CONSUMER, code, WORDS)
    says = edge.fails()
    assert says.startswith("OrganizationsRoleArn may not read AWS Organizations: ")
    assert says.endswith(WORDS)


def test_a_role_of_an_account_in_no_organisation_makes_nobody_a_stranger(edge: Edge) -> None:
    edge.refuses(CONSUMER, "AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
    assert edge.fails().endswith("Your account is not a member of an organization.")


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException", "NobodyKnowsThisException"])
def test_no_other_error_passes_through_either(edge: Edge, code: str) -> None:
    edge.refuses(CONSUMER, code)
    assert f"({code})" in edge.fails()


def test_after_a_failure_the_rest_of_the_batch_fails_fast_with_its_words(edge: Edge) -> None:
    edge.refuses(CONSUMER, THROTTLED, "slower please")
    says = {edge.fails(account) for account in (CONSUMER, OTHER, PROVIDER)}
    assert len(says) == 1
    assert says.pop().endswith("slower please")
    edge.now += FAILED - A_MOMENT
    assert edge.fails(OTHER).endswith("slower please")


def test_a_few_seconds_after_a_failure_organizations_is_asked_again(edge: Edge) -> None:
    edge.refuses(CONSUMER, THROTTLED)
    edge.fails()
    edge.now += FAILED
    edge.stands(CONSUMER, ROOT)
    assert edge.lineage() == (ORGANIZATION,)


def test_the_few_seconds_begin_when_a_failure_is_known_and_not_when_the_question_was_asked(edge: Edge) -> None:
    asked = edge.now

    def wait(**_: Any) -> None:
        edge.now = asked + 2 * FAILED

    edge.client.meta.events.register("before-parameter-build.organizations.ListParents", wait)
    edge.refuses(CONSUMER, THROTTLED, "slower please")
    edge.fails()
    edge.now += FAILED - A_MOMENT
    assert edge.fails(OTHER).endswith("slower please")


def test_what_is_known_is_said_while_organizations_fails(known: Edge) -> None:
    known.refuses(OTHER, THROTTLED)
    known.fails(OTHER)
    assert known.lineage() == (INNER, OUTER, ORGANIZATION)


def test_an_account_that_the_role_may_not_see_does_not_hold_up_the_others(edge: Edge) -> None:
    edge.refuses(OTHER, DENIED, WORDS)
    assert edge.fails(OTHER).endswith(WORDS)
    edge.stands(CONSUMER, ROOT)
    assert edge.lineage() == (ORGANIZATION,)
    assert edge.fails(OTHER).endswith(WORDS)


def test_a_role_that_may_not_be_assumed_is_tried_once_for_the_batch(edge: Edge) -> None:
    edge.refuses(OTHER, "AccessDenied", "not authorized to perform: sts:AssumeRole")
    edge.fails(OTHER)
    assert edge.fails(CONSUMER).endswith("not authorized to perform: sts:AssumeRole")


def test_an_organisation_that_is_not_named_leaves_the_answer_open_and_keeps_what_is_known(edge: Edge) -> None:
    edge.places(CONSUMER, ROOT)
    edge.stubber.add_client_error(DESCRIBE, DENIED, WORDS)
    assert edge.fails().endswith(WORDS)
    edge.now += FAILED
    edge.describes()
    assert edge.lineage() == (ORGANIZATION,)


def test_an_ou_that_goes_away_while_the_tree_is_read_makes_nobody_a_stranger(edge: Edge) -> None:
    edge.places(CONSUMER, INNER)
    edge.refuses(INNER, "ChildNotFoundException")
    assert "(ChildNotFoundException)" in edge.fails()
    edge.stands(CONSUMER, BESIDE, ROOT)
    assert edge.lineage() == (BESIDE, ORGANIZATION)


# ------------------------------------------------------------------ the fake


def test_the_fake_says_what_its_tree_says_and_knows_silence() -> None:
    fake = FakeOrganization({CONSUMER: (INNER, ORGANIZATION)})
    assert (fake.lineage(CONSUMER), fake.lineage(OTHER)) == ((INNER, ORGANIZATION), ())
    fake.silence = Unavailable("sorry")
    with pytest.raises(Unavailable, match="sorry"):
        fake.lineage(CONSUMER)
