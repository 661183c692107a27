"""The handler of sweep: the schedule, edits of the allow-list, and looks from the queue."""

import json
from typing import Any

import pytest
from linkgate.errors import Unavailable
from linkgate.model import State, Status

from functions.sweep import app as sweep
from tests import gallery
from tests.application import SERVICE, Application
from tests.unit.handlers.scene import Context, Said
from tests.world import OTHER, endpoint_id, service_id

A, B = endpoint_id(1), endpoint_id(2)
SECOND = service_id(2)


def test_a_batch_of_the_stream_sends_bells_for_the_services_it_touches_and_names_its_malformed_rows(
    app: Application, said: Said
) -> None:
    sample = gallery.sample("stream")
    service = sample["Records"][0]["dynamodb"]["Keys"]["service"]["S"]
    app.world.offer(service)
    app.world.connect(A, service)
    sweep.handler(sample, Context())
    assert [bell.endpoints for bell in app.bells.waiting()] == [{A}]
    ((kind, detail),) = app.bus.published
    assert (kind, detail["row"], detail["attribute"]) == (
        "Allow List Row Invalid",
        f"{service}/333333333333",
        "expires",
    )
    assert said.metrics() == {"InvalidRows": 1}
    assert any("attribute 'expires' is not known here" in message for message in said.messages("WARNING"))


def test_the_schedule_looks_at_everything_and_counts_it(app: Application, said: Said) -> None:
    app.world.connect(A, SERVICE, "444444444444")
    app.world.services[SERVICE].acceptance_required = False
    app.world.advance(4 * 86400)
    sweep.handler(gallery.sample("schedule"), Context())
    assert said.metrics() == {
        "InvalidRows": 0,
        "PendingRequests": 1,
        "StaleRequests": 1,
        "RefusedConnections": 0,
        "TrippedBreakers": 0,
        "UnusedRows": 0,
        "MisconfiguredGates": 1,
    }
    assert said.messages("WARNING") == [f"{SERVICE}: AcceptanceRequired is off: EC2 accepts every connection by itself"]


def test_a_sweep_counts_and_names_rows_of_services_that_nobody_manages(app: Application, said: Said) -> None:
    for number in range(25):
        app.allow_list.put(SECOND, f"{number:012}", effect="deny")
    sweep.handler(gallery.sample("schedule"), Context())
    assert (said.metrics()["UnusedRows"], said.metrics()["InvalidRows"]) == (25, 0)
    warnings = said.messages("WARNING")
    assert len(warnings) == 21
    assert warnings[0].startswith(
        f'allow-list, row {SECOND}/000000000000: service is "{SECOND}", which is not managed here'
    )
    assert warnings[20] == "allow-list, 25 rows mean nothing, of which 20 are named"


def test_an_item_of_the_ledger_that_cannot_be_read_is_named_and_counted(app: Application, said: Said) -> None:
    app.connect(A)
    app.work(5)
    app.ledger.alter(A, status="QUARANTINED")
    sweep.handler(gallery.sample("schedule"), Context())
    assert said.metrics()["Failures"] == 1
    words = 'status is "QUARANTINED": expected a status'
    assert said.messages("ERROR") == [f"the ledger's item {A} cannot be read: {words}"]


def test_a_state_that_nobody_knows_is_counted_and_named(app: Application, said: Said) -> None:
    app.world.connect(A, SERVICE, state=State.UNKNOWN)
    sweep.handler(gallery.sample("schedule"), Context())
    assert said.metrics()["Failures"] == 1
    assert f"EC2 shows {A} in a state that nobody knows ('hibernating')" in "".join(said.messages("ERROR"))


def test_a_sweep_of_everything_logs_how_many_connections_have_each_status(app: Application, said: Said) -> None:
    app.allow_list.put(SERVICE, "@settings", mode="enforce")
    app.allow_list.put(SERVICE, OTHER, effect="allow")
    app.connect(A, OTHER)
    app.connect(B, "444444444444")
    app.work(60)
    sweep.handler(gallery.sample("schedule"), Context())
    found = said.fields("connections")
    assert {name: found[name] for name in ("HELD", "ACCEPTED", "CUT")} == {"HELD": 1, "ACCEPTED": 1, "CUT": 0}


def edited(name: str, keys: dict[str, Any], **image: Any) -> dict[str, Any]:
    change = {"Keys": keys} | ({"NewImage": keys | image} if name != "REMOVE" else {"OldImage": keys | image})
    return {"Records": [{"eventName": name, "eventSource": "aws:dynamodb", "dynamodb": change}]}


KEYS = {"service": {"S": SERVICE}, "consumer": {"S": "222222222222"}}


def test_a_malformed_row_that_was_deleted_is_not_named(app: Application, said: Said) -> None:
    sweep.handler(edited("REMOVE", KEYS, effect={"S": "permit"}), Context())
    assert app.bus.published == []
    assert said.metrics() == {"InvalidRows": 0}


def test_a_row_of_nothing_but_its_key_is_named(app: Application) -> None:
    sweep.handler(edited("INSERT", KEYS), Context())
    assert [kind for kind, _ in app.bus.published] == ["Allow List Row Invalid"]


@pytest.mark.parametrize("event", [edited("INSERT", KEYS, effect={"S": "allow"}), gallery.sample("schedule")])
def test_a_sweep_that_fails_is_counted_and_tried_again(app: Application, said: Said, event: dict[str, Any]) -> None:
    app.world.silence = Unavailable("no route")
    with pytest.raises(Unavailable):
        sweep.handler(event, Context())
    assert said.metrics() == {"Failures": 1}


@pytest.fixture
def half_blind(app: Application) -> Application:
    """Two services, of which the ledger answers about one."""
    app.world.offer(SECOND)
    app.ledger.store.refuses[SECOND] = Unavailable("no route")
    app.world.connect(A, SERVICE)
    return app


def test_what_one_edit_could_not_do_is_tried_again_after_the_rest_was_done(half_blind: Application, said: Said) -> None:
    keys = {"service": {"S": "*"}, "consumer": {"S": "222222222222"}}
    with pytest.raises(Unavailable):
        sweep.handler(edited("INSERT", keys, effect={"S": "permit"}), Context())
    assert [bell.endpoints for bell in half_blind.bells.waiting()] == [{A}]
    assert said.metrics() == {"InvalidRows": 1, "Failures": 1}


def test_what_one_scheduled_sweep_could_not_do_is_counted_and_left_to_the_next(
    half_blind: Application, said: Said
) -> None:
    sweep.handler(gallery.sample("schedule"), Context())
    assert [bell.endpoints for bell in half_blind.bells.waiting()] == [{A}]
    assert (said.metrics()["Failures"], said.metrics()["PendingRequests"]) == (1, 1)
    assert said.messages("ERROR") == [f"could not sweep {SECOND}: Unavailable: no route"]


def test_looks_from_the_queue_cut_what_a_grace_was_given_to(app: Application, said: Said) -> None:
    app.allow_list.put(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="5s")
    app.allow_list.put(SERVICE, OTHER, effect="allow")
    app.connect(A, OTHER)
    app.work(100)
    key = app.allow_list.delete(SERVICE, OTHER)
    keys = {"service": {"S": key.service}, "consumer": {"S": key.consumer}}
    sweep.handler(edited("REMOVE", keys, effect={"S": "allow"}), Context())
    app.world.advance(6)
    bodies = [json.dumps(bell.event()) for bell in app.looks.take()]
    assert len(bodies) == 1
    sweep.handler(gallery.records(*bodies), Context())
    assert app.known(A).status is Status.CUT
    assert said.metrics()["Cuts"] == 1


def test_a_change_of_a_service_in_cloudtrail_is_a_look_at_everything(app: Application, said: Said) -> None:
    call = {"eventName": "ModifyVpcEndpointServiceConfiguration", "requestParameters": {"ServiceId": SERVICE}}
    app.world.services[SERVICE].acceptance_required = False
    sweep.handler(
        gallery.records(json.dumps({"detail-type": "AWS API Call via CloudTrail", "detail": call})), Context()
    )
    assert said.metrics()["MisconfiguredGates"] == 1


def test_a_sweep_while_another_is_at_work_asks_for_a_look_a_little_later(app: Application, said: Said) -> None:
    app.world.connect(A, SERVICE)
    assert app.sweeper.lease.take("another run")
    sweep.handler(gallery.sample("schedule"), Context())
    assert (app.bells.waiting(), len(app.looks.waiting())) == ([], 1)
    app.sweeper.lease.give_back("another run")
    app.work(10)
    assert app.known(A).entry


def test_a_tripped_breaker_is_counted_while_it_keeps_somebody(app: Application, said: Said) -> None:
    app.allow_list.put(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="1s", max_cuts="0")
    app.allow_list.put(SERVICE, OTHER, effect="allow")
    app.connect(A, OTHER)
    app.work(100)
    app.allow_list.delete(SERVICE, OTHER)
    for _ in range(3):
        sweep.handler(gallery.sample("schedule"), Context())
        app.world.advance(300)
        assert said.metrics()["TrippedBreakers"] == 1
    assert A in said.messages("WARNING")[-1]
