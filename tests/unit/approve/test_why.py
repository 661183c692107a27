"""What `current` says for people, as a connection goes its way: the sentence is never behind what the ledger knows."""

from linkgate.aws.errors import Refusal
from linkgate.events.bell import Bell
from linkgate.model import State
from linkgate.policy.why import found

from tests.application import SERVICE, Application
from tests.unit.approve.answers import A, B
from tests.world import CONSUMER

ROW = f"row {SERVICE}/{CONSUMER}"
ADMIN = "arn:aws:iam::111111111111:role/admin"


def why(app: Application, endpoint: str = A) -> str:
    return app.known(endpoint).why


def test_who_is_held_and_then_allowed_is_told_each_time_why(app: Application) -> None:
    app.connect(A)
    app.work()
    step = f"put {ROW} with effect = allow to let it in"
    assert why(app) == f"Waits: no row covers account {CONSUMER} or {A}; next: {step}."
    app.edit(SERVICE, CONSUMER, effect="allow", ticket="NET-17")
    app.work(10)
    assert why(app) == f"Accepted: {ROW} (ticket NET-17) allows it."


def test_a_decision_that_is_not_acted_on_yet_does_not_say_that_it_was(open_app: Application) -> None:
    seen = list[str]()
    open_app.world.before_act = lambda *_: seen.append(why(open_app))
    open_app.connect(A)
    open_app.work()
    assert seen == [f"To be accepted: {ROW} (ticket NET-17) allows it."]


def test_what_ec2_refused_stands_in_the_sentence_until_it_took_it(open_app: Application) -> None:
    open_app.world.refusals[A] = [Refusal("InternalError", "not now")]
    open_app.connect(A)
    open_app.work()
    assert "but EC2 refused to accept it (InternalError: not now); next: EC2 is asked again from " in why(open_app)
    open_app.work(10)
    open_app.settle()
    assert why(open_app) == f"Accepted: {ROW} (ticket NET-17) allows it."


def test_a_throttle_is_a_refusal_like_any_other(open_app: Application) -> None:
    open_app.world.refusals[A] = [Refusal("RequestLimitExceeded", "slow down") for _ in range(9)]
    open_app.connect(A)
    open_app.work()
    assert "(RequestLimitExceeded: slow down)" in why(open_app)


def test_whom_ec2_accepts_no_more_must_recreate_the_endpoint(app: Application) -> None:
    app.allow_list.put(SERVICE, CONSUMER, effect="deny")
    app.connect(A)
    app.work(120)
    assert why(app).startswith(f"Rejected: {ROW} denies it; next: delete that row or change it")
    app.edit(SERVICE, CONSUMER, effect="allow")
    app.work(10)
    assert why(app) == (
        f"Rejected, though it is allowed: {ROW} allows it, but EC2 answered InvalidState: {A} is rejected; next: the "
        "consumer must recreate the endpoint."
    )


def test_an_accept_that_is_wanted_no_more_after_a_refusal_leaves_no_refusal_in_the_sentence(app: Application) -> None:
    app.allow_list.put(SERVICE, CONSUMER, effect="deny")
    app.connect(A)
    app.work(120)
    app.world.refusals[A] = [Refusal("InternalError", "not now")]
    app.edit(SERVICE, CONSUMER, effect="allow")
    app.work()
    assert why(app).startswith(f"Rejected: {ROW} allows it, but EC2 refused to accept it (InternalError: not now)")
    app.edit(SERVICE, CONSUMER, effect="review")
    app.work(60)
    app.settle()
    assert why(app) == f"Rejected: {ROW} wants somebody to review it; next: change its effect to allow or deny."


def test_a_run_that_ended_after_the_act_leaves_a_sentence_that_the_next_look_completes(open_app: Application) -> None:
    entry = _left_open(open_app)
    open_app.world.turn(A, State.AVAILABLE)
    open_app.world.advance(120)
    open_app.settle()
    assert open_app.known(A).entry == entry
    assert why(open_app) == f"Accepted: {ROW} (ticket NET-17) allows it."


def _left_open(app: Application) -> str:
    """A decision was written, and the run ended before it could ask EC2."""
    app.world.connect(A, SERVICE)
    connection, rows = app.world.connection(A), app.allow_list.rows_for([app.world.connection(A)])
    view = app.approver.contexts.view(SERVICE, [connection], rows, {})
    return app.ledger.decided(view.judge(connection, app.world.now), "Connect", app.world.now)


def test_an_accept_out_of_band_names_who_did_it_as_soon_as_it_is_known(app: Application) -> None:
    app.connect(A)
    app.work()
    app.world.turn(A, State.AVAILABLE)
    app.settle()
    assert why(app).startswith("Accepted by somebody, not by Linkgate (seen 2026-")
    assert "Linkgate's own decision was hold (not_listed)" in why(app)
    app.bells.send([Bell(frozenset({A}), origin=f"CloudTrail AcceptVpcEndpointConnections {ADMIN}")])
    app.work(10)
    assert why(app).startswith(f"Accepted by {ADMIN}, not by Linkgate (seen 2026-")


def test_a_rejection_out_of_band_says_what_linkgate_had_decided(open_app: Application) -> None:
    open_app.connect(A)
    open_app.work(60)
    open_app.allow_list.delete(SERVICE, CONSUMER)
    open_app.world.turn(A, State.REJECTED)
    open_app.bells.send([Bell(frozenset({A}), origin=f"CloudTrail RejectVpcEndpointConnections {ADMIN}")])
    open_app.work(10)
    assert why(open_app).startswith(f"Rejected by {ADMIN}, not by Linkgate (seen 2026-")
    assert f"Linkgate's own decision was accept (allowed, {ROW})" in why(open_app)


def test_what_was_live_before_linkgate_came_says_so_until_it_is_decided_on(app: Application) -> None:
    app.world.connect(A, SERVICE, state=State.AVAILABLE)
    app.settle()
    assert why(app) == found(State.AVAILABLE)
    app.settle()
    assert why(app).startswith(f"Still live: no row covers account {CONSUMER} or {A}; reconcile = report (by default)")
    app.edit(SERVICE, CONSUMER, effect="allow")
    assert why(app) != found(State.AVAILABLE)


def test_what_is_gone_says_so_and_a_change_of_state_alone_changes_no_sentence(open_app: Application) -> None:
    for endpoint in (A, B):
        open_app.connect(endpoint)
    open_app.work()
    before = why(open_app)
    open_app.work(60)
    open_app.settle()
    assert (open_app.known(A).state, why(open_app)) == (State.AVAILABLE, before)
    open_app.world.turn(A, State.DELETED)
    open_app.world.forget(B)
    open_app.work(600)
    open_app.settle()
    open_app.work(60)
    assert [why(open_app, endpoint) for endpoint in (A, B)] == [found(State.DELETED)] * 2


def test_a_cut_says_why_and_what_ec2_had_against_it_while_it_had(open_app: Application) -> None:
    open_app.connect(A)
    open_app.work(10)
    open_app.edit(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="1s")
    open_app.world.refusals[A] = [Refusal("InternalError", "not now")]
    open_app.edit(SERVICE, CONSUMER, effect="deny", cut="now")
    refusal = "but EC2 refused to reject it (InternalError: not now)"
    assert why(open_app).startswith(f"Still live: {ROW} denies it, {refusal}")
    open_app.work(60)
    open_app.settle()
    assert why(open_app).startswith(f"Cut: {ROW} denies it; next: delete that row or change it")
