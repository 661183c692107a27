"""What watching an endpoint costs a month, beside CloudWatch Synthetics and a plain Lambda: writes docs/cost.md.

`python -m bench.cost` prints the page. Prices, measurements and what is counted are named in bench/cost.toml.
"""

import itertools
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SIZES = (1, 10, 100, 1000)
TARGETS_PER_CALL = 100
GIGABYTE = 1024
READ_BYTES, WRITE_BYTES = 4096, 1024

Table = Mapping[str, Mapping[str, Any]]

HEAD = """# What it costs

`python -m bench.cost` writes this page from [bench/cost.toml](../bench/cost.toml); tests hold the page to it, and what
is counted there to the template and to what the functions write. **The prices are list prices of us-east-1, not
checked against AWS**; free tiers are left out, but for the dashboard: it has at most 50 metrics, and three of those in
an account are free (each further one is $3.00 a month). Change them to yours and run it again.
"""


@dataclass(frozen=True)
class Cost:
    """Prices and figures by name; all answers in dollars a month for `n` endpoints."""

    price: Mapping[str, float]
    figure: Mapping[str, float]

    @classmethod
    def of(cls, table: Table) -> "Cost":
        """From the tables of bench/cost.toml."""
        price = {name: one["dollars"] / one["per"] for name, one in table["price"].items()}
        parts = (table[part] for part in ("measured", "assumed", "counted"))
        return cls(price, {name: one["value"] for part in parts for name, one in part.items()})

    def synthetics(self, n: int) -> float:
        """A CloudWatch Synthetics canary for each endpoint, once a minute: its runs alone."""
        return n * self._of("synthetics", self.figure["minutes"])

    def plain(self, n: int) -> float:
        """A Lambda invocation for each endpoint and minute that probes one name, with metrics and alarms of its own."""
        f, minutes = self.figure, self.figure["minutes"]
        return n * (
            self._runs(minutes, f["plain_ms"], f["canary_mb"])
            + self._of("schedule", minutes)
            + self._of("metric", f["plain_metrics"])
            + self._of("alarm", f["plain_alarms"])
            + self._of("log", minutes * f["plain_bytes"])
        )

    @property
    def unused_name(self) -> float:
        """The log of an endpoint that does not use its service's private name: each round looks for it in vain."""
        return self._of("log", self.figure["minutes"] * self.figure["failed_bytes"])

    def probing(self, n: int) -> dict[str, float]:
        """The canary, patrol, and the metrics that they write."""
        f, minutes = self.figure, self.figure["minutes"]
        probes = n * (f["zones"] * 2)
        calls = math.ceil(n * (1 + f["zones"]) / TARGETS_PER_CALL)
        canary_ms = f["canary_ms"] + probes * f["probe_ms"] / calls if calls else 0
        # Calls go out side by side; patrol waits for the slowest.
        patrol_ms = f["wait_ms"] + canary_ms + n * f["patrol_ms"]
        size = math.ceil(f["item_bytes"] / WRITE_BYTES)
        return {
            "canary": self._runs(minutes * calls, canary_ms, f["canary_mb"]),
            "patrol": self._runs(minutes, patrol_ms, f["patrol_mb"]) + self._of("schedule", minutes),
            "metrics of health": self._of("metric", f["health_metrics"] if n else f["idle_health_metrics"]),
            "alarms on them": self._of("alarm", f["health_alarms"]),
            "ledger: health read every round": self._of("read", minutes * (n + f["round_reads"])),
            # The index carries the whole item, so each write is two.
            "ledger: health written": self._of("write", n * minutes / f["write_minutes"] * size * 2),
            "logs of both": self._of(
                "log", minutes * (calls * f["canary_bytes"] + f["patrol_bytes"] + n * f["phase_bytes"])
            ),
        }

    def gate(self, n: int) -> dict[str, float]:
        """Everything else, while nobody asks for a connection and nobody edits the table."""
        f, sweeps = self.figure, self.figure["minutes"] / self.figure["sweep_minutes"]
        reads = math.ceil(n * f["item_bytes"] / READ_BYTES) / 2
        return {
            "sweep": self._runs(sweeps, f["wait_ms"] + n * f["sweep_ms"], f["sweep_mb"])
            + self._of("schedule", sweeps)
            + self._of("read", sweeps * reads)
            + self._of("write", sweeps * f["sweep_writes"])
            + self._of("log", sweeps * f["sweep_bytes"]),
            "other metrics": self._of("metric", f["metrics"] - f["health_metrics"]),
            "other alarms": self._of("alarm", f["alarms"] - f["health_alarms"]),
            "key of the topics": self._of("key", f["keys"]),
            "queues that are polled": self._of("request", f["queues"] * f["polls"] * f["minutes"]),
        }

    def whole(self, n: int) -> float:
        """Probing and gate together."""
        return sum((self.probing(n) | self.gate(n)).values())

    @property
    def service(self) -> float:
        """Each further managed service, whose endpoints are counted elsewhere."""
        return self._of("metric", self.figure["service_metrics"])

    @property
    def demo(self) -> float:
        """Dollars an hour of stacks/demo.yaml, beside disks and traffic."""
        return (
            self._of("instance", self.figure["demo_instances"])
            + self._of("balancer", self.figure["demo_balancers"])
            + self._of("endpoint", self.figure["demo_zones"])
        )

    def _of(self, name: str, amount: float) -> float:
        return self.price[name] * amount

    def _runs(self, number: float, milliseconds: float, megabytes: float) -> float:
        seconds = number * milliseconds / 1000 * megabytes / GIGABYTE
        return self._of("lambda_request", number) + self._of("lambda_second", seconds)


def page(table: Table) -> str:
    """docs/cost.md, from the tables of bench/cost.toml."""
    cost = Cost.of(table)
    return "\n".join([HEAD, *_fixed(cost), "", *_compared(cost), "", *_parts(cost), "", *_inputs(table)]) + "\n"


def table() -> Table:
    """What bench/cost.toml says."""
    return tomllib.loads((ROOT / "bench" / "cost.toml").read_text())


def _fixed(cost: Cost) -> Iterator[str]:
    yield _row("what", "dollars")
    yield _row("---", "---:")
    yield _row("a stack that manages no service yet, a month", f"{cost.whole(0):.2f}")
    yield _row("each managed service beside the first that has endpoints, a month", f"{cost.service:.2f}")
    yield _row("stacks/demo.yaml, an hour, beside disks and traffic", f"{cost.demo:.3f}")
    yield """
An alarm on a sum of metrics costs as much as one alarm on each, so each question has its own. What the dashboard shows
beyond its metrics it reads from the logs, for $0.005 a gigabyte that is read."""
    yield "\nDollars for each endpoint and month, by how many endpoints are watched:"


def _compared(cost: Cost) -> Iterator[str]:
    yield _row("dollars an endpoint and month", *(f"{n:,} endpoint{'s' * (n > 1)}" for n in SIZES))
    yield _row("---", *["---:"] * len(SIZES))
    yield _row("CloudWatch Synthetics, its runs alone", *(f"{cost.synthetics(n) / n:.2f}" for n in SIZES))
    yield _row("a plain Lambda for each endpoint", *(f"{cost.plain(n) / n:.2f}" for n in SIZES))
    probing = [sum(cost.probing(n).values()) / n for n in SIZES]
    yield _row("**Linkgate's probing**", *(f"**{each:.3f}**" for each in probing))
    yield _row("**the whole of Linkgate**, at rest", *(f"**{cost.whole(n) / n:.3f}**" for n in SIZES))
    most = SIZES[-1]
    more = (cost.whole(2 * most) - cost.whole(most)) / most
    cheaper = next(n for n in itertools.count(1) if sum(cost.probing(n).values()) < cost.plain(n))
    yield f"""
One endpoint more costs {more:.3f} dollars a month: metrics and alarms do not grow with healthy endpoints, and one that
fails has a metric of its own meanwhile, {cost.price["metric"] / 730:.4f} dollars an hour. From {cheaper} endpoints on,
probing costs less than the plain Lambda, which knows no zones, no private names and no cause. Synthetics and the plain
Lambda probe one name of an endpoint; Linkgate crosses every address of every name, and is the gate as well. Where a
service has a private name that an endpoint does not use, the canary looks for it in vain, which adds
{cost.unused_name:.3f} dollars a month in logs."""


def _parts(cost: Cost) -> Iterator[str]:
    yield _row("dollars a month in all", *(f"{n:,} endpoint{'s' * (n > 1)}" for n in SIZES))
    yield _row("---", *["---:"] * len(SIZES))
    columns = [cost.probing(n) | cost.gate(n) for n in SIZES]
    for name in columns[0]:
        yield _row(name, *(f"{column[name]:.2f}" for column in columns))
    yield _row("**sum**", *(f"**{sum(column.values()):.2f}**" for column in columns))


def _inputs(table: Table) -> Iterator[str]:
    yield "## What it is made of\n"
    yield _row("price", "dollars", "for", "source")
    yield _row("---", "---:", "---:", "---")
    for one in table["price"].values():
        yield _row(one["unit"], f"{one['dollars']:.10f}".rstrip("0").rstrip("."), f"{one['per']:,.0f}", one["source"])
    yield ""
    yield _row("figure", "value", "how it is known")
    yield _row("---", "---:", "---")
    for how in ("measured", "assumed", "counted"):
        for one in table[how].values():
            yield _row(one["unit"], f"{one['value']:g}", ": ".join(filter(None, (how, one.get("how")))))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print docs/cost.md."""
    print(page(table()), end="")


if __name__ == "__main__":
    main()
