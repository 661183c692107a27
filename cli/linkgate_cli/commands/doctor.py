"""`linkgate doctor`: whether everything is wired, and what mends what is not."""

import textwrap

import typer
from rich.text import Text

from linkgate_cli.checks import CHECKS, examine
from linkgate_cli.checks.finding import Finding
from linkgate_cli.evidence import Evidence, read
from linkgate_cli.failures import FOUND
from linkgate_cli.output import BAD, DIM, GOOD, WARN, age, clean, console, say_json
from linkgate_cli.session import Session


def command(ctx: typer.Context) -> None:
    """Whether everything is wired, and what mends what is not.

    Exit code 2 if something is wrong.

    Example: linkgate doctor
    """
    session = Session.of(ctx)
    evidence = read(session)
    found = examine(evidence)
    wrong = [one for one in found if not one.note]
    if session.output == "json":
        findings = [one._asdict() for one in found]
        body = {"stack": session.stack, "region": evidence.overview.region, "at": evidence.overview.now}
        say_json("doctor", {**body, "checks": list(CHECKS), "last_sweep": evidence.swept, "findings": findings})
    else:
        _show(evidence, found)
    raise typer.Exit(FOUND if wrong else 0)


def _show(evidence: Evidence, found: list[Finding]) -> None:
    screen, names = console(), [*CHECKS, "not looked at"]
    width = max(map(len, names))
    for name in names:
        mine = [one for one in found if one.check == name]
        if not mine and name in CHECKS:
            screen.print(Text.assemble(("ok  ", GOOD), name.ljust(width), (f"  {_well(name, evidence)}", DIM)))
        for one in mine:
            mark, colour = ("-   ", DIM) if one.note else ("!   ", BAD if name in CHECKS else WARN)
            text = textwrap.fill(clean(one.text), screen.width - width - 6).replace("\n", "\n" + " " * (width + 6))
            screen.print(Text.assemble((mark, colour), name.ljust(width), "  ", text), soft_wrap=True)
            if one.mend != "no need":
                screen.print(Text.assemble(" " * (width + 6), (clean(one.mend), "bold")), soft_wrap=True)
    wrong = sum(not one.note for one in found)
    said = f"{wrong or 'nothing'} to mend, {len(found) - wrong or 'nothing'} to know; {len(CHECKS)} checks"
    screen.print(f"\n{said}", style="bold")


def _well(name: str, evidence: Evidence) -> str:
    """What is well, where a number says more than the name of the check."""
    if name == "functions" and evidence.swept:
        return f"last sweep {age(evidence.swept, evidence.overview.now)} ago"
    if name == "tags":
        return f"managed: {sum(one.managed for one in evidence.offered.values())}"
    if name == "queues":
        return f"{sum(evidence.queues.values())} messages on their way, none given up"
    return f"{len(evidence.rows)} rows" if name == "unreadable" else ""
