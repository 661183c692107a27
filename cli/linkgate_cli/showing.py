"""A plan as people and programs see it: text with the cuts first and last, markdown for a pull request, JSON."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from linkgate.model import Connection, Outcome
from linkgate.policy.grounds import Ground
from rich.console import Console
from rich.table import Table
from rich.text import Text

from linkgate_cli.failures import CUTS, ERROR, FOUND
from linkgate_cli.outlook import Action, Outlook
from linkgate_cli.output import BAD, DIM, GOOD, WARN, clean, table
from linkgate_cli.planning import Change, PastRequest, Plan, RowChange
from linkgate_cli.traffic import Traffic

MOST = 50
"""Rows, and connections of one kind, that a terminal or a comment shows; cuts are all shown, and JSON has all."""
SIGNS = {"add": "+", "remove": "-", "change": "~"}
COLOURS = {Action.CUT: BAD, Action.WITHHOLD: WARN, Action.REPORT: WARN, Action.REJECT: WARN, Action.ACCEPT: GOOD}

Flows = Mapping[str, Traffic]


def exit_code(plan: Plan) -> int:
    """3 if a live connection is cut, 2 if something changes, 0 if nothing does; 1 if a test does not hold."""
    if plan.failed_tests:
        return ERROR
    if plan.cuts:
        return CUTS
    return FOUND if plan.rows or plan.changes else 0


# ------------------------------------------------------------------ words


def verb(outlook: Outlook) -> str:
    """What is done, in a word or two."""
    if outlook.action in (Action.ACCEPT, Action.REJECT) and not outlook.acts:
        return f"would {outlook.action}"
    words = {
        Action.WITHHOLD: "withhold cut",
        Action.REPORT: "would cut",
        Action.HOLD: "wait",
        Action.LEAVE: "stay rejected",
    }
    return words.get(outlook.action, str(outlook.action))


def why(change: Change, plan: Plan) -> str:
    """The ground of what is done, with the line of the row that brings it about."""
    outlook = change.after
    one = outlook.judgment
    said, _ = Ground(one.connection, one.decision, one.rows, plan.now, one.context).says()
    line = f" (line {change.line})" if change.line else ""
    cause = f"; row {change.row} goes" if change.row in plan.removed else ""
    return clean(said) + line + cause + _aside(outlook)


def _aside(outlook: Outlook) -> str:
    if outlook.action is Action.WITHHOLD:
        return "; the breaker keeps it: linkgate release"
    if outlook.action is Action.REPORT:
        return "; it is reported, and stays"
    if outlook.action is Action.ACCEPT and outlook.judgment.connection.waits is False:
        return "; it was rejected: EC2 may refuse, and then the consumer must recreate it"
    return ""


def flow(change: Change, flows: Flows) -> str:
    """What passes through it now; "no data" where AWS says nothing."""
    return str(flows.get(change.connection.endpoint, "no data"))


def summary(plan: Plan) -> str:
    """One line: how many rows and connections change to what."""
    rows = Counter(row.kind for row in plan.rows)
    parts = [f"{count} {kind}" for kind, count in sorted(rows.items())]
    said = f"Rows: {', '.join(parts) or 'none changes'}. "
    counts = Counter(verb(one.after) for one in plan.changes)
    effects = [f"{count} {word}" for word, count in counts.items()]
    return said + f"Connections: {', '.join([*effects, f'{plan.unchanged} unchanged'])}."


def last_line(plan: Plan) -> str:
    """What must not be overlooked, as the last thing that is said; "" if there is nothing."""
    if plan.failed_tests:
        return f"{len(plan.failed_tests)} OF {plan.tests} TESTS DO NOT HOLD."
    if plan.cuts:
        many = len(plan.cuts) > 1
        return f"{len(plan.cuts)} LIVE CONNECTION{'S ARE' if many else ' IS'} CUT, after the grace."
    return ""


def past_groups(past: Iterable[PastRequest]) -> Iterator[str]:
    """Requests of before in sentences, one for each account and turn."""
    turns = Counter((one.connection.account, one.connection.service, _was(one), _would(one)) for one in past)
    for (account, service, was, would), count in turns.most_common():
        requests = f"{count} request{'s' * (count > 1)} of {account or 'nobody knows whom'}"
        yield f"{requests} to {service}: {was}, would be {would} today"


def _was(one: PastRequest) -> str:
    return f"{_done(one.before.outcome)} ({one.before.reason})"


def _would(one: PastRequest) -> str:
    return f"{_done(one.after.outcome)} ({one.after.reason})"


def _done(outcome: Outcome) -> str:
    return {Outcome.ACCEPT: "accepted", Outcome.REJECT: "rejected", Outcome.HOLD: "held"}.get(outcome, str(outcome))


# ------------------------------------------------------------------ text


def show(screen: Console, plan: Plan, flows: Flows) -> None:
    """The plan for a terminal or a pipe."""
    for row in plan.rows[:MOST]:
        screen.print(Text(f"{SIGNS[row.kind]} row {_row(row)}"), soft_wrap=True)
    _more(screen, len(plan.rows) - MOST, "rows")
    if plan.changes:
        screen.print(_table(plan, _most(plan.changes), flows))
        _more(screen, len(plan.changes) - len(_most(plan.changes)), "connections: --output json has all")
    if plan.anyway:
        screen.print(Text("without this edit just the same:", style=DIM))
        screen.print(_table(plan, _most(plan.anyway), flows))
    for endpoint, problem in plan.unreadable.items():
        screen.print(Text(clean(f"left alone: {endpoint}: the ledger's item cannot be read: {problem}"), style=WARN))
    for note in plan.notes[:MOST]:
        screen.print(Text(clean(f"in vain: {note}"), style=WARN), soft_wrap=True)
    _more(screen, len(plan.notes) - MOST, "rows that mean nothing")
    if plan.past is not None:
        sentences = list(past_groups(plan.past))
        for sentence in sentences[:MOST]:
            screen.print(Text(f"past   {sentence}"), soft_wrap=True)
        _more(screen, len(sentences) - MOST, "such")
        if not sentences:
            screen.print("past   no request of that time would be decided otherwise")
    if plan.tests:
        for sentence in plan.failed_tests:
            screen.print(Text(f"test   {clean(sentence)}", style=BAD), soft_wrap=True)
        screen.print(f"tests  {plan.tests - len(plan.failed_tests)} of {plan.tests} hold")
    screen.print(summary(plan), soft_wrap=True)
    if line := last_line(plan):
        screen.print(Text(line, style=BAD), soft_wrap=True)


def _table(plan: Plan, changes: Iterable[Change], flows: Flows) -> Table:
    rows = []
    for one in changes:
        cut = one.after.action in (Action.CUT, Action.WITHHOLD)
        owner = one.after.judgment.decision.people.get("owner", "")
        about = f"{one.connection.account} {owner}".strip()
        said = why(one, plan) + (f"; now {flow(one, flows)}" if cut else "")
        rows.append(
            (Text(verb(one.after), style=COLOURS.get(one.after.action, "")), one.connection.endpoint, about, said)
        )
    made = table("what", "endpoint", "consumer", "why", rows=rows)
    made.columns[1].no_wrap = True  # somebody copies it
    return made


def _row(row: RowChange) -> str:
    line = f" (line {row.line})" if row.line else ""
    if row.kind == "remove":
        return clean(f"{row.key}{line}")
    parts = []
    for name, (before, after) in row.attributes.items():
        if row.kind == "add":
            parts.append(f"{name} {after}")
        else:
            parts.append(f"{name} {before or 'unset'} -> {after or 'unset'}")
    return clean(f"{row.key}: {', '.join(parts)}{line}")


def _most(changes: Iterable[Change]) -> list[Change]:
    """All cuts, and of every other kind as many as somebody reads."""
    shown, seen = [], Counter[Action]()
    for one in changes:
        seen[one.after.action] += 1
        if one.after.action is Action.CUT or seen[one.after.action] <= MOST:
            shown.append(one)
    return shown


def _more(screen: Console, count: int, what: str) -> None:
    if count > 0:
        screen.print(f"… and {count} more {what}")


# ------------------------------------------------------------------ markdown


def markdown(plan: Plan, flows: Flows) -> str:
    """The plan as a comment on a pull request."""
    lines = [f"### Linkgate: {last_line(plan) or 'no live connection is cut'}", "", summary(plan), ""]
    if plan.changes:
        lines += ["| what | endpoint | consumer | why | now |", "|---|---|---|---|---|"]
        for one in _most(plan.changes):
            now = flow(one, flows) if one.after.action in (Action.CUT, Action.WITHHOLD) else ""
            what = f"**{verb(one.after)}**" if one.after.action is Action.CUT else verb(one.after)
            cells = (what, f"`{one.connection.endpoint}`", one.connection.account, _cell(why(one, plan)), now)
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    if plan.anyway:
        lines += [f"- without this edit just the same: {_anyway(one, plan)}" for one in _most(plan.anyway)]
        lines.append("")
    if plan.rows:
        lines += ["<details><summary>rows</summary>", "", "```diff"]
        lines += [f"{SIGNS[row.kind].replace('~', '!')} {_row(row).replace('```', '')}" for row in plan.rows[:MOST]]
        if len(plan.rows) > MOST:
            lines.append(f"… and {len(plan.rows) - MOST} more rows")
        lines += ["```", "", "</details>", ""]
    if plan.past:
        lines += [*(f"- past: {_cell(sentence)}" for sentence in list(past_groups(plan.past))[:MOST]), ""]
    lines += [f"- left alone, damaged in the ledger: `{one}`: {_cell(said)}" for one, said in plan.unreadable.items()]
    lines += [f"- in vain: {_cell(note)}" for note in plan.notes[:MOST]]
    lines += [f"- test: {_cell(sentence)}" for sentence in plan.failed_tests]
    if plan.tests:
        lines.append(f"Tests: {plan.tests - len(plan.failed_tests)} of {plan.tests} hold.")
    return "\n".join(lines).rstrip() + "\n"


def _anyway(one: Change, plan: Plan) -> str:
    return f"{verb(one.after)} `{one.connection.endpoint}` of {one.connection.account}: {_cell(why(one, plan))}"


def _cell(text: str) -> str:
    """A text of others in a table of markdown, where it stays text."""
    escaped = clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")
    return "".join(f"\\{one}" if one in "\\|`*_[]#!" else one for one in escaped)


# ------------------------------------------------------------------ JSON


def document(plan: Plan, flows: Flows) -> dict[str, Any]:
    """The plan for programs: schemas/plan.json."""
    return {
        "table": plan.digest,
        "edit": plan.edit,
        "exit_code": exit_code(plan),
        "rows": [
            {
                "change": row.kind,
                "service": row.key.service,
                "consumer": row.key.consumer,
                "line": row.line,
                "attributes": {
                    name: {"before": before, "after": after} for name, (before, after) in row.attributes.items()
                },
            }
            for row in plan.rows
        ],
        "connections": [_connection(one, plan, flows) for one in plan.changes],
        "anyway": [_connection(one, plan, flows) for one in plan.anyway],
        "unchanged": plan.unchanged,
        "unreadable": plan.unreadable,
        "notes": plan.notes,
        "past": None if plan.past is None else [_past(one) for one in plan.past],
        "tests": {"run": plan.tests, "failed": plan.failed_tests},
    }


def _connection(change: Change, plan: Plan, flows: Flows) -> dict[str, Any]:
    found = flows.get(change.connection.endpoint)
    return {
        **_identity(change.connection),
        "state": change.connection.state,
        "action": change.after.action,
        "acts": change.after.acts,
        "reason": change.after.decision.reason,
        "why": why(change, plan),
        "row": str(change.row) if change.row else None,
        "line": change.line,
        "before": {"action": change.before.action, "reason": change.before.decision.reason},
        "people": dict(change.after.decision.people),
        "traffic": found._asdict() if found else None,
    }


def _identity(connection: Connection) -> dict[str, Any]:
    return {
        "endpoint_id": connection.endpoint,
        "service": connection.service,
        "account": connection.account,
        "region": connection.region,
    }


def _past(one: PastRequest) -> dict[str, Any]:
    turns = {"before": one.before, "after": one.after}
    return _identity(one.connection) | {
        name: {"outcome": decision.outcome, "reason": decision.reason} for name, decision in turns.items()
    }
