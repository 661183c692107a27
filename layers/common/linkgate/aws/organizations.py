"""AWS Organizations: where an account stands in the organisation, asked through a role that may read it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from linkgate.errors import Unavailable

CACHE = timedelta(minutes=5)
"""How long an answer is believed: so late a moved account or OU is noticed."""
FAILED = timedelta(seconds=5)
"""How long nothing is asked after a failure, so that a batch waits for one throttle and not for a hundred."""
DEPTH = 10
"""OUs above one account, at most. AWS nests five levels (Organizations user guide, "Quotas")."""

ABSENT = frozenset({"ChildNotFoundException", "AccountNotFoundException"})
REFUSED = "AccessDeniedException"
FORBIDDEN = frozenset({REFUSED, "AccessDenied"})
"""Organizations' own word, and that of STS for a role that may not be assumed."""
ORGANIZATION, EVERYTHING = "organization", "everything"
"""What is asked or has failed beside single accounts and OUs."""


class Paginator(Protocol):
    """What is used of boto3's paginator of ListParents."""

    def paginate(self, *, ChildId: str) -> Iterable[Mapping[str, Any]]: ...


class OrganizationsClient(Protocol):
    """What is used of boto3's client `organizations`."""

    def get_paginator(self, operation_name: str, /) -> Paginator: ...
    def describe_organization(self) -> Mapping[str, Any]: ...


class Organization:
    """Where accounts stand in the organisation: read-only, cached for minutes.

    Nothing but Unavailable is raised: whatever Organizations says, only connections that a row of an OU or an
    organisation could change have to wait for it. ListParents needs the management account or an account that it
    delegated this to; any member may ask DescribeOrganization (Organizations API reference).
    """

    def __init__(self, client: OrganizationsClient, now: Callable[[], datetime]) -> None:
        self._client = client
        self._now = now
        self._answers: dict[str, tuple[datetime, str]] = {}
        self._failures: dict[str, tuple[datetime, str]] = {}

    def lineage(self, account: str) -> tuple[str, ...]:
        """The ids of the account's OUs, the nearest first, then the organisation's (`o-…`).

        An account that hangs below the root has the organisation alone, one that is not in the organisation
        nothing. Raises Unavailable when Organizations cannot be asked now, when the role may not ask it, when its
        answers lead to no root (a lineage cut short could hide a deny), or when EC2 does not say whose it is.
        """
        if not account:
            raise Unavailable("EC2 does not say which account the endpoint belongs to")
        units: list[str] = []
        parent = self._answer(account, self._parent)
        if not parent:
            return ()
        while not parent.startswith("r-"):
            units.append(parent)
            if len(units) > DEPTH:
                raise Unavailable(f"AWS Organizations names more than {DEPTH} OUs above {account}: {', '.join(units)}")
            parent = self._answer(parent, self._parent)
        return (*units, self._answer(ORGANIZATION, self._id))

    def _answer(self, question: str, ask: Callable[[str], str]) -> str:
        """A remembered answer, or a new one; an old failure, or a new one, as Unavailable."""
        now = self._now()
        # Answers are remembered in the order in which they came, so the old ones stand first.
        for old in list(takewhile(lambda known: abs(now - self._answers[known][0]) >= CACHE, self._answers)):
            del self._answers[old]
        if question not in self._answers:
            self._raise_known_failure(question, now)
            self._answers[question] = now, self._asked(question, ask)
        return self._answers[question][1]

    def _raise_known_failure(self, question: str, now: datetime) -> None:
        self._failures = {what: failed for what, failed in self._failures.items() if abs(now - failed[0]) < FAILED}
        for what in (question, EVERYTHING):
            if what in self._failures:
                raise Unavailable(self._failures[what][1])

    def _asked(self, question: str, ask: Callable[[str], str]) -> str:
        try:
            return ask(question)
        except (BotoCoreError, ClientError) as error:
            code = _code(error)
            who = "OrganizationsRoleArn may not read AWS Organizations" if code in FORBIDDEN else "AWS Organizations"
            why = f"{who}: {error}"
            # A delegation may cover a part of the organisation: what is refused for one account is not for the next.
            about = question if code == REFUSED or code in ABSENT else EVERYTHING
            self._failures[about] = self._now(), why
            raise Unavailable(why) from error

    def _parent(self, child: str) -> str:
        """The OU (`ou-…`) or root (`r-…`) right above an account or OU; "" for an account that has none."""
        try:
            # A page may be empty and yet not be the last one.
            pages = self._client.get_paginator("list_parents").paginate(ChildId=child)
            found = next((str(parent["Id"]) for page in pages for parent in page.get("Parents", [])), "")
        except ClientError as error:
            if _code(error) not in ABSENT:
                raise
            if not child.startswith("ou-"):
                return ""
            # The OU went away since an account was found in it: what is remembered no longer fits together.
            self._answers.clear()
            raise
        if not found:
            raise Unavailable(f"AWS Organizations names no parent of {child}")
        return found

    def _id(self, _: str) -> str:
        return str(self._client.describe_organization()["Organization"]["Id"])


def _code(error: Exception) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""
