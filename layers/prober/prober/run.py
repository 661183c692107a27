"""One run: every address of every target's name is probed once, within one deadline; no AWS API is called, ever."""

import functools
import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import takewhile
from threading import Lock

from prober.clock import Clock, Failed
from prober.dns import resolve
from prober.probe import probe
from prober.scope import Scope
from prober.target import Target
from prober.tls import trusting
from prober.verdict import OUT_OF_TIME, Verdict

MOST_TARGETS, MOST_ADDRESSES = 10_000, 16
"""Targets of one run, and addresses of one name that are probed: an endpoint has one or two a zone."""
AT_ONCE = 100
"""Threads that probe, each with a socket and, of an answer that floods, a MiB."""
GAP = 0.01
"""Seconds between two starts: a TLS probe takes 1 to 2 ms of a CPU, and a function of 512 MB has 0.29 of one.

Without it probes wait for one another's CPU and report that as the network's time (`python -m bench.probe`).
"""


@functools.cache
def threads() -> ThreadPoolExecutor:
    """Those of the process: a pool made for each run would be one more thing that a run of one target waits for."""
    return ThreadPoolExecutor(AT_ONCE, "probe")


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
        trusting(scope.authorities)  # before the clocks run: it takes a small function a tenth of a second, once
    Run(scope, deadline).probe(names)
    if (more := len(targets) - MOST_TARGETS) > 0:
        found.append([Verdict.blank(None).saying("probe_error", f"{more} targets beyond {MOST_TARGETS} were left out")])
    return [verdict for verdicts in found for verdict in verdicts]


class Run:
    """Threads that resolve and probe side by side, GAP apart, so that none falsifies what another measures."""

    def __init__(self, scope: Scope, deadline: float) -> None:
        self._scope = scope
        self._deadline = deadline
        self._probes: list[Future[None]] = []
        self._turn, self._next = Lock(), -math.inf

    def probe(self, names: Mapping[tuple[str, float], Sequence[ProbeJob]]) -> None:
        """Fill in the verdicts of jobs, given by host and timeout; returns when all that began is done."""
        # Addresses take turns as well, so that hardly more names are resolved than probed.
        begun = takewhile(lambda _: self._begins(), names.items())
        wait([threads().submit(self._resolve, *name, jobs) for name, jobs in begun])
        wait(self._probes)

    def _begins(self) -> bool:
        """Wait for a turn, of which two come at once after a pause; False if the run is out of time by then."""
        with self._turn:
            time.sleep(max(0.0, min(self._next, self._deadline) - time.monotonic()))
            self._next = max(self._next + GAP, time.monotonic())
        return time.monotonic() < self._deadline

    def _resolve(self, host: str, timeout: float, jobs: Sequence[ProbeJob]) -> None:
        """Resolve a name for all jobs that need it, then probe each address."""
        clock = Clock(timeout, self._deadline)
        try:
            with clock.phase("dns"):
                addresses = self._scope.own(found := resolve(host, clock.left(), self._scope.ipv6))
            if not addresses:
                raise Failed("probe_error", f"{host} leads to {found[0]} alone, and this canary has no IPv6")
        except Failed as failed:
            cause, detail = failed.cause, str(failed)
        except Exception as error:
            cause, detail = "probe_error", f"{type(error).__name__}: {error}"
        else:
            for job in jobs:
                self._submit(job, addresses, clock)
            return
        if clock.over:
            cause, detail = "probe_error", OUT_OF_TIME
        for job in jobs:
            closed = job.target.closed and cause == "dns_not_found"
            told = ("", f"closed as expected ({cause})") if closed else (cause, detail)
            job.verdicts[:] = [job.verdicts[0].saying(*told, phases=_phases(clock))]

    def _submit(self, job: ProbeJob, addresses: Sequence[str], clock: Clock) -> None:
        """Have each address probed that is in scope; the others are verdicts already."""
        start, more = job.verdicts[0], len(addresses) - MOST_ADDRESSES
        job.verdicts[:] = [replace(start, address=address) for address in addresses[:MOST_ADDRESSES]]
        for place, verdict in enumerate(job.verdicts):
            if self._scope.includes(verdict.address):
                mine = Clock(clock.timeout, clock.deadline, dict(clock.phases))
                self._probes.append(threads().submit(self._probe, job, place, mine))
            else:
                detail = f"{verdict.address} is not in {', '.join(map(str, self._scope.networks))}"
                job.verdicts[place] = verdict.saying("dns_unexpected_address", detail, phases=_phases(clock))
        if more > 0:
            detail = f"the name has {more} addresses beyond the first {MOST_ADDRESSES}, which were not probed"
            job.verdicts.append(start.saying("dns_unexpected_address", detail))

    def _probe(self, job: ProbeJob, place: int, clock: Clock) -> None:
        if self._begins():
            job.verdicts[place] = probe(job.verdicts[place], job.target, clock)


def _phases(clock: Clock) -> dict[str, float]:
    return clock.phases | {"total": clock.phases["dns"]}
