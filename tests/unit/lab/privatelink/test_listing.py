"""Filters and pages of a Describe."""

import pytest

from lab.privatelink.api import listing
from lab.privatelink.rules.model import Refusal
from lab.privatelink.rules.state import State
from tests.unit.lab.privatelink.conftest import code


def test_pages_neither_repeat_nor_skip_while_items_go(state: State) -> None:
    items = [f"item-{n:02}" for n in range(12)]
    first, token = listing.page(items, {"MaxResults": 5}, str)
    assert token is not None
    second, token = listing.page(items[3:], {"MaxResults": 5, "NextToken": token}, str)
    assert token is not None
    third, end = listing.page(items, {"MaxResults": 5, "NextToken": token}, str)
    assert (first + second + third, end) == (items, None)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [({"MaxResults": 4}, "InvalidParameterValue"), ({"NextToken": "no token"}, "InvalidNextToken")],
)
def test_impossible_pages_are_refused(request_: dict[str, object], expected: str) -> None:
    with pytest.raises(Refusal) as refused:
        listing.page(["a"], request_, str)
    assert code(refused) == expected


def test_filters_are_anded_their_values_ored_and_their_case_counts() -> None:
    facts = {"state": ("pendingAcceptance",), **listing.tag_facts({"team": "core"})}

    def chosen(**filters: list[str]) -> bool:
        asked = [{"Name": name.replace("__", ":"), "Values": values} for name, values in filters.items()]
        return bool(listing.chosen(["item"], asked, lambda item: facts))

    assert chosen(state=["available", "pendingAcceptance"], tag__team=["co*"])
    assert not chosen(state=["PendingAcceptance"])
    assert not chosen(state=["pendingAcceptance"], tag__team=["edge"])
    assert not chosen(tag__absent=["x"])
    with pytest.raises(Refusal) as refused:
        chosen(stat=["available"])
    assert code(refused) == "InvalidFilter"
