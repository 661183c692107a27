"""What calls of AWS have in common: the parts that one call takes, pages, and lists that are refused as a whole."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from linkgate.aws.errors import INDIVISIBLE, Refusal, ec2_errors

Member = TypeVar("Member")


def parts(members: Iterable[Member], size: int) -> Iterator[list[Member]]:
    """Members, in their order, as many at once as one call takes."""
    rest = iter(members)
    while part := list(islice(rest, size)):
        yield part


def listed(paginator: Any, name: str, **asked: Any) -> Iterator[Any]:
    """What the pages of one of EC2's Describes list under a name. Raises Throttled and Unavailable."""
    with ec2_errors():
        for page in paginator.paginate(**asked):
            yield from page.get(name, [])


def refusals(act: Callable[[Sequence[str]], dict[str, Refusal]], members: Sequence[str]) -> dict[str, Refusal]:
    """What EC2 refuses of an act on some members, by member; `act` returns the refusals that its answer names.

    A list refused as a whole is halved until the culprit is alone, so that one bad id holds nobody else up. What says
    nothing about a single member (a throttle, a missing permission) is a refusal of each of them.
    """
    try:
        return act(members)
    except ClientError as error:
        why = Refusal.read(error.response["Error"])
        if why.code in INDIVISIBLE or len(members) == 1:
            return dict.fromkeys(members, why)
    half = len(members) // 2
    return refusals(act, members[:half]) | refusals(act, members[half:])
