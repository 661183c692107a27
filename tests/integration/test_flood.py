"""A small flood of connection requests through the real stack; `python -m bench.flood` is the large one."""

import pytest

from bench.flood import ACCOUNTS, flood
from bench.site import Site
from lab.harness.deploy import Deployed
from lab.harness.process import LabProcess


@pytest.mark.slow
def test_of_a_flood_none_is_lost_and_none_is_acted_on_twice(lab: LabProcess, deployed: Deployed) -> None:
    told = flood(Site(lab, deployed, services=3, accounts=ACCOUNTS), requests=60, seconds=2)
    assert (told["requests"], told["services"]) == (60, 3)
