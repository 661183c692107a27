"""Certificates for one test; how much property tests try."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from linkgate.tls import lenient, trusting

from tests.unit.listeners import Authority

# Property tests judge what comes out, not how long it takes: a loaded machine makes no test fail.
settings.register_profile("unit", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("prove", settings.get_profile("unit"), max_examples=3_000)
# The same examples for every mutant, so that a mutant that survives today survives tomorrow.
settings.register_profile("mutants", settings.get_profile("unit"), derandomize=True, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "unit"))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path)


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authority]:
    """The authority among those that OpenSSL trusts by default."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    clear = (trusting.cache_clear, lenient.cache_clear)
    for one in clear:
        one()
    yield authority
    for one in clear:
        one()
