"""The environment of a function, checked before anything else happens."""

from datetime import timedelta

import pytest
from linkgate.config import Settings
from linkgate.errors import SettingsError
from linkgate.policy.probes import Probe


def test_settings_are_read_by_their_names_without_the_blanks_around_them() -> None:
    found = Settings.from_env({"STACK": " linkgate ", "LEDGER_TABLE": "ledger", "PATH": "/bin"}, ("stack",))
    assert found == Settings(stack="linkgate", ledger_table="ledger")


def test_what_a_function_does_not_need_may_be_missing() -> None:
    assert Settings.from_env({}, ()) == Settings()


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_or_empty_variable_is_named_in_one_sentence(value: str | None) -> None:
    environ = {"STACK": "linkgate"} | ({} if value is None else {"LEDGER_TABLE": value})
    with pytest.raises(SettingsError) as raised:
        Settings.from_env(environ, ("stack", "ledger_table"))
    expected = (
        "environment variable LEDGER_TABLE is missing or empty: deploy template.yaml as it is, it sets all of them"
    )
    assert str(raised.value) == expected


def test_several_missing_variables_are_all_named() -> None:
    with pytest.raises(SettingsError, match="STACK, EVENT_BUS is missing"):
        Settings.from_env({}, ("stack", "event_bus"))


def test_a_required_name_that_is_no_setting_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        Settings.from_env({}, ("stacks",))


@pytest.mark.parametrize(("days", "expected"), [("", None), ("0", None), ("365", timedelta(days=365))])
def test_decisions_are_kept_for_ever_unless_days_are_said(days: str, expected: timedelta | None) -> None:
    assert Settings.from_env({"LEDGER_RETENTION_DAYS": days}, ()).retention == expected


@pytest.mark.parametrize("days", ["-1", "1.5", "1_0", "+7", "\u0667", "a week"])
def test_days_that_are_none_are_named_by_their_variable(days: str) -> None:
    with pytest.raises(SettingsError, match=r"^LEDGER_RETENTION_DAYS is .*: expected days such as 14, or 0$"):
        _ = Settings(ledger_retention_days=days).retention
    with pytest.raises(SettingsError, match=r"^EXPIRING_SOON_DAYS is "):
        _ = Settings(expiring_soon_days=days).expiring_soon


def test_days_beyond_a_century_are_a_century() -> None:
    assert Settings(ledger_retention_days="999999999").retention == timedelta(days=36500)


def test_the_default_probes_are_read_from_one_text() -> None:
    found = Settings(default_probe="tcp://:443, https://:443/healthz#status=204").probes
    assert found == (Probe("https://:443/healthz", status=204), Probe("tcp://:443"))


@pytest.mark.parametrize("text", ["", "tcp", "tcp://:443,", "tcp://:443#status=200", "tcp://:443,tcp://:443#x=1"])
def test_a_default_probe_that_cannot_be_read_is_named_by_its_variable(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^DEFAULT_PROBE is '.*': expected "):
        _ = Settings(default_probe=text).probes
