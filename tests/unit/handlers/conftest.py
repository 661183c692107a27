"""The application behind the handlers, and what they write."""

import pytest

from functions.approve import app as approve
from functions.patrol import app as patrol
from functions.sweep import app as sweep
from tests.application import Application
from tests.unit.handlers.scene import SETTINGS, Said
from tests.world import CONSUMER, endpoint_id

A = endpoint_id(1)


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Application:
    """The application behind every handler, with CONSUMER allowed everywhere."""
    made = Application()
    made.allow_list.put("*", CONSUMER, effect="allow")
    monkeypatch.setattr(approve, "application", lambda: (SETTINGS, made.approver))
    monkeypatch.setattr(sweep, "application", lambda: (SETTINGS, made.sweeper))
    monkeypatch.setattr(patrol, "application", lambda: (SETTINGS, made.patrol))
    return made


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> "Said":
    return Said(capsys, monkeypatch)


@pytest.fixture
def accepted(app: Application, said: Said) -> Application:
    """One available connection."""
    app.connect(A)
    app.work(10)
    said.read()
    return app
