"""AWS Organizations: the lineage of an account in the organisation, asked through a role that may read it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from linkgate.errors import Unavailable

CACHE = timedelta(minutes=5)
"""How long an answer is believed, and so how late a moved account or OU is noticed."""
FAILED = timedelta(seconds=5)
"""How long nothing is asked after a failure, so that a batch waits for one throttle and not for a hundred."""
DEPTH = 10
"""OUs above one account, at most. AWS nests five levels (Organizations user guide, "Quotas")."""

ABSENT = frozenset({"ChildNotFoundException", "AccountNotFoundException"})
REFUSED = "AccessDeniedException"
FORBIDDEN = frozenset({REFUSED, "AccessDenied"})
"""What Organizations says, and what STS says of a role that may not be assumed."""
EVERYTHING = "everything"
"""What failed where the failure is not about one account or OU alone."""


class Answer(NamedTuple):
    """What Organizations said about one account, OU or root, and when: its parent, or a failure in words."""

    at: datetime
    parent: str = ""
    failure: str = ""

    def holds(self, now: datetime) -> bool:
        """Whether it is young enough to be believed."""
        return abs(now - self.at) < (FAILED if self.failure else CACHE)


class Organization:
    """The lineages of accounts: read-only, cached for minutes.

    Nothing but Unavailable is raised: whatever Organizations says, only connections that a row of an OU or an
    organisation could change have to wait for it. ListParents needs the management account or an account that it
    delegated this to; any member may ask DescribeOrganization (Organizations API reference). `client` is boto3's
    client `organizations`.
    """

    def __init__(self, client: Any, now: Callable[[], datetime]) -> None:
        self._client = client
        self._now = now
        self._answers: dict[str, Answer] = {}

    def lineage(self, account: str) -> tuple[str, ...]:
        """The ids of the account's OUs, the nearest first, then the organisation's (`o-…`).

        An account that hangs below the root has the organisation alone, one that is not in the organisation
        nothing. Raises Unavailable when Organizations cannot be asked now, when the role may not ask it, when its
        answers lead to no root (a lineage cut short could hide a deny), or when EC2 does not say whose it is.
        """
        if not account:
            raise Unavailable("EC2 does not say which account the endpoint belongs to")
        units: list[str] = []
        parent = self._parent(account)
        while parent and not parent.startswith("r-"):
            units.append(parent)
            if len(units) > DEPTH:
                raise Unavailable(f"AWS Organizations names more than {DEPTH} OUs above {account}: {', '.join(units)}")
            parent = self._parent(parent)
        return (*units, self._parent(parent)) if parent else ()

    def _parent(self, child: str) -> str:
        """What stands right above an account, an OU or the root; "" for an account outside the organisation."""
        now = self._now()
        known = (self._answers.get(about) for about in (child, EVERYTHING))
        answer = next((one for one in known if one and one.holds(now)), None) or self._ask(child, now)
        if answer.failure:
            raise Unavailable(answer.failure)
        return answer.parent

    def _ask(self, child: str, now: datetime) -> Answer:
        """What Organizations says now, remembered."""
        try:
            answer = self._answers[child] = Answer(now, self._asked(child))
        except (BotoCoreError, ClientError) as error:
            code = _code(error)
            who = "OrganizationsRoleArn may not read AWS Organizations" if code in FORBIDDEN else "AWS Organizations"
            if code in ABSENT:
                # The OU went away since an account was found in it: what is remembered no longer fits together.
                self._answers.clear()
            # A delegation may cover a part of the organisation: what is refused for one account is not for the next.
            about = child if code == REFUSED or code in ABSENT else EVERYTHING
            answer = self._answers[about] = Answer(self._now(), failure=f"{who}: {error}")
        return answer

    def _asked(self, child: str) -> str:
        if child.startswith("r-"):
            return str(self._client.describe_organization()["Organization"]["Id"])
        try:
            # A page may be empty and yet not be the last one.
            pages = self._client.get_paginator("list_parents").paginate(ChildId=child)
            found = next((str(parent["Id"]) for page in pages for parent in page.get("Parents", [])), "")
        except ClientError as error:
            if _code(error) in ABSENT and not child.startswith("ou-"):
                return ""
            raise
        if not found:
            raise Unavailable(f"AWS Organizations names no parent of {child}")
        return found


def _code(error: Exception) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""
