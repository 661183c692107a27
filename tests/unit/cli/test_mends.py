"""Every command of ours that `status` and `doctor` show beside a trouble can be typed as it stands there."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace

import pytest
from linkgate.ledger.breaker import Tripped
from linkgate.model import Budget, Reason, Status
from linkgate_cli.app import load
from linkgate_cli.attention import MEND, needs
from linkgate_cli.checks import examine
from linkgate_cli.session import Session

from tests.unit.cli.test_checks import SPOILT, well
from tests.unit.cli.views import SERVICE, overview, record, table, view
from tests.world import CONSUMER, endpoint_id, service_id


def shown() -> Iterator[str]:
    """Commands of all kinds."""
    yield MEND
    rows = table({CONSUMER: {"effect": "allow", "limit": "2"}})
    other = replace(view(described=None), service=service_id(2))
    for reason in Reason:
        waiting = view([record(Status.HELD, reason, row=f"{SERVICE}/{CONSUMER}")])
        for views in ((waiting,), (waiting, other)):
            yield from (need.command for need in needs(overview(*views, rows=rows)))
    many = view([record(Status.HELD, "not_listed", number) for number in range(1, 9)])
    yield from (need.command for need in needs(overview(many)))
    for kept in (2, 9):
        tripped = Tripped(frozenset(map(endpoint_id, range(kept))), Budget(1))
        yield from (need.command for need in needs(overview(view(cuts=tripped), view())))
    for _, spoil, *_ in SPOILT.values():
        evidence = well()
        spoil(evidence)
        yield from (one.mend for one in examine(evidence))


OURS = sorted(
    {part.strip().partition(" > ")[0] for text in shown() for part in text.split(";") if "linkgate " in part}
    - {"linkgate enroll vpce-svc-…"}
)


@pytest.mark.parametrize("text", [one for one in OURS if re.match("linkgate [a-z]+", one)])
def test_a_command_that_is_shown_can_be_typed(text: str) -> None:
    _, name, *words = shlex.split(text)
    made = load(name)
    with made.make_context(name, words, obj=Session()):
        pass
