"""The handlers' environment: what they need of it, and nothing at all at import."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from linkgate.config import Settings
from linkgate.errors import SettingsError

from functions.patrol import app as patrol
from tests.unit.handlers.scene import HANDLERS, Context

ROOT = Path(__file__).parents[3]
VALUES = {"DEFAULT_PROBE": "tcp://:443"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """No setting in the environment, and handlers that have not been called."""
    for field in Settings.__dataclass_fields__:
        monkeypatch.delenv(field.upper(), raising=False)
    for module in HANDLERS:
        module.application.cache_clear()
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    yield monkeypatch
    for module in HANDLERS:
        module.application.cache_clear()


def provide(environment: pytest.MonkeyPatch, module: ModuleType) -> None:
    for name in module.REQUIRED:
        environment.setenv(name.upper(), VALUES.get(name.upper(), "something"))


@pytest.mark.parametrize("module", HANDLERS, ids=lambda module: module.__name__)
def test_a_handler_needs_its_environment_and_says_in_one_sentence_what_is_missing(
    module: Any, environment: pytest.MonkeyPatch
) -> None:
    for name in module.REQUIRED:
        provide(environment, module)
        environment.delenv(name.upper())
        with pytest.raises(SettingsError) as raised:
            module.handler({"Records": []}, Context())
        assert str(raised.value).startswith(f"environment variable {name.upper()} is missing or empty: ")
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("module", HANDLERS, ids=lambda module: module.__name__)
def test_a_handler_with_its_environment_builds_one_application(module: Any, environment: pytest.MonkeyPatch) -> None:
    provide(environment, module)
    assert module.application() is module.application()


def test_without_a_canary_of_its_own_patrol_has_none(environment: pytest.MonkeyPatch) -> None:
    provide(environment, patrol)
    assert patrol.application()[1].own_canary == ""
    patrol.application.cache_clear()
    environment.setenv("CANARY_FUNCTION", "linkgate-canary")
    assert patrol.application()[1].own_canary == "linkgate-canary"


def test_a_canary_elsewhere_is_invoked_in_its_region(environment: pytest.MonkeyPatch) -> None:
    provide(environment, patrol)
    probing = patrol.application()[1].probing
    regions = [probing.canaries._functions(region).meta.region_name for region in ("", "us-east-2")]
    assert regions == ["eu-west-1", "us-east-2"]


IMPORT = """
import socket, sys, threading
import boto3

def forbidden(*_, **__):
    raise AssertionError("at import")

boto3.client = boto3.resource = boto3.Session = boto3.session.Session = forbidden
socket.socket.connect = socket.create_connection = socket.getaddrinfo = forbidden
import functions.approve.app, functions.sweep.app, functions.patrol.app, functions.canary.app
assert threading.active_count() == 1, threading.enumerate()
"""


def test_importing_the_handlers_needs_no_environment_and_makes_no_client_thread_or_connection() -> None:
    paths = os.pathsep.join([str(ROOT), *map(str, (ROOT / "layers").iterdir())])
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], env={"PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
