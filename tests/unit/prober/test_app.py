"""The canary's handler: targets in, verdicts out, and lines of JSON in its log as Lambda writes them."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from awslambdaric.lambda_runtime_log_utils import JsonFormatter  # type: ignore[import-untyped]
from prober.scope import VARIABLES, Scope

from functions.canary import app as canary
from tests.unit.listeners import HOST, accepting, listening

A = "vpce-00000000000000001"


class Context:
    """What the handler reads of Lambda's context: the time that is left."""

    def __init__(self, milliseconds: int = 120_000) -> None:
        self._milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self._milliseconds


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The log as Lambda's runtime client writes it where LogFormat is JSON."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.terminator = ""
    handler.setFormatter(JsonFormatter())
    canary.logger.addHandler(handler)
    yield text
    canary.logger.removeHandler(handler)


def lines(log: io.StringIO, message: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in found if (line["level"], line["message"]) == ("INFO", message)]


def test_what_failed_is_logged_and_what_did_not_is_counted(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(accepting) as listener:
        monkeypatch.setattr(canary, "application", lambda: Scope.parse(HOST, str(listener.port), "127.0.0.0/8"))
        targets = [{"endpoint_id": A, "url": url} for url in ("ftp://x.example:443", f"tcp://{HOST}:{listener.port}")]
        answer = canary.handler({"targets": targets}, Context())
    assert [verdict["cause"] for verdict in answer["verdicts"]] == ["probe_error", ""]
    (failed,) = lines(log, "failed")
    (probed,) = lines(log, "probed")
    assert (failed["logger"], failed["probe_endpoint_id"], failed["probe_cause"]) == ("canary", A, "probe_error")
    assert (probed["probe_verdicts"], probed["probe_failed"]) == (2, 1)


def test_the_log_of_a_run_is_bounded(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "application", lambda: Scope.parse("example", "443", "10.0.0.0/8"))
    answer = canary.handler({"targets": [0] * 300}, Context())
    assert len(answer["verdicts"]) == 300
    assert len(lines(log, "failed")) == canary.MOST_LOGGED


@pytest.mark.parametrize("event", [{}, {"targets": None}, {"targets": {}}, [], "targets", None, 7])
def test_an_event_without_targets_is_answered_with_a_verdict(event: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "application", lambda: Scope.parse("example", "443", "10.0.0.0/8"))
    (found,) = json.loads(json.dumps(canary.handler(event, Context())))["verdicts"]
    assert (found["cause"], found["detail"]) == ("probe_error", "not probed: there is no list of targets")


def test_a_canary_that_runs_out_of_time_says_so_of_every_target(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(accepting) as listener:
        monkeypatch.setattr(canary, "application", lambda: Scope.parse(HOST, str(listener.port), "127.0.0.0/8"))
        target = {"endpoint_id": A, "url": f"tcp://{HOST}:{listener.port}"}
        answer = canary.handler({"targets": [target] * 2}, Context(int(canary.MARGIN * 1000) - 1))
    found = [(verdict["endpoint_id"], verdict["cause"], verdict["detail"]) for verdict in answer["verdicts"]]
    assert found == [(A, "probe_error", "not probed: the canary ran out of time")] * 2


# ------------------------------------------------------------------ environment


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The canary's variables as a template sets them, and a handler that has not read them yet."""
    for name, value in zip((*VARIABLES, "CANARY_CIDRS"), ("a.example", "80,443", "10.0.0.0/8"), strict=True):
        monkeypatch.setenv(name, value)
    canary.application.cache_clear()
    yield monkeypatch
    canary.application.cache_clear()


def test_the_environment_is_read_once(environment: pytest.MonkeyPatch) -> None:
    assert canary.application() == Scope.parse("a.example", "80,443", "10.0.0.0/8")
    assert canary.application() is canary.application()


@pytest.mark.parametrize("name", VARIABLES)
def test_the_canary_answers_nothing_while_its_environment_lacks_something(
    name: str, environment: pytest.MonkeyPatch
) -> None:
    environment.delenv(name)
    with pytest.raises(ValueError, match=f"environment variable {name} is missing"):
        canary.handler({"targets": []}, Context())
