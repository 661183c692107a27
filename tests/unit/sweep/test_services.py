"""The configuration of endpoint services: what is said of principals that EC2 refuses."""

import pytest

from tests.application import SERVICE, Application
from tests.world import CONSUMER, OTHER, PROVIDER


@pytest.mark.parametrize(
    ("accounts", "more"),
    [([PROVIDER], ""), ([PROVIDER, CONSUMER], "; and 1 more"), ([OTHER, PROVIDER, CONSUMER], "; and 2 more")],
)
def test_refused_principals_are_one_note_that_counts_them_and_one_problem_with_ec2s_code(
    accounts: list[str], more: str
) -> None:
    app = Application()
    app.allow_list.put(SERVICE, "@settings", mode="enforce", sync_permissions="add")
    for account in accounts:
        app.allow_list.put(SERVICE, account, effect="allow")
    app.world.forbidden.add(SERVICE)
    found = app.sweeper.sweep("a sweep").configuration
    why = "UnauthorizedOperation: You are not authorized to perform this operation."
    assert found.notes == {SERVICE: f"EC2 refuses the principal arn:aws:iam::{PROVIDER}:root: {why}{more}"}
    assert found.misconfigured == {SERVICE: ("EC2 refuses to change its principals: UnauthorizedOperation",)}
