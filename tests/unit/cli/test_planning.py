"""What a plan says: the line of the row that brings it about, requests of before, and what nobody may overlook."""

import re
from collections.abc import Mapping
from io import StringIO

import pytest
import yaml
from linkgate.ledger.items import line
from linkgate.model import MalformedRow, Reason, RowKey, State
from linkgate.policy.rows import Item, parse
from linkgate_cli import keys, rowsfile
from linkgate_cli.cases import of_rows
from linkgate_cli.failures import CUTS, ERROR, FOUND, Failure
from linkgate_cli.outlook import Action
from linkgate_cli.planning import Plan, file_edits, past, plan
from linkgate_cli.showing import exit_code, markdown, show
from linkgate_cli.traffic import Traffic, traffic
from rich.console import Console

from tests.application import SERVICE, Application
from tests.command import ROOT
from tests.unit.cli.test_plan_holds import seen
from tests.world import CONSUMER, OTHER, START, endpoint_id

LIVE, WAITS = endpoint_id(1), endpoint_id(2)
KEY = RowKey(SERVICE, CONSUMER)


@pytest.fixture
def app() -> Application:
    """One consumer is live by a row, another one waits without; what is no longer allowed is cut."""
    made = Application()
    made.allow_list.put(SERVICE, "@settings", mode="enforce", reconcile="enforce")
    made.allow_list.put(SERVICE, CONSUMER, effect="allow", owner="payments")
    made.connect(LIVE, CONSUMER)
    made.connect(WAITS, OTHER)
    made.work(60)
    return made


def planned(app: Application, text: str, prune: bool = False) -> Plan:
    file, table = rowsfile.read("rows.yaml", text), app.allow_list.table
    edits = file_edits(file, table, prune)
    return plan([seen(app)], table, edits, app.sweeper.comparer.contexts, app.world.now, file)


def edited(app: Application, edits: Mapping[RowKey, Item | None]) -> Plan:
    return plan([seen(app)], app.allow_list.table, edits, app.sweeper.comparer.contexts, app.world.now)


FILE = f"""services:
  {SERVICE}:
    {CONSUMER}:
      effect: allow
      regions: [us-east-1]
    {OTHER}: {{effect: allow, limit: 3}}
"""


def test_a_cut_comes_first_and_has_the_line_of_the_attribute(app: Application) -> None:
    made = planned(app, FILE)
    assert [(one.connection.endpoint, str(one.after.action), one.line) for one in made.changes] == [
        (LIVE, "cut", 5),
        (WAITS, "accept", 6),
    ]
    assert exit_code(made) == CUTS


def test_the_slot_of_who_is_cut_goes_to_who_waits_for_it(app: Application) -> None:
    app.edit(SERVICE, CONSUMER, effect="allow", limit=1)
    second = endpoint_id(3)
    app.connect(second, CONSUMER)
    app.work(60)
    assert app.known(second).over_limit
    key = RowKey(SERVICE, LIVE)
    made = edited(app, {key: {**key._asdict(), "effect": "deny"}})
    assert {one.connection.endpoint: str(one.after.action) for one in made.changes} == {LIVE: "cut", second: "accept"}
    app.edit(SERVICE, LIVE, effect="deny")
    app.work(200)
    app.settle()
    assert (app.state(LIVE), app.known(second).status.live) == (State.REJECTED, True)


def test_who_goes_on_waiting_for_another_reason_is_shown(app: Application) -> None:
    made = edited(app, {RowKey(SERVICE, OTHER): {**_row(OTHER), "effect": "review"}})
    (one,) = made.changes
    assert (one.connection.endpoint, one.after.says()) == (WAITS, (Action.HOLD, False, Reason.REVIEW))
    assert re.search(rf"wait +{WAITS}", shown(made))


def test_a_row_that_goes_is_named_where_it_is_missed(app: Application) -> None:
    made = edited(app, {KEY: None})
    assert (made.cuts[0].row, made.cuts[0].line) == (KEY, None)
    assert f"row {KEY} goes" in shown(made)


def shown(made: Plan, flows: Mapping[str, Traffic] | None = None) -> str:
    screen = Console(file=StringIO(), width=200, markup=False, highlight=False)
    show(screen, made, flows or {})
    assert isinstance(screen.file, StringIO)
    return screen.file.getvalue()


def test_the_last_line_is_about_cuts_and_traffic_stands_beside_each(app: Application) -> None:
    made = edited(app, {KEY: None})
    assert shown(made).splitlines()[-1] == "1 LIVE CONNECTION IS CUT, after the grace."
    assert "now no data" in shown(made)
    assert "now 6 connections, 2.1 MB/min" in shown(made, {LIVE: Traffic(6, 2_100_000)})


def test_without_an_edit_nothing_changes_and_what_happens_anyway_is_said_apart(app: Application) -> None:
    assert exit_code(edited(app, {})) == 0
    del app.allow_list.table[KEY]
    made = edited(app, {})
    assert (made.changes, [one.connection.endpoint for one in made.anyway], exit_code(made)) == ([], [LIVE], 0)
    assert "without this edit just the same" in shown(made)


def test_a_row_without_an_effect_on_anybody_still_changes_something(app: Application) -> None:
    assert exit_code(edited(app, {RowKey(SERVICE, "777777777777"): _row("777777777777")})) == FOUND


def _row(consumer: str) -> Item:
    return {"service": SERVICE, "consumer": consumer, "effect": "allow"}


def test_a_test_that_does_not_hold_is_an_error(app: Application) -> None:
    made = edited(app, {KEY: None})
    made.tests, made.failed_tests = 2, ["rows.yaml: x: outcome: expected accept, found hold"]
    assert exit_code(made) == ERROR
    assert "1 of 2 hold" in shown(made)


def test_prune_takes_what_the_file_does_not_have_of_the_services_it_names(app: Application) -> None:
    app.allow_list.put("*", OTHER, effect="deny")
    only = f"services:\n  {SERVICE}:\n    {OTHER}: {{effect: allow}}\n"
    assert {str(one.key): one.kind for one in planned(app, only).rows} == {f"{SERVICE}/{OTHER}": "add"}
    pruned = {str(one.key): one.kind for one in planned(app, only, prune=True).rows}
    assert pruned == {f"{SERVICE}/{OTHER}": "add", f"{SERVICE}/@settings": "remove", str(KEY): "remove"}


def test_requests_of_before_are_decided_as_if_they_were_made_today(app: Application) -> None:
    let_in = {RowKey(SERVICE, OTHER): _row(OTHER)}
    judgments = {one.connection.endpoint: one.before.judgment for one in edited(app, let_in).changes}
    facts = [line(judgments[WAITS], "a bell", START)["facts"]]
    (found,) = past(facts, app.allow_list.table, let_in, app.world.now)
    assert (found.connection.endpoint, str(found.before.reason), str(found.after.reason)) == (
        WAITS,
        "not_listed",
        "allowed",
    )
    assert past(facts, app.allow_list.table, {KEY: None}, app.world.now) == []


def test_texts_of_others_stay_text_in_a_comment(app: Application) -> None:
    hostile = "x | </td> @everyone [a](http://b) `c`\n# d"
    made = edited(app, {KEY: {**_row(CONSUMER), "effect": "deny", "reason": hostile}})
    comment = markdown(made, {})
    (row,) = [text for text in comment.splitlines() if LIVE in text]
    assert comment.startswith("### Linkgate: 1 LIVE CONNECTION IS CUT")
    assert not {"<", "@everyone", " [a](", " `c`"} & {one for one in ("<", "@everyone", " [a](", " `c`") if one in row}
    assert len(re.findall(r"(?<!\\)\|", row)) == 6


def test_a_comment_says_what_happens_anyway_and_who_is_left_alone(app: Application) -> None:
    app.delete(SERVICE, CONSUMER)
    made = edited(app, {RowKey(SERVICE, "777777777777"): _row("777777777777")})
    made.unreadable = {WAITS: "status is 'odd'"}
    comment = markdown(made, {})
    assert re.search(f"\n- without this edit just the same: cut `{LIVE}` of {CONSUMER}: .*no row", comment), comment
    assert f"\n- left alone, damaged in the ledger: `{WAITS}`: status is 'odd'\n" in comment


def test_the_same_edit_has_the_same_digest_and_another_one_another(app: Application) -> None:
    one, same, other = edited(app, {KEY: None}), edited(app, {KEY: None}), edited(app, {KEY: _row(CONSUMER)})
    assert (one.digest, one.edit) == (same.digest, same.edit)
    assert one.edit != other.edit
    app.allow_list.put(SERVICE, "777777777777", effect="deny")
    assert edited(app, {KEY: None}).digest != one.digest


# ------------------------------------------------------------------ keys


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("3333-3333-3333", "333333333333"),
        ("3333 3333 3333", "333333333333"),
        ("arn:aws:iam::333333333333:root", "333333333333"),
        ("12345678901", "012345678901"),
        ("VPCE-0123456789ABCDEF0", "vpce-0123456789abcdef0"),
        ("https://vpce-0123456789abcdef0.example", "vpce-0123456789abcdef0"),
        ("payments", "a 12-digit account id"),
        ("@settings", "a 12-digit account id"),
    ],
)
def test_a_consumer_that_is_none_is_one_sentence_with_what_may_be_meant(typed: str, meant: str) -> None:
    with pytest.raises(Failure, match=re.escape(f"{typed!r} is no consumer: ")) as failure:
        keys.consumer(typed)
    assert meant in str(failure.value)


# ------------------------------------------------------------------ traffic


class CloudWatch:
    """Answers with what AWS reported, and only for endpoints that had traffic."""

    def __init__(self, reported: Mapping[tuple[str, str], float]) -> None:
        self.reported, self.asked = reported, list[int]()

    def get_paginator(self, name: str) -> "CloudWatch":
        assert name == "get_metric_data"
        return self

    def paginate(self, **asked: object) -> list[dict[str, object]]:
        queries = asked["MetricDataQueries"]
        assert isinstance(queries, list)
        self.asked.append(len(queries))
        results = []
        for one in queries:
            metric = one["MetricStat"]["Metric"]
            dimensions = {entry["Name"]: entry["Value"] for entry in metric["Dimensions"]}
            assert (metric["Namespace"], dimensions["Service Id"]) == ("AWS/PrivateLinkServices", SERVICE)
            value = self.reported.get((dimensions["VPC Endpoint Id"], metric["MetricName"]))
            results.append({"Id": one["Id"], "Values": [] if value is None else [value, 99.0]})
        return [{"MetricDataResults": results}]


def test_traffic_is_that_of_the_last_minute_and_absent_where_aws_has_none(app: Application) -> None:
    connections = seen(app).connections
    cloudwatch = CloudWatch({(LIVE, "ActiveConnections"): 3.0, (LIVE, "BytesProcessed"): 1500.0})
    assert traffic(cloudwatch, connections, START) == {LIVE: Traffic(3, 1500)}
    assert str(Traffic(3, 1500)) == "3 connections, 1.5 KB/min"
    traffic(cloudwatch, [*connections] * 300, START)
    assert max(cloudwatch.asked) <= 500


# ------------------------------------------------------------------ the page


PAGE = (ROOT / "docs" / "rows-as-code.md").read_text()


def test_the_file_of_the_page_can_be_read_and_its_tests_hold() -> None:
    example, workflow = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    file = rowsfile.read("rows.yaml", example)
    assert not [row for item in file.rows.values() if isinstance(row := parse(item), MalformedRow)]
    run = of_rows("rows.yaml", file.tests, file.rows, file.services, START)
    assert [sentence for case in run for sentence in case.differences()] == []
    assert len(run) == 2
    jobs = yaml.safe_load(workflow)["jobs"]
    commands = [step.get("run", "") for job in jobs.values() for step in job["steps"]]
    assert sum("linkgate plan rows.yaml" in one for one in commands) == 2
