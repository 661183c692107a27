"""Deployments in memory, one for each test."""

import pytest

from tests.application import SERVICE, Application
from tests.unit.approve.answers import SECOND
from tests.world import CONSUMER


@pytest.fixture
def app() -> Application:
    return Application()


@pytest.fixture
def open_app(app: Application) -> Application:
    """A deployment whose table allows CONSUMER."""
    app.allow_list.put(SERVICE, CONSUMER, effect="allow", ticket="NET-17")
    return app


@pytest.fixture
def two_services(open_app: Application) -> Application:
    open_app.world.offer(SECOND)
    open_app.allow_list.put(SECOND, "@settings", mode="enforce")
    open_app.allow_list.put(SECOND, CONSUMER, effect="allow")
    return open_app
