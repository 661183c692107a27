"""`linkgate services`: which services are managed, how they are wired, their settings, and who else manages them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import typer
from linkgate.model import Budget, MalformedRow, ServiceSettings
from linkgate.policy.decide import settings_keys
from linkgate.policy.rows import SettingsRow, parse
from rich.text import Text

from linkgate_cli.offered import Offered, offered, principals
from linkgate_cli.output import BAD, DIM, GOOD, WARN, clean, console, say_json
from linkgate_cli.overview import Overview, ServiceView, look
from linkgate_cli.session import Session


def command(ctx: typer.Context) -> None:
    """Which services are managed, how they are wired and set.

    The settings in force with the rows they come from, who may ask, and who else manages each service.

    Example: linkgate services
    """
    session = Session.of(ctx)
    overview, everything, topic = look(session), offered(session), session.resources.get("NotificationTopic", "")
    asking = {view.service: principals(session, view.service) for view in overview.services if view.described}
    found = [_service(view, everything.get(view.service), overview, topic, asking) for view in overview.services]
    others = [one for one in everything.values() if not one.managed]
    if session.output == "json":
        unmanaged = [{"service": one.service, "name": one.name, "tags": dict(one.tags)} for one in others]
        say_json(
            "services", {"stack": overview.stack, "region": overview.region, "services": found, "others": unmanaged}
        )
        return
    screen = console()
    if not found:
        screen.print("no service is managed yet: linkgate enroll vpce-svc-…")
    for one in found:
        for line in _lines(one):
            screen.print(line, soft_wrap=True)
    for other in others:
        text = Text.assemble((f"{other.service}  not managed: ", DIM), (f"linkgate enroll {other.service}", "bold"))
        screen.print(text, soft_wrap=True)


def _service(
    view: ServiceView,
    one: Offered | None,
    overview: Overview,
    topic: str,
    asking: Mapping[str, frozenset[str]],
) -> dict[str, Any]:
    """One service as JSON, from which the lines for people are made as well."""
    settings = view.settings
    readable = isinstance(settings, ServiceSettings)
    counts = Counter(str(record.status) for record in view.records.values())
    return {
        "service": view.service,
        "name": one.name if one else "",
        "managed": view.described is not None,
        "mode": settings.mode if isinstance(settings, ServiceSettings) else "observe",
        "acceptance_required": bool(one and one.acceptance_required),
        "wired": bool(one and one.wired(topic)),
        "problems": list(view.described.problems()) if view.described else ["no tag linkgate = managed, or it is gone"],
        "connections": dict(sorted(counts.items())),
        "settings": _settings(settings) if readable else {},
        "set_by": _set_by(view.service, overview),
        "settings_problem": "" if readable else str(settings),
        "principals": sorted(asking.get(view.service, ())),
        "managed_by": list(one.writers) if one else [],
        "private_name": one.private_name if one else "",
    }


def _settings(settings: ServiceSettings | MalformedRow) -> dict[str, Any]:
    """Settings in force, each as it is written in a row."""
    return {name: _written(value) for name, value in asdict(settings).items() if value not in (None, ())}


def _written(value: object) -> object:
    match value:
        case Budget(amount, percent) | {"amount": amount, "percent": percent}:
            return f"{amount}{'%' * bool(percent)}"
        case timedelta():
            seconds = int(value.total_seconds())
            return f"{seconds // 86400}d" if seconds and seconds % 86400 == 0 else f"{seconds}s"
        case datetime():
            return f"{value:%Y-%m-%dT%H:%M:%SZ}"
        case tuple():
            return list(value)
    return str(value)


def _set_by(service: str, overview: Overview) -> dict[str, str]:
    """The row that each setting in force comes from; those that have their default are absent."""
    found: dict[str, str] = {}
    for key in reversed(settings_keys(service)):
        row = parse(overview.rows[key]) if key in overview.rows else None
        if isinstance(row, SettingsRow):
            found |= {name: str(key) for name in row.values if name != "mode" or key.service == service}
    return found


def _lines(one: dict[str, Any]) -> list[Text]:
    """One service for people: a line each for what it is, how it is wired, its settings and who else writes."""
    mode = Text(one["mode"], GOOD if one["mode"] == "enforce" else WARN)
    counts = ", ".join(f"{count} {status.lower()}" for status, count in one["connections"].items())
    lines = [Text.assemble((one["service"], "bold"), "  ", mode, f"  {counts or 'no connections'}")]
    if one["name"]:
        lines.append(Text(f"  {one['name']}" + (f", {one['private_name']}" if one["private_name"] else "")))
    wired = "notifications reach Linkgate" if one["wired"] else "no notification reaches Linkgate"
    accepts = "acceptance required" if one["acceptance_required"] else "EC2 accepts everybody by itself"
    lines.append(
        Text.assemble(
            "  ", (wired, "" if one["wired"] else BAD), ", ", (accepts, "" if one["acceptance_required"] else BAD)
        )
    )
    lines += [Text(f"  {clean(problem)}: linkgate doctor", BAD) for problem in one["problems"]]
    if one["settings_problem"]:
        lines.append(Text(f"  {clean(one['settings_problem'])}", BAD))
    own = {name: value for name, value in one["settings"].items() if name in one["set_by"] and name != "mode"}
    said = ", ".join(f"{name} = {value}" for name, value in own.items())
    lines.append(Text(f"  settings: {said or 'the defaults'}"))
    count = len(one["principals"])
    who = "everybody" if "*" in one["principals"] else f"{count} principal{'' if count == 1 else 's'}"
    lines.append(
        Text(f"  {who} may ask" + (f"; also managed by {', '.join(one['managed_by'])}" if one["managed_by"] else ""))
    )
    return lines
