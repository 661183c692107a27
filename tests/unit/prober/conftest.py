"""Certificates and names for one test."""

import json
import math
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prober import run
from prober.scope import Scope
from prober.trust import trusting
from prober.verdict import Verdict, report

from tests import gallery
from tests.unit.listeners import Authority

Answer = list[str] | Exception | None


def probe_all(targets: object, scope: Scope, deadline: float = math.inf) -> list[Verdict]:
    """The prober's verdicts, which make an answer as the schema has it."""
    found = run.probe_all(targets, scope, deadline)
    gallery.hold_to_schema(gallery.VERDICTS, json.loads(json.dumps({"verdicts": report(found)})))
    return found


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path)


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authority]:
    """The authority among those that OpenSSL trusts by default."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    trusting.cache_clear()
    yield authority
    trusting.cache_clear()


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Answer]]:
    """Names of the test's own: addresses to answer, an exception to raise, or None: no answer at all."""
    answers: dict[str, Answer] = {}
    real = socket.getaddrinfo
    release = threading.Event()

    def getaddrinfo(host: str, port: int, *rest: int, **options: int) -> list[Any]:
        if host not in answers:
            return real(host, port, *rest, **options)
        answer = answers[host]
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            release.wait(5)
        return [entry for address in answer or () for entry in real(address, port, *rest, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield answers
    release.set()
