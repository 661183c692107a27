"""What every handler is called with, and what it writes on stdout."""

import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError
from linkgate.config import Settings

from functions.approve import app as approve
from functions.patrol import app as patrol
from functions.sweep import app as sweep

SETTINGS = Settings(stack="linkgate")
HANDLERS = (approve, sweep, patrol)


@dataclass(frozen=True)
class Context:
    """What the handlers and Powertools read of Lambda's context."""

    function_name: str = "linkgate-function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:111111111111:function:linkgate-function"
    aws_request_id: str = "0d1d9c6c-9d15-4c5f-a3e0-6a3a5dd0fd05"

    def get_remaining_time_in_millis(self) -> int:
        return 120_000


class Stdout:
    """The stdout of the moment: the handlers' loggers took that of their import, which no test reads."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


class Said:
    """What a handler wrote on stdout: its log, and metrics in CloudWatch's embedded format."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys = capsys
        for module in HANDLERS:
            monkeypatch.setattr(module.logger.registered_handler, "stream", Stdout())
        self.lines: list[dict[str, Any]] = []

    def read(self) -> "Said":
        self.lines += [json.loads(line) for line in self.capsys.readouterr().out.splitlines()]
        return self

    def metrics(self, service: str = "") -> dict[str, float]:
        """The metrics of the stack, or of one service."""
        found = [line for line in self.read().lines if "_aws" in line and line.get("Service", "") == service]
        mine = [line for line in found if not line.keys() & {"Zone", "Endpoint"}]
        names = [metric["Name"] for line in mine for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
        return {name: line[name][0] for line in mine for name in names if name in line}

    def messages(self, level: str) -> list[str]:
        return [line["message"] for line in self.read().lines if line.get("level") == level]

    def fields(self, message: str) -> dict[str, Any]:
        """The last line of the log with this message."""
        return [line for line in self.read().lines if line.get("message") == message][-1]


def naming(*endpoints: str) -> str:
    return json.dumps({"detail-type": "Endpoint Connection Notification", "detail": list(endpoints)})


def denied() -> ClientError:
    response: Any = {"Error": {"Code": "UnauthorizedOperation", "Message": "You are not authorized"}}
    return ClientError(response, "AcceptVpcEndpointConnections")
