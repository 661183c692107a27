"""The prober: every address of every target's name, each crossed once, within one deadline, one verdict an address.

Sockets and the clock are the operating system's; no AWS API is called, ever (design section 8). What may be
touched is fixed by the canary's own stack (`Limits`), so that no event makes a port scanner of it.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from linkgate.model import Verdict

from prober.clock import Clock, Failed
from prober.dns import resolve
from prober.probe import cross
from prober.scheduler import Job, Lanes
from prober.scope import Limits
from prober.target import OUT_OF_TIME, Aim, blank
from prober.tls import trusting

MOST_TARGETS, MOST_ADDRESSES = 10_000, 16
"""Targets of one run, and addresses of one name that are crossed: an endpoint has one or two a zone."""


@dataclass(frozen=True, slots=True)
class Errand:
    """A target that may be probed, and its verdicts as far as they are known."""

    aim: Aim
    verdicts: list[Verdict]


def probe_all(targets: object, limits: Limits, deadline: float = math.inf) -> list[Verdict]:
    """Probe a list of targets; at least one verdict each, in the order of targets and addresses. Never raises.

    `deadline` is in seconds of time.monotonic; a target that was not probed by then is a `probe_error`. A name is
    resolved once for all targets that share it.
    """
    if not isinstance(targets, list):
        return [_failed(blank(None), "probe_error", "not probed: there is no list of targets")]
    found: list[list[Verdict]] = []
    names: defaultdict[tuple[str, float], list[Errand]] = defaultdict(list)
    for target in targets[:MOST_TARGETS]:
        found.append(verdicts := [blank(target)])
        try:
            aim = Aim.read(target, limits)
            names[aim.host, aim.timeout].append(Errand(aim, verdicts))
        except Failed as failed:
            verdicts[0] = _failed(verdicts[0], failed.cause, str(failed))
        except Exception as error:  # such as a number too long to be repeated
            verdicts[0] = _failed(verdicts[0], "probe_error", f"{type(error).__name__}: {error}")
    if any(errand.aim.secure for errands in names.values() for errand in errands):
        trusting()  # before the clocks run: it takes a small function a tenth of a second, once
    Lanes(deadline).drive(
        partial(_find, host, Clock(timeout, deadline), errands, limits) for (host, timeout), errands in names.items()
    )
    if (more := len(targets) - MOST_TARGETS) > 0:
        found.append([_failed(blank(None), "probe_error", f"{more} targets beyond {MOST_TARGETS} were not looked at")])
    return [verdict for verdicts in found for verdict in verdicts]


def _find(host: str, clock: Clock, errands: list[Errand], limits: Limits) -> list[Job]:
    """Resolve a name for all who need it; what follows is a crossing to each address."""
    try:
        with clock.phase("dns"):
            addresses = resolve(host, clock.left())
    except Failed as failed:
        cause, detail = ("probe_error", OUT_OF_TIME) if clock.over else (failed.cause, str(failed))
    except Exception as error:
        cause, detail = "probe_error", f"{type(error).__name__}: {error}"
    else:
        return [job for errand in errands for job in _crossings(errand, addresses, clock, limits)]
    for errand in errands:
        shut = errand.aim.closed and cause == "dns_not_found"
        told = ("", f"closed as expected ({cause})") if shut else (cause, detail)
        errand.verdicts[:] = [replace(_failed(errand.verdicts[0], *told), phases=_phases(clock))]
    return []


def _crossings(errand: Errand, addresses: list[str], clock: Clock, limits: Limits) -> Iterator[Job]:
    """A job for each address that lies in the VPC; the others are verdicts already."""
    start, more = errand.verdicts[0], len(addresses) - MOST_ADDRESSES
    errand.verdicts[:] = [replace(start, address=address) for address in addresses[:MOST_ADDRESSES]]
    for place, verdict in enumerate(errand.verdicts):
        if limits.reach(verdict.address):
            yield partial(_cross, errand, place, clock)
        else:
            detail = f"{verdict.address} is not in {', '.join(map(str, limits.networks))}"
            errand.verdicts[place] = replace(_failed(verdict, "dns_unexpected_address", detail), phases=_phases(clock))
    if more > 0:
        detail = f"the name has {more} addresses beyond the first {MOST_ADDRESSES}, which nobody crossed to"
        errand.verdicts.append(_failed(start, "dns_unexpected_address", detail))


def _cross(errand: Errand, place: int, clock: Clock) -> list[Job]:
    mine = Clock(clock.timeout, clock.deadline, dict(clock.phases))
    errand.verdicts[place] = cross(errand.verdicts[place], errand.aim, mine)
    return []


def _failed(verdict: Verdict, cause: str, detail: str) -> Verdict:
    return replace(verdict, cause=cause, detail=detail[:300])


def _phases(clock: Clock) -> dict[str, float]:
    return clock.phases | {"total": clock.phases["dns"]}
