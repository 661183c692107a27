"""An account's slots on a service, and what is seen of them: for the tests of the connection limit."""

from typing import Any

from linkgate.ledger.slots import leave, limit_name, take
from linkgate.model import State, Status

from tests.application import SERVICE, Application
from tests.world import CONSUMER, endpoint_id, service_id

SECOND = service_id(2)
HELD, ACCEPTED, WOULD = "Endpoint Connection Held", "Endpoint Connection Accepted", "Would Accept"
SERVED = f"a slot of {CONSUMER} was freed"


def limited(limit: int, **settings: str) -> Application:
    """An application that lets CONSUMER have so many connections."""
    app = Application()
    app.allow_list.put(SERVICE, "@settings", **{"mode": "enforce", **settings})
    app.allow_list.put(SERVICE, CONSUMER, effect="allow", limit=limit)
    return app


def arrive(app: Application, *numbers: int, send: bool = True, **whose: str) -> None:
    """Endpoints are created a second apart, in this order."""
    for number in numbers:
        app.world.connect(endpoint_id(number), whose.get("service", SERVICE), whose.get("account", CONSUMER))
        if send:
            app.send(endpoint_id(number), origin="Connect")
        app.world.advance(1)


def rest(app: Application) -> None:
    """Until nothing is left to be done: bells answered, and a sweep that finds nothing more."""
    app.work(600)
    for _ in range(3):
        app.settle()
        app.work(600)
    assert app.sweeper.sweep("a sweep").sum(lambda found: found.requeued) == 0


def live(app: Application) -> list[int]:
    """The numbers of the endpoints that are live in EC2, as they came."""
    return [int(name.removeprefix("vpce-"), 16) for name in app.world.links if alive(app, name)]


def alive(app: Application, endpoint: str) -> bool:
    state = app.state(endpoint)
    return state is not None and state.live


def held(app: Application) -> list[int]:
    """The numbers of the endpoints that the ledger holds for want of a slot."""
    return [int(name.removeprefix("vpce-"), 16) for name, one in sorted(app.ledger.currents.items()) if waits(one)]


def waits(one: Any) -> bool:
    return one.status is Status.HELD and one.over_limit


def claims(app: Application, account: str = CONSUMER, service: str = SERVICE) -> set[int]:
    """Who holds a slot, by the claims alone."""
    name = limit_name(service, account)
    members = app.sets.read([name]).get(name, frozenset())
    return {int(member.removeprefix("vpce-"), 16) for member in members}


def taken(app: Application, number: int) -> None:
    """A slot is taken behind the back of the endpoint's own item."""
    app.ledger.store.write(take(SERVICE, CONSUMER, endpoint_id(number)))


def given_back(app: Application, number: int) -> None:
    """A slot is given back behind the back of the endpoint's own item."""
    app.ledger.store.write(leave(SERVICE, CONSUMER, endpoint_id(number)))


def turn(app: Application, number: int, state: State, origin: str = "") -> None:
    """Other hands change a connection, and the notification of it rings."""
    app.world.turn(endpoint_id(number), state)
    app.send(endpoint_id(number), origin=origin)


def settled() -> Application:
    """An application with two slots, which 1 and 2 hold while 3 and 4 wait."""
    app = limited(2)
    arrive(app, 1, 2, 3, 4)
    rest(app)
    assert (live(app), claims(app), held(app)) == ([1, 2], {1, 2}, [3, 4])
    return app
