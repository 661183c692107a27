"""Who of the live connections is cut, reported or withheld: `reconcile`, mode and the breaker's budget. Pure."""

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from datetime import datetime

from linkgate.ledger.breaker import Counted
from linkgate.model import Budget, Decision, Mode, Reconcile, ServiceSettings


@dataclass(frozen=True, slots=True)
class Cuts:
    """Endpoints that are no longer allowed, each in one set; `due` ones are cut once their grace is over."""

    due: frozenset[str] = frozenset()
    reported: frozenset[str] = frozenset()
    withheld: frozenset[str] = frozenset()
    """By the breaker, until they are released."""


def at_once(decision: Decision) -> bool:
    """Whether a cut waits neither for the grace nor for the breaker, nor for `reconcile`."""
    return decision.cut_now and decision.mode is Mode.ENFORCE


def is_unwanted(decision: Decision, settings: ServiceSettings) -> bool:
    """Whether a live connection that is decided on like this is to be reported or cut."""
    return decision.reason.ends and (at_once(decision) or settings.reconcile is not Reconcile.OFF)


def divided(
    unwanted: Mapping[str, Decision],
    settings: ServiceSettings,
    released: Collection[str],
    counted: Counted,
    live: int,
    now: datetime,
) -> Cuts:
    """What becomes of the unwanted of so many live connections; `counted` is the breaker's count of cuts."""
    ordinary = frozenset(endpoint for endpoint, decision in unwanted.items() if not at_once(decision))
    if settings.mode is not Mode.ENFORCE or settings.reconcile is not Reconcile.ENFORCE:
        return Cuts(due=frozenset(unwanted) - ordinary, reported=ordinary)
    kept = withheld(ordinary - frozenset(released), counted, settings.max_cuts, live, now)
    return Cuts(due=frozenset(unwanted) - kept, withheld=kept)


def withheld(wanted: Set[str], counted: Counted, budget: Budget, live: int, now: datetime) -> frozenset[str]:
    """Whose cuts the breaker withholds: everybody's, if one more look's were too many, until they are released."""
    spent, before = counted
    looser = budget.of(live) > before.budget.of(live)
    still = frozenset[str]() if looser else before.endpoints & wanted
    too_many = len(wanted) + spent.within_the_hour(now) > budget.of(live)
    return frozenset(wanted) if wanted and (still or too_many) else frozenset()
