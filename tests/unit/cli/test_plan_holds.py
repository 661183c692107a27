"""`plan`, then the edit: what the sweep and the approver do afterwards is what the plan said, for each connection."""

import random
from collections.abc import Mapping
from decimal import Decimal

import pytest
from linkgate.model import Mode, Reconcile, RowKey, ServiceSettings, State
from linkgate.policy.decide import settings_for
from linkgate.policy.rows import Item
from linkgate_cli.outlook import Action, Outlook, Seen, outlooks
from linkgate_cli.outlook import Table as PlannedTable
from linkgate_cli.planning import plan

from tests.application import SERVICE, Application
from tests.world import endpoint_id

TEAM, ORGANIZATION = "ou-ab12-11111111", "o-a1b2c3d4e5"
ACCOUNTS = [f"{700000000000 + number}" for number in range(4)]
ENDPOINTS = [endpoint_id(number) for number in range(1, 13)]
REGIONS = ["eu-west-1", "us-east-1"]
DATES = ["2026-11-01T00:00:00Z", "2026-12-24T00:00:00Z", "2020-01-01T00:00:00Z"]


def rule(chance: random.Random) -> dict[str, object]:
    effect = chance.choice(["allow", "allow", "allow", "deny", "review"])
    row: dict[str, object] = {"effect": effect}
    if effect == "allow" and chance.random() < 0.4:
        row["limit"] = Decimal(chance.randrange(4))
    if effect == "deny" and chance.random() < 0.3:
        row["cut"] = "now"
    for name, values in (("regions", REGIONS), ("expires_at", DATES), ("starts_at", DATES[:2]), ("ticket", ["A", "B"])):
        if chance.random() < 0.12:
            row[name] = chance.choice(values)
    if chance.random() < 0.03:
        row["expires"] = "2027-01-01"
    return row


def settings(chance: random.Random) -> dict[str, object]:
    values: dict[str, object] = {
        "mode": chance.choice(["enforce", "enforce", "enforce", "observe"]),
        "default": chance.choice(["hold", "reject"]),
        "reconcile": chance.choice(["off", "report", "enforce", "enforce", "enforce"]),
        "grace": chance.choice(["0s", "5s"]),
        "max_cuts": chance.choice(["0", "1", "5", "50%", "100"]),
        "max_rejects": chance.choice(["0", "2", "50%", "100"]),
    }
    return values | ({"frozen_until": chance.choice(DATES)} if chance.random() < 0.15 else {})


def consumer(chance: random.Random) -> str:
    units = [TEAM, ORGANIZATION] if chance.random() < 0.3 else []
    return chance.choice([*ACCOUNTS, *ACCOUNTS, chance.choice(ENDPOINTS), "*", *units])


def edits(chance: random.Random, app: Application) -> dict[RowKey, Item | None]:
    """One to four rows written or deleted, settings and releases too."""
    found: dict[RowKey, Item | None] = {}
    for _ in range(chance.randrange(1, 5)):
        kind = chance.random()
        service = "*" if chance.random() < 0.15 else SERVICE
        if kind < 0.2 and app.allow_list.table:
            rules = [key for key in app.allow_list.table if key.consumer != "@settings"]
            found |= dict.fromkeys(chance.sample(rules, min(1, len(rules))))
        elif kind < 0.35:
            found[RowKey(SERVICE, "@settings")] = item(SERVICE, "@settings", settings(chance))
        elif kind < 0.42:
            some = set(chance.sample(ENDPOINTS, 3))
            found[RowKey(service, "@release")] = item(service, "@release", {"endpoints": some})
        elif kind < 0.45:
            found[RowKey(service, "7000")] = item(service, "7000", rule(chance))
        else:
            who = consumer(chance)
            found[RowKey(service, who)] = item(service, who, rule(chance))
    return found


def item(service: str, consumer: str, values: Mapping[str, object]) -> Item:
    return {"service": service, "consumer": consumer, **values}


def settle(app: Application) -> None:
    """Sweeps until nothing is left to do, within the hour that the breaker counts."""
    for _ in range(4):
        app.settle()
        app.work(30)


def world(chance: random.Random) -> Application:
    """A service with a dozen endpoints, live, waiting and rejected ones, whose ledger follows."""
    app = Application()
    app.world.accepts_rejected = True
    app.organization.tree |= {ACCOUNTS[0]: (TEAM, ORGANIZATION), ACCOUNTS[1]: (ORGANIZATION,)}
    app.allow_list.put(SERVICE, "@settings", **settings(chance) | {"mode": "enforce"})
    for account in ACCOUNTS:
        if chance.random() < 0.7:
            app.allow_list.put(SERVICE, account, **rule(chance))
    for endpoint in ENDPOINTS:
        app.connect(endpoint, chance.choice(ACCOUNTS), chance.choice(REGIONS))
        app.work(2)
        if chance.random() < 0.15:
            app.world.turn(endpoint, chance.choice([State.AVAILABLE, State.REJECTED, State.DELETED]))
    settle(app)
    return app


def seen(app: Application) -> Seen:
    known, slots = app.ledger.whole(SERVICE)
    state = app.sweeper.comparer.contexts.states([SERVICE])[SERVICE]
    return Seen(SERVICE, app.connections.of([SERVICE])[SERVICE].connections, known, slots, state)


def did(app: Application, endpoint: str, before: Mapping[str, State | None], acts: int) -> tuple[Action, bool]:
    """What was done with an endpoint, and whether EC2 was asked to: by EC2's state and the ledger."""
    told = [outcome for outcome, one in app.world.acts[acts:] if one == endpoint]
    known = app.known(endpoint)
    was = before[endpoint]
    assert was is not None
    if was.live:
        if told:
            return Action.CUT, True
        kept, force = seen(app).state.cuts.tripped.endpoints, settings_for(SERVICE, app.allow_list.table)
        cuts = isinstance(force, ServiceSettings) and (force.mode, force.reconcile) == (Mode.ENFORCE, Reconcile.ENFORCE)
        if cuts and endpoint in kept and known.unwanted_since:
            return Action.WITHHOLD, False
        return (Action.REPORT if known.unwanted_since else Action.KEEP), False
    if told:
        return Action(told[0]), True
    if was is State.REJECTED:
        return Action.LEAVE, False
    return Action(known.outcome), False


@pytest.mark.parametrize("seed", range(200))
def test_what_is_done_after_an_edit_is_what_the_plan_said(seed: int) -> None:
    chance = random.Random(seed)
    app = world(chance)
    edited, contexts = edits(chance, app), app.sweeper.comparer.contexts
    there = [one.endpoint for one in seen(app).connections if not one.state.gone]
    made = plan([seen(app)], app.allow_list.table, edited, contexts, app.world.now)
    new = {key: row for key, row in {**app.allow_list.table, **edited}.items() if row is not None}
    said = outlooks(seen(app), PlannedTable(new), contexts, app.world.now)
    before, acts = {one: app.state(one) for one in there}, len(app.world.acts)
    app.allow_list.table = dict(new)
    app.sweeper.edited(edited, "an edit")
    settle(app)
    assert {one: did(app, one, before, acts) for one in there} == {one: _shown(said[one]) for one in there}
    for one in there:
        if said[one].action in (Action.HOLD, Action.REJECT, Action.ACCEPT):
            assert app.known(one).reason == said[one].decision.reason
    assert {one.connection.endpoint for one in made.cuts} <= {one for one in there if said[one].action is Action.CUT}


def _shown(outlook: Outlook) -> tuple[Action, bool]:
    return outlook.action, outlook.acts
