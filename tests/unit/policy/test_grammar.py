"""The forms of docs/allow-list.md, written once more: all that they say is read, to its value, and nothing else is.

Each form stands in the document as a sentence, here as a strategy (what it says, with the value meant) and as a pattern
(what it says, and nothing else); neither is taken from the code that reads it.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from linkgate.model import Budget, MalformedRow, Rule
from linkgate.policy.probes import Probe
from linkgate.policy.rows import CanaryRow, ReleaseRow, SettingsRow, parse

from tests.unit.policy.reading import row
from tests.world import CONSUMER

Read = tuple[str, object]
"""A text, and the value that it means."""


class Form(NamedTuple):
    """Where a form is read, what it says, and the pattern of it and of nothing else."""

    consumer: str
    attribute: str
    says: st.SearchStrategy[Read]
    pattern: str
    among: Callable[[re.Match[str]], bool] = bool
    """Whether a text of the pattern is one: what a pattern cannot say, such as 30 February."""


def number(least: int, most: int) -> st.SearchStrategy[tuple[str, int]]:
    """Digits, with zeros at their head or without."""
    return st.builds(
        lambda value, zeros: ("0" * zeros + str(value), value), st.integers(least, most), st.integers(0, 2)
    )


# ------------------------------------------------------------------ times

FIRST, END = datetime(2015, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
fractions = st.text("0123456789", min_size=1, max_size=9)


def in_iso(moment: datetime, zone: timezone, blank: str, seconds: bool, fraction: str, zulu: bool) -> Read:
    """A moment as ISO 8601 has it, cut to what is written of it."""
    kept = moment.replace(second=moment.second if seconds else 0, microsecond=0)
    there = kept if zulu else kept.astimezone(zone)
    text = f"{there:%Y-%m-%d}{blank}{there:%H:%M}" + (f":{there.second:02}" if seconds else "")
    if seconds and fraction:
        text, kept = f"{text}.{fraction}", kept + timedelta(microseconds=int(fraction.ljust(6, "0")[:6]))
    ahead = zone.utcoffset(None)
    hours, minutes = divmod(abs(ahead) // timedelta(minutes=1), 60)
    return text + ("Z" if zulu else f"{'-' if ahead < timedelta() else '+'}{hours:02}:{minutes:02}"), kept


def in_seconds(seconds: int, fraction: str) -> Read:
    exact = FIRST + timedelta(seconds=seconds - int(FIRST.timestamp()))
    micro = int(fraction.ljust(6, "0")[:6])
    return f"{seconds}.{fraction}" if fraction else str(seconds), exact + timedelta(microseconds=micro)


moments = st.datetimes(FIRST.replace(tzinfo=None), END.replace(tzinfo=None) - timedelta(minutes=1)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)
times = st.builds(
    in_iso, moments, zones, st.sampled_from("T "), st.booleans(), fractions | st.just(""), st.booleans()
) | st.builds(in_seconds, st.integers(int(FIRST.timestamp()), int(END.timestamp()) - 1), fractions | st.just(""))
TIME = (
    r"(?P<date>\d{4}-\d\d-\d\d)[T ](?P<time>\d\d:\d\d(:\d\d(\.\d{1,9})?)?)(Z|(?P<sign>[+-])(?P<zone>\d\d:[0-5]\d))"
    r"|(?P<epoch>\d{10})(\.\d{1,9})?"
)


def is_time(match: re.Match[str]) -> bool:
    if match["epoch"]:
        return int(FIRST.timestamp()) <= int(match["epoch"]) < int(END.timestamp())
    hour, minute, second = (*map(int, re.findall(r"\d+", match["time"])[:3]), 0)[:3]
    if hour > 23 or minute > 59 or second > 59 or int((match["zone"] or "00")[:2]) > 23:
        return False
    try:
        day = datetime.strptime(match["date"], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return False
    ahead = timedelta(hours=int((match["zone"] or "00:00")[:2]), minutes=int((match["zone"] or "00:00")[3:]))
    at = timedelta(hours=hour, minutes=minute, seconds=second) - (-ahead if match["sign"] == "-" else ahead)
    return day.year in range(2014, 2101) and FIRST <= day + at < END


# ------------------------------------------------------------------ probes

ports = number(1, 65535).filter(lambda one: len(one[0]) <= 5)
PRINTED = "".join(map(chr, range(0x21, 0x7F)))
paths = st.just("") | st.text(PRINTED.replace("#", "").replace(",", ""), max_size=8).map("/".__add__)
bodies = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(lambda body: body.strip("*"))
PLAIN = PRINTED.replace("&", "").replace("%", "").replace(",", "") + "é"
LABEL = "[A-Za-z0-9_][A-Za-z0-9_-]{0,62}"
host_names = st.from_regex(rf"{LABEL}(\.{LABEL}){{1,2}}", fullmatch=True)


def a_probe(scheme: str, port: tuple[str, int], path: str, status: int | None, body: str, name: str) -> Read:
    """A probe; `status`, `body` and `name` are what its scheme may expect. Of a body what need not be %XX is itself."""
    url = f"{scheme}://:{port[0]}{path}"
    expected = {"status": str(status or ""), "body": quote(body, safe=PLAIN), "server_name": name}
    options = "&".join(f"{option}={text}" for option, text in expected.items() if text)
    return f"{url}#{options}" if options else url, Probe(url, status, body, name)


none = st.just("")
probes = st.one_of(
    st.builds(a_probe, st.just("tcp"), ports, none, st.none(), none, none),
    st.builds(a_probe, st.just("tls"), ports, none, st.none(), none, none | host_names),
    st.builds(
        a_probe,
        st.sampled_from(["http", "https"]),
        ports,
        paths,
        st.none() | st.integers(200, 599),
        none | bodies,
        none | host_names,
    ),
)
OPTION = rf"(status=[2-5]\d\d|body=([^%&,]|%[0-9A-Fa-f]{{2}})+|server_name=(?=[^&]{{1,253}}(&|\Z)){LABEL}(\.{LABEL})+)"
PROBE = (
    rf"(?P<scheme>tcp|tls|https?)://:(?P<port>\d{{1,5}})(?P<path>/[!\"$-+\--~]*)?(#(?P<options>{OPTION}(&{OPTION})*))?"
)


def is_probe(match: re.Match[str]) -> bool:
    """A port that exists; a path and options of its scheme; each option once; a body in UTF-8 and not all stars."""
    options = [one.split("=", 1) for one in (match["options"] or "").split("&") if one]
    names, asks = {name for name, _ in options}, match["scheme"].startswith("http")
    if (match["path"] and not asks) or len(names) < len(options) or not 0 < int(match["port"]) < 65536:
        return False
    if not names <= (
        {"status", "body", "server_name"} if asks else {"server_name"} if match["scheme"] == "tls" else set()
    ):
        return False
    try:
        return all(unquote(text, errors="strict").strip("*") for name, text in options if name == "body")
    except UnicodeDecodeError:
        return False


# ------------------------------------------------------------------ the forms

region = st.from_regex(r"[a-z]{2,6}(-[a-z]{1,9}){1,3}-[1-9][0-9]?", fullmatch=True)
REGION = r"[a-z]{2,}(-[a-z]+)+-[1-9]\d?"
ENDPOINT = "vpce-([0-9a-f]{8}|[0-9a-f]{17})"
ids = st.from_regex(ENDPOINT, fullmatch=True)


def several(kind: st.SearchStrategy[str]) -> st.SearchStrategy[Read]:
    return st.lists(kind, min_size=1, max_size=3).map(lambda some: (" , ".join(some), frozenset(some)))


UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "": 1}
durations = st.sampled_from(list(UNITS.items())).flatmap(
    lambda unit: number(0, min(999_999, 3653 * 86400 // unit[1])).map(
        lambda one: (one[0] + unit[0], timedelta(seconds=one[1] * unit[1]))
    )
)
percents = st.integers(0, 100).map(lambda one: (f"{one}%", Budget(one, percent=True)))
partitions = st.sampled_from(["aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-f", "aws-eusc"])
functions = st.builds(
    lambda partition, region, name, more: f"arn:{partition}:lambda:{region}:{CONSUMER}:function:{name}{more}",
    partitions,
    region,
    st.from_regex("[A-Za-z0-9_-]{1,64}", fullmatch=True),
    st.sampled_from(["", ":$LATEST", ":live", ":7"]),
)
FUNCTION = (
    rf"arn:aws(-[a-z]+)*:lambda:{REGION}:\d{{12}}:function:[A-Za-z0-9_-]{{1,64}}(:(\$LATEST|[A-Za-z0-9_-]{{1,128}}))?"
)
FORMS = {
    "time": Form("@settings", "frozen_until", times, TIME, is_time),
    "number": Form(CONSUMER, "limit", number(0, 9_999_999), r"\d{1,9}"),
    "duration": Form(
        "@settings",
        "grace",
        durations,
        r"(?P<count>\d{1,9})(?P<unit>[smhd]?)",
        lambda match: int(match["count"]) * UNITS[match["unit"]] <= 3653 * 86400,
    ),
    "percentage": Form("@settings", "max_cuts", percents, r"(\d{1,2}|100)%|\d{1,9}"),
    "region": Form(CONSUMER, "regions", several(region), rf"{REGION}([ \t\r\n]*,[ \t\r\n]*{REGION})*"),
    "endpoint": Form("@release", "endpoints", several(ids), rf"{ENDPOINT}([ \t\r\n]*,[ \t\r\n]*{ENDPOINT})*"),
    "function": Form(f"@canary:{CONSUMER}", "function", functions.map(lambda arn: (arn, arn)), FUNCTION),
    "probe": Form("@settings", "probe", probes, PROBE, is_probe),
}


def read(form: Form, value: object) -> object:
    """What a row has read under the form's attribute; the MalformedRow where it cannot be read."""
    rule = {"effect": "allow"} if form.consumer == CONSUMER else {}
    match parse(row(rule | {form.attribute: value}, form.consumer)):
        case SettingsRow(_, values):
            return Probe.parse(*values["probe"]) if "probe" in values else values[form.attribute]
        case Rule() | ReleaseRow() | CanaryRow() as found:
            return getattr(found, form.attribute)
        case malformed:
            return malformed


blanks = st.text(" \t\r\n", max_size=2)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@given(data=st.data())
def test_all_that_a_form_says_is_read_to_its_value_between_blanks_too(form: Form, data: st.DataObject) -> None:
    text, value = data.draw(form.says)
    assert re.fullmatch(form.pattern, text, re.ASCII), "the strategy says what the pattern does not"
    assert read(form, data.draw(blanks) + text + data.draw(blanks)) == value


NEAR = {
    "time": r"2\d{3}-?([01]\d-?[012]\d|W\d\d-?\d)[Tt _]?[012]\d(:?[0-5]\d(:?[0-6]\d([.,]\d{0,10})?)?)?"
    r"([Zz]|[+-][012]\d:?(\d\d)?)|2026-12-31T12:00[+-][012]\d:\d\d|[+-]?[1-4]\d{8,10}(\.\d*)?",
    "number": r"[+-]?\d{0,10}(_\d{1,3})?(\.0)?|0x\d{1,3}",
    "duration": r"[+-]?\d{1,9}(\.\d)?[ ]?([smhdwSMHD]|ms)|\d{1,2}[smhdwSMHD]",
    "percentage": r"[+-]?\d{0,4}(\.\d)?[ ]?[%\uff05]?|1\d\d%",
    "region": r"[a-z]{1,3}(-[a-z0-9]{1,3}){0,2}-\d{0,3}[a-z]?(,[ ]?([a-z]{2}-[a-z]-\d)?)?",
    "endpoint": r"(vpce|VPCE)-[0-9a-f]{7,9}|vpce-[0-9a-g]{16,18}(,(vpce-[0-9a-fA-F]{8})?)?",
    "function": r"arn:(aws|awsx|aws-|aws-[a-z]{1,3}):(lambda|sqs):[a-z]{1,2}(-[a-z]{1,2})?-\d{1,2}:222222222222(2?)"
    r":function:[A-Za-z0-9._-]{0,3}(:[A-Za-z0-9_$]{0,2})?",
    "probe": r"(tcp|tls|https?|HTTP)://(a?):\d{1,6}(/[ -~]{0,3})?"
    r"|https?://:80(/[ -~]{0,2})?"
    r"#(status=[1-6]\d\d|body=[*+=a]{0,2}(%[0-9a-g]{0,2})?|server_name=[A-Za-z.\u017f-]{1,4}|st=x)&?",
}
"""By form, what one library or another would read, or people write: most of it is no such form."""
DIGITS = "[0-9\u0663]"
near = {name: st.from_regex(pattern.replace(r"\d", DIGITS), fullmatch=True) for name, pattern in NEAR.items()}


@pytest.mark.parametrize("name", FORMS)
@settings(max_examples=500)
@given(data=st.data())
def test_nothing_else_is_read(name: str, data: st.DataObject) -> None:
    form, kind = FORMS[name], data.draw(st.sampled_from([near[name]] * 9 + [st.text(max_size=30)]))
    text = data.draw(kind)
    match = re.fullmatch(form.pattern, text.strip(" \t\r\n"), re.ASCII)
    assert isinstance(read(form, text), MalformedRow) == (match is None or not form.among(match))


OTHERS = {
    "frozen_until": [
        *("2026-W53-4T12:00:00Z", "2026-365T12:00:00Z", "20261231T120000Z", "2026-12-31T12Z", "2026-12-31T24:00:00Z"),
        *("2026-12-31T12:00:00,5Z", "2026-12-31T12:00:00+0100", "2026-12-31T12:00:00+01", "2026-12-31t12:00:00z"),
        *("2026-12-31T12:00:00+01:00:30", "2026-12-31x12:00:00Z", "2026-12-31T12:00:60Z", "1_795_402_800"),
        *("1795402800.", ".5", "+1795402800", "01795402800", "1.7954028e9", "\u0661795402800", "2026-12-31T12:00:00 Z"),
    ],
    "grace": ["1_0", "+5", "\u0665m", "5M", "5 m", "1e3", "0x10"],
    "max_cuts": ["+5", "1_0", "\u0661\u0660%", "101%", "007%", "5 %", "%", "5\uff05"],
    "probe": [
        *("https://:443/#body=%", "https://:443/#body=%2", "https://:443/#body=%zz", "https://:443/#body=%ff"),
        *("https://:443/#status=103", "https://:443/#st%61tus=200", "https://:443/#status=200;body=x"),
        *("tls://:443#server_name=api.\u017fample.com", "tls://:443#server_name=\u212aube.example.com"),
        *("https://:443/#status=200&", "https://:+443", "https://:4_43", "https://:\u0664\u0664\u0663"),
        "https://:443/#status=200,https://:443/#status=204",
    ],
}


@pytest.mark.parametrize(("attribute", "value"), [(name, value) for name, some in OTHERS.items() for value in some])
def test_what_one_library_or_another_would_read_is_not(attribute: str, value: str) -> None:
    assert isinstance(parse(row({attribute: value}, "@settings")), MalformedRow)


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("C++%20ready", "C++ ready"),
        ("time=2026-11-28T10:00:00+01:00", "time=2026-11-28T10:00:00+01:00"),
        ("100%25%26more%2C", "100%&more,"),
        ("%e2%82%AC=€;", "€=€;"),
    ],
)
def test_of_a_body_only_percent_signs_mean_something_else(text: str, body: str) -> None:
    assert Probe.parse(f"https://:443/#body={text}").body == body


@given(st.decimals(min_value=int(FIRST.timestamp()), max_value=int(END.timestamp()) - 1, places=6))
@example(Decimal("1795402800.999999"))
def test_epoch_seconds_are_read_exactly_to_the_microsecond(seconds: Decimal) -> None:
    found: Any = read(FORMS["time"], seconds)
    assume(not isinstance(found, MalformedRow))
    assert found - datetime(1970, 1, 1, tzinfo=UTC) == timedelta(microseconds=int(seconds * 1_000_000))
