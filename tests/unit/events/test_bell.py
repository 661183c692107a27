"""What each sample of the gallery rings for, and that any text at all rings for something."""

import json
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linkgate.events.bell import Bell, chunks, parse

from tests import gallery

ENDPOINT, SECOND, THIRD = "vpce-0a1b2c3d4e5f60718", "vpce-0b1b2c3d4e5f60718", "vpce-0c1b2c3d4e5f60718"
SERVICE = "vpce-svc-0123456789abcdef0"
ADA = "arn:aws:sts::111111111111:assumed-role/engineer/ada"


class Read(NamedTuple):
    endpoints: set[str]
    services: set[str]
    origin: str


NOTIFIED, UNKNOWN = "Endpoint Connection Notification", "unknown message"
SAMPLES = {
    "sns-text": Read({ENDPOINT}, {SERVICE}, UNKNOWN),
    "sns-json": Read({ENDPOINT}, {SERVICE}, UNKNOWN),
    "sns-garbage": Read(set(), set(), UNKNOWN),
    "pipe-text": Read({ENDPOINT}, {SERVICE}, NOTIFIED),
    "pipe-garbage": Read(set(), set(), NOTIFIED),
    "cloudtrail-create": Read({ENDPOINT}, {SERVICE}, f"CloudTrail CreateVpcEndpoint {ADA}"),
    "cloudtrail-create-refused": Read(set(), set(), f"CloudTrail CreateVpcEndpoint {ADA}"),
    "cloudtrail-delete-one": Read({ENDPOINT}, set(), f"CloudTrail DeleteVpcEndpoints {ADA}"),
    "cloudtrail-delete-several": Read({ENDPOINT, SECOND}, set(), f"CloudTrail DeleteVpcEndpoints {ADA}"),
    "cloudtrail-accept": Read({ENDPOINT}, {SERVICE}, f"CloudTrail AcceptVpcEndpointConnections {ADA}"),
    "cloudtrail-accept-refused": Read({ENDPOINT}, {SERVICE}, f"CloudTrail AcceptVpcEndpointConnections {ADA}"),
    "cloudtrail-reject": Read({ENDPOINT, THIRD}, {SERVICE}, f"CloudTrail RejectVpcEndpointConnections {ADA}"),
}


def read(bell: Bell) -> Read:
    return Read(set(bell.endpoints), set(bell.services), bell.origin)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_rings_for_what_it_is_about_and_says_what_rang(name: str) -> None:
    assert read(parse(gallery.text(name))) == SAMPLES[name]


def test_every_sample_of_a_notification_or_a_trail_is_tried() -> None:
    paths = [path.stem for path in gallery.EVENTS.glob("*.json")]
    assert {stem for stem in paths if stem.startswith(("sns-", "pipe-", "cloudtrail-"))} == SAMPLES.keys()


def test_the_endpoint_that_an_api_call_came_through_does_not_ring() -> None:
    through = [name for name in SAMPLES if "vpce-0fffffffffffffff0" in gallery.text(name)]
    assert len(through) > 3
    assert not any("vpce-0fffffffffffffff0" in parse(gallery.text(name)).endpoints for name in through)


@pytest.mark.parametrize("request_", ["ServiceName", "ResourceConfigurationArn", "ServiceNetworkArn"])
@pytest.mark.parametrize("refused", [False, True])
def test_an_endpoint_that_asks_for_no_endpoint_service_is_foreign_and_rings_for_nothing(
    request_: str, refused: bool
) -> None:
    event = gallery.sample("cloudtrail-create-refused" if refused else "cloudtrail-create")
    asked = event["detail"]["requestParameters"]["CreateVpcEndpointRequest"]
    del asked["ServiceName"]
    asked[request_] = "com.amazonaws.eu-west-1.s3"
    text = json.dumps(event).replace(SERVICE, "s3")
    assert (parse(text).foreign, parse(text).everything, parse(text).readable) == (True, False, True)


def test_only_an_endpoint_that_is_created_can_be_foreign() -> None:
    assert [name for name in SAMPLES if parse(gallery.text(name)).foreign] == ["cloudtrail-create-refused"]
    deletions = ["cloudtrail-delete-one", "cloudtrail-delete-several"]
    assert [name for name in SAMPLES if parse(gallery.text(name)).deletion] == deletions


@pytest.mark.parametrize("bell", [Bell(frozenset({ENDPOINT})), Bell(services=frozenset({SERVICE}))])
def test_a_bell_that_names_anything_does_not_ring_for_everything(bell: Bell) -> None:
    assert not bell.everything


@pytest.mark.parametrize("name", ["sns-garbage", "pipe-garbage"])
def test_a_notification_without_an_id_rings_for_everything(name: str) -> None:
    assert parse(gallery.text(name)).everything


@pytest.mark.parametrize(
    "text",
    [
        "vpce-svc-",
        "vpce-nfn-0123456789abcdef0",
        "vpce-0a1b2c3",
        "vpce-0a1b2c3d4e5f607180",
        "vpce-0a1b2c3dxyz",
        "vpce-svc-0123456789abcdef01",
        "vpc-0a1b2c3d4e5f60718",
        "com.amazonaws.vpce.eu-west-1",
    ],
)
def test_what_only_looks_like_an_id_is_none(text: str) -> None:
    assert parse(json.dumps({"detail": text})).everything


@pytest.mark.parametrize(
    "around", ["{}", "'{}'", '"{}"', "x={};", "<{}>", "\n{}\n", "{}.", "{},", "{}-abcdefgh.eu-west-1"]
)
def test_an_id_is_found_whatever_stands_around_it(around: str) -> None:
    found = parse(json.dumps({"detail": {"anything": around.format(ENDPOINT)}}))
    assert found.endpoints == {ENDPOINT}


def test_an_endpoints_dns_name_holds_the_endpoint_and_its_service() -> None:
    found = parse(f"{ENDPOINT}-sznn09sg.{SERVICE}.eu-west-1.vpce.amazonaws.com")
    assert read(found)[:2] == ({ENDPOINT}, {SERVICE})


def test_a_message_inside_a_message_inside_a_message_is_still_found() -> None:
    body: object = f"for {ENDPOINT}"
    for _ in range(5):
        body = json.dumps({"Message": body})
    assert parse(str(body)).endpoints == {ENDPOINT}


@pytest.mark.parametrize(
    "text", ["", " ", "null", "[]", "{}", "0", '"', "NaN", '{"detail": null}', '{"detail": []}', '{"detail-type": 7}']
)
def test_an_empty_message_rings_for_everything(text: str) -> None:
    assert parse(text).everything


hexadecimal = st.text("0123456789abcdef", min_size=8, max_size=17)
ids = st.frozensets(hexadecimal.map("vpce-{}".format), max_size=3)
services = st.frozensets(hexadecimal.map("vpce-svc-{}".format), max_size=3)
bells = st.builds(Bell, ids, services, st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 9))


@given(bells)
def test_a_bell_of_our_own_is_read_as_it_was_written(bell: Bell) -> None:
    assert parse(json.dumps(bell.event())) == bell


@given(bells, ids)
def test_a_bell_rung_again_is_the_same_question_about_some_endpoints_once_more(
    bell: Bell, some: frozenset[str]
) -> None:
    assert bell.again(some) == Bell(some, bell.services, bell.origin, bell.attempt + 1)


@given(st.text())
def test_any_text_is_a_bell(text: str) -> None:
    parse(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
members = (
    "detail",
    "detail-type",
    "endpoints",
    "services",
    "origin",
    "cause",
    "attempt",
    "requestParameters",
    "userIdentity",
)
kinds = st.sampled_from(["Bell", "AWS API Call via CloudTrail", "Endpoint Connection Notification"])


@given(kinds | json_values, json_values | st.dictionaries(st.sampled_from(members), json_values))
def test_any_event_is_a_bell(kind: object, detail: object) -> None:
    parse(json.dumps({"detail-type": kind, "detail": detail}))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"detail":' * 100_000])
def test_even_a_message_nested_without_end_is_a_bell(text: str) -> None:
    assert parse(text).everything


@pytest.mark.parametrize(("attempt", "read"), [(3, 3), (0, 0), (-1, 0), (-(10**20), 0), ("3", 0), (None, 0), (2.5, 0)])
def test_an_attempt_is_a_count_or_none(attempt: object, read: int) -> None:
    assert parse(json.dumps({"detail-type": "Bell", "detail": {"attempt": attempt}})).attempt == read


def test_many_endpoints_are_carried_by_bells_of_five_hundred() -> None:
    ids = {f"vpce-{number:017x}" for number in range(1100)}
    parts = list(chunks(ids))
    assert [len(part) for part in parts] == [500, 500, 100]
    assert frozenset().union(*parts) == ids
