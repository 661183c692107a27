"""Patrol reads whatever the schema lets a canary say, and takes it for what it was asked."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from linkgate.health.causes import GOOD, OPEN, PROBED, UNKNOWN
from linkgate.health.targets import Kind, Name, Target
from linkgate.health.verdict import PHASES, read
from linkgate.policy.probes import Probe

from tests import gallery

VERDICT = gallery.schema(gallery.VERDICTS)["$defs"]["verdict"]
TARGET = Target("vpce-1", "vpce-svc-1", Name("a.example", Kind.REGIONAL), Probe.parse("https://:443/"))


def values(schema: Mapping[str, Any]) -> SearchStrategy[Any]:
    """Whatever validates, of the part of JSON Schema that the verdict's uses."""
    match schema:
        case {"anyOf": several}:
            return st.one_of(*map(values, several))
        case {"const": one}:
            return st.just(one)
        case {"enum": several}:
            return st.sampled_from(several)
        case {"format": "ipv4" | "ipv6" as form}:
            return st.ip_addresses(v=4 if form == "ipv4" else 6).map(str)
        case {"pattern": pattern, "maxLength": most}:
            return st.from_regex(pattern, fullmatch=True).filter(lambda text: len(text) <= most)
        case {"type": "string", "maxLength": most}:
            return st.text(max_size=most)
        case {"type": "integer", "minimum": least, "maximum": most}:
            return st.integers(least, most)
        case {"type": "number", "minimum": least, "maximum": most}:
            return st.floats(least, most) | st.integers(least, most)
        case {"type": "object", "properties": properties}:
            known = {name: values(inner) for name, inner in properties.items()}
            needed = {name: known.pop(name) for name in schema.get("required", ())}
            return st.fixed_dictionaries(needed, optional=known)
        case {"type": "null"}:
            return st.none()
    raise AssertionError(f"no values of {schema} are known")


@given(values(VERDICT), st.booleans())
def test_whatever_the_schema_lets_a_canary_say_is_read_as_it_was_said(said: dict[str, Any], closed: bool) -> None:
    gallery.hold_to_schema(gallery.VERDICTS, {"verdicts": [said]})
    found = read(replace(TARGET, closed=closed), said)
    astray = (said["cause"] == OPEN and not closed) or (said["cause"] == GOOD and not said["address"] and not closed)
    assert found.cause == (UNKNOWN if astray else said["cause"])
    assert astray or len(found.detail) == len(said["detail"])
    for name in ("address", "retransmits"):
        assert getattr(found, name) == said[name]
    assert {"days": found.tls_days_left, **found.phases} == {
        name: number if number is None else round(number, 3)
        for name, number in {"days": said["tls_days_left"], **said["phases"]}.items()
    }


def test_the_schema_and_patrol_know_the_same_causes_and_phases() -> None:
    properties = VERDICT["properties"]
    assert set(properties["cause"]["enum"]) == set(PROBED) | {GOOD}
    assert properties["phases"]["properties"].keys() == set(PHASES)
