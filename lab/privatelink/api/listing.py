"""How a Describe chooses: filters, then pages."""

import base64
import binascii
from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from lab.privatelink.rules.model import Refusal

T = TypeVar("T")
Facts = Mapping[str, Collection[str]]

SMALLEST_PAGE, LARGEST_PAGE = 5, 1000
"""Bounds of MaxResults (EC2 API reference); more than the largest is taken as the largest."""

MOST_VALUES = 200
"""Values of one filter (EC2 user guide, "List and filter using the CLI and API"; API reference, error codes)."""


def tag_facts(tags: Mapping[str, str]) -> dict[str, Collection[str]]:
    """What tags say to the filters `tag:KEY` and `tag-key`."""
    return {"tag-key": tuple(tags), **{f"tag:{key}": (value,) for key, value in tags.items()}}


def chosen(items: Sequence[T], filters: Sequence[Mapping[str, Any]], facts: Callable[[T], Facts]) -> list[T]:
    """The items for which every filter has a value that fits one of the item's facts of that name.

    `*` and `?` are wildcards; case counts, as on AWS. A name that no item could have is Refusal InvalidFilter, more
    values than a filter may have FilterLimitExceeded.
    """
    if any(len(f.get("Values", ())) > MOST_VALUES for f in filters):
        raise Refusal("FilterLimitExceeded", "The maximum number of filters or filter values has been exceeded.")
    wanted = [(str(f["Name"]), _matcher([str(v) for v in f.get("Values", ())])) for f in filters]
    return [item for item in items if all(_fits(facts(item), name, matches) for name, matches in wanted)]


def require_known(filters: Sequence[Mapping[str, Any]], names: Collection[str]) -> None:
    """Raises Refusal InvalidFilter for a filter that is none of these, whatever there is to choose from."""
    for name in (str(f["Name"]) for f in filters):
        if name not in names:
            raise Refusal("InvalidFilter", f"The filter {name} is invalid")


def _matcher(values: Sequence[str]) -> Callable[[str], bool]:
    # A filter may have 200 values for thousands of items, and few of the values are patterns.
    exact, patterns = frozenset(values), [value for value in values if "*" in value or "?" in value]
    return lambda fact: fact in exact or any(fnmatchcase(fact, pattern) for pattern in patterns)


def _fits(facts: Facts, name: str, matches: Callable[[str], bool]) -> bool:
    if name not in facts and not name.startswith("tag:"):
        raise Refusal("InvalidFilter", f"The filter {name} is invalid")
    return any(map(matches, facts.get(name, ())))


def page(items: Sequence[T], request: Mapping[str, Any], key: Callable[[T], str]) -> tuple[list[T], str | None]:
    """One page of the items in the order of `key`, and the token of the next one.

    The token holds the last key seen, so that pages neither repeat nor skip what stays while others come and go.
    Raises Refusal InvalidParameterValue or InvalidNextToken.
    """
    size = int(request.get("MaxResults") or LARGEST_PAGE)
    if size < SMALLEST_PAGE:
        message = (
            f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value of at least {SMALLEST_PAGE}."
        )
        raise Refusal("InvalidParameterValue", message)
    after = _decoded(request["NextToken"]) if request.get("NextToken") else ""
    rest = sorted((item for item in items if key(item) > after), key=key)
    shown = rest[: min(size, LARGEST_PAGE)]
    return shown, _encoded(key(shown[-1])) if len(rest) > len(shown) else None


def _encoded(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _decoded(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, ValueError) as error:
        raise Refusal("InvalidNextToken", "The pagination token is incorrect.") from error
