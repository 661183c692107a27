"""The stack that patrol's tests begin with."""

import pytest

from tests.application import SERVICE, Application
from tests.unit.patrol.scene import A


@pytest.fixture
def app() -> Application:
    """A stack that has accepted A, which is available; nothing was probed yet."""
    made = Application()
    made.allow_list.put(SERVICE, "*", effect="allow")
    made.connect(A)
    made.work(10)
    made.bus.published.clear()
    return made
