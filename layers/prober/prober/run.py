"""One run: every address of every target's name is probed once, within one deadline; no AWS API is called, ever."""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from prober.clock import Clock, Failed
from prober.dns import resolve
from prober.probe import probe
from prober.scheduler import Job, Scheduler
from prober.scope import Scope
from prober.target import Target
from prober.tls import trusting
from prober.verdict import OUT_OF_TIME, Verdict

MOST_TARGETS, MOST_ADDRESSES = 10_000, 16
"""Targets of one run, and addresses of one name that are probed: an endpoint has one or two a zone."""


@dataclass(frozen=True, slots=True)
class ProbeJob:
    """A target that may be probed, and its verdicts as far as they are known."""

    target: Target
    verdicts: list[Verdict]


def probe_all(targets: object, scope: Scope, deadline: float = math.inf) -> list[Verdict]:
    """Probe a list of targets; at least one verdict each, in the order of targets and addresses. Never raises.

    `deadline` is in seconds of time.monotonic; a target that was not probed by then is a `probe_error`. A name is
    resolved once for all targets that share it.
    """
    if not isinstance(targets, list):
        return [Verdict.blank(None).saying("probe_error", "not probed: there is no list of targets")]
    found: list[list[Verdict]] = []
    names: defaultdict[tuple[str, float], list[ProbeJob]] = defaultdict(list)
    for one in targets[:MOST_TARGETS]:
        found.append(verdicts := [Verdict.blank(one)])
        try:
            target = Target.read(one, scope)
            names[target.host, target.timeout].append(ProbeJob(target, verdicts))
        except Failed as failed:
            verdicts[0] = verdicts[0].saying(failed.cause, str(failed))
        except Exception as error:  # such as a number too long to be repeated
            verdicts[0] = verdicts[0].saying("probe_error", f"{type(error).__name__}: {error}")
    if any(job.target.secure for jobs in names.values() for job in jobs):
        trusting()  # before the clocks run: it takes a small function a tenth of a second, once
    Scheduler(deadline).drive(
        partial(_find, host, Clock(timeout, deadline), jobs, scope) for (host, timeout), jobs in names.items()
    )
    if (more := len(targets) - MOST_TARGETS) > 0:
        found.append([Verdict.blank(None).saying("probe_error", f"{more} targets beyond {MOST_TARGETS} were left out")])
    return [verdict for verdicts in found for verdict in verdicts]


def _find(host: str, clock: Clock, jobs: list[ProbeJob], scope: Scope) -> list[Job]:
    """Resolve a name for all who need it; what follows is a probe of each address."""
    try:
        with clock.phase("dns"):
            addresses = resolve(host, clock.left())
    except Failed as failed:
        cause, detail = ("probe_error", OUT_OF_TIME) if clock.over else (failed.cause, str(failed))
    except Exception as error:
        cause, detail = "probe_error", f"{type(error).__name__}: {error}"
    else:
        return [job for one in jobs for job in _probes(one, addresses, clock, scope)]
    for one in jobs:
        shut = one.target.closed and cause == "dns_not_found"
        told = ("", f"closed as expected ({cause})") if shut else (cause, detail)
        one.verdicts[:] = [one.verdicts[0].saying(*told, phases=_phases(clock))]
    return []


def _probes(one: ProbeJob, addresses: list[str], clock: Clock, scope: Scope) -> Iterator[Job]:
    """A job for each address that lies in the VPC; the others are verdicts already."""
    start, more = one.verdicts[0], len(addresses) - MOST_ADDRESSES
    one.verdicts[:] = [replace(start, address=address) for address in addresses[:MOST_ADDRESSES]]
    for place, verdict in enumerate(one.verdicts):
        if scope.includes(verdict.address):
            yield partial(_probe, one, place, clock)
        else:
            detail = f"{verdict.address} is not in {', '.join(map(str, scope.networks))}"
            one.verdicts[place] = verdict.saying("dns_unexpected_address", detail, phases=_phases(clock))
    if more > 0:
        detail = f"the name has {more} addresses beyond the first {MOST_ADDRESSES}, which were not probed"
        one.verdicts.append(start.saying("dns_unexpected_address", detail))


def _probe(one: ProbeJob, place: int, clock: Clock) -> list[Job]:
    mine = Clock(clock.timeout, clock.deadline, dict(clock.phases))
    one.verdicts[place] = probe(one.verdicts[place], one.target, mine)
    return []


def _phases(clock: Clock) -> dict[str, float]:
    return clock.phases | {"total": clock.phases["dns"]}
