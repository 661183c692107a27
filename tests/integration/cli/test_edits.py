"""The commands that change rows, as processes against the lab: what they said is what then happens."""

import json
import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lab.harness.account import Provider
from lab.harness.dataplane import DataPlane
from lab.harness.deploy import Deployed
from lab.harness.process import PROVIDER_ACCOUNT, LabProcess
from tests.command import LINKGATE, Command
from tests.integration.cli.test_reading import POLICIES, SCHEMAS, actions_of, allowing, limited, listed
from tests.integration.conftest import Await, Client

__all__ = ["limited"]
ABSENT = "vpce-0eeeeeeeeeeeeeeee"


@pytest.fixture(scope="module", autouse=True)
def _settings(provider: Provider) -> None:
    provider.put_row("@settings", mode="enforce", reconcile="enforce", grace="1s", max_cuts="50")


@pytest.fixture
def live(provider: Provider, account: str, until: Await) -> str:
    """An endpoint that is let in by a row of its account."""
    provider.put_row(account, effect="allow", owner="payments")
    endpoint = provider.connect(account)
    until(lambda: provider.state(endpoint), "available")
    until(lambda: provider.known(endpoint).get("status"), lambda status: status in ("ACCEPTED", "VERIFIED"))
    return endpoint


def row(client: Client, deployed: Deployed, consumer: str, service: str = "") -> Any:
    """A row of the table as DynamoDB has it; None where there is none."""
    key = {"service": {"S": service or deployed.service}, "consumer": {"S": consumer}}
    return client("dynamodb").get_item(TableName=deployed.linkgate["AllowListTable"], Key=key).get("Item")


def at_a_terminal(linkgate: Command, typed: str, *arguments: str) -> tuple[int, str, str]:
    """Run it where somebody sits, who types a line."""
    master, slave = pty.openpty()
    own = {"PATH": os.environ["PATH"], "HOME": str(linkgate.home)}
    run = subprocess.Popen(
        [str(LINKGATE), *arguments],
        env={**own, **linkgate.environment},
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(slave)
    os.write(master, f"{typed}\n".encode())
    out, err = run.communicate(timeout=120)
    os.close(master)
    return run.returncode, out, err


# ------------------------------------------------------------------ allow, deny, remove


def test_allow_shows_who_comes_in_asks_and_writes_the_row(
    linkgate: Command, provider: Provider, client: Client, deployed: Deployed, account: str, until: Await
) -> None:
    endpoint = provider.connect(account)
    until(lambda: provider.known(endpoint).get("status"), "HELD")
    asked = ("allow", account, "--limit", "2", "--for", "90d", "--reason", "pilot", "--owner", "payments")
    planned = linkgate.run("plan", *asked)
    assert planned.code == 2
    assert (endpoint in planned.out, "accept" in planned.out) == (True, True)
    assert row(client, deployed, account) is None
    code, out, err = at_a_terminal(linkgate, "n", *asked)
    assert (code, row(client, deployed, account)) == (1, None)
    assert "Write this row? [y/N]" in err
    code, out, err = at_a_terminal(linkgate, "y", *asked)
    assert (code, endpoint in out, "1 row written" in out) == (0, True, True), err
    until(lambda: provider.state(endpoint), "available")
    written = row(client, deployed, account)
    assert (written["effect"], written["limit"], written["owner"]) == ({"S": "allow"}, {"N": "2"}, {"S": "payments"})
    again = linkgate.run("allow", account, "--limit", "3", "--yes")
    assert "limit 2 -> 3" in again.out
    assert row(client, deployed, account) == {**written, "limit": {"N": "3"}}
    assert "nothing to write" in linkgate.run("allow", account, "--limit", "3", "--yes").out


def test_a_cut_of_a_live_connection_is_agreed_to_by_its_id(
    linkgate: Command, provider: Provider, client: Client, deployed: Deployed, account: str, live: str, until: Await
) -> None:
    planned = linkgate.run("plan", "remove", account)
    assert planned.code == 3
    assert planned.out.splitlines()[-1] == "1 LIVE CONNECTION IS CUT, after the grace."
    assert "now no data" in " ".join(planned.out.split())
    dimensions = [{"Name": "Service Id", "Value": deployed.service}, {"Name": "VPC Endpoint Id", "Value": live}]
    for name, value in (("ActiveConnections", 6), ("BytesProcessed", 2_100_000)):
        # As AWS reports it of an endpoint with traffic.
        data = [{"MetricName": name, "Dimensions": dimensions, "Value": value}]
        client("cloudwatch").put_metric_data(Namespace="AWS/PrivateLinkServices", MetricData=data)
    found = linkgate.run("plan", "remove", account, "--output", "json").json["connections"]
    assert [one["traffic"] for one in found] == [{"connections": 6, "bytes": 2_100_000}]
    assert f"give --confirm {live}" in linkgate.run("remove", account, "--yes").err
    code, _, err = at_a_terminal(linkgate, "y", "remove", account)
    assert (code, row(client, deployed, account) is None) == (1, False)
    assert f"Type {live} to do it:" in err
    code, out, _ = at_a_terminal(linkgate, live, "remove", account)
    assert (code, "1 row deleted" in out) == (0, True)
    until(lambda: provider.known(live).get("status"), "CUT")


def test_deny_now_cuts_at_once_whatever_the_breaker_says(
    linkgate: Command, provider: Provider, live: str, until: Await
) -> None:
    provider.put_row("@settings", mode="enforce", reconcile="off", max_cuts="0")
    ran = linkgate.run("deny", live, "--now", "--reason", "key leaked", "--confirm", live, "--output", "json")
    assert (ran.code, ran.json["written"]) == (0, True)
    (cut,) = ran.json["connections"]
    assert (cut["endpoint_id"], cut["action"], cut["reason"], cut["acts"]) == (live, "cut", "denied", True)
    until(lambda: provider.known(live).get("status"), "CUT")
    assert linkgate.run("remove", live, "--yes").code == 0
    provider.put_row("@settings", mode="enforce", reconcile="enforce", grace="1s", max_cuts="50")


def test_traffic_of_an_endpoint_that_a_canary_crosses_stands_beside_its_cut(
    linkgate: Command, lab: LabProcess, provider: Provider, deployed: Deployed, until: Await
) -> None:
    if DataPlane(lab.folder).kind != "namespaces":
        pytest.skip("no packets are counted without namespaces")
    endpoint = deployed.demo["EndpointId"]
    provider.put_row(PROVIDER_ACCOUNT, effect="allow")
    until(lambda: provider.status(endpoint), "VERIFIED")

    def passing() -> Any:
        found = linkgate.run("plan", "remove", PROVIDER_ACCOUNT, "--output", "json").json["connections"]
        return next((one["traffic"] for one in found if one["endpoint_id"] == endpoint), None)

    assert until(passing, bool)["bytes"] > 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("allow", "3333-3333-3333"), "'3333-3333-3333' is no consumer: did you mean 333333333333?"),
        (("allow", "arn:aws:iam::333333333333:root"), "did you mean 333333333333?"),
        (("deny", "@settings"), "'@settings' is no consumer"),
        (("deny", "*", "--now"), "--now cuts one consumer, not everybody"),
        (("allow", ABSENT), f"neither EC2 nor the ledger knows {ABSENT}: check the id, or give --service"),
        (("allow", "333333333333", "--until", "2026-12-31"), 'expires_at is "2026-12-31": expected an ISO 8601 time'),
        (("allow", "333333333333", "--until", "x", "--for", "1d"), "--until and --for say the same"),
        (("allow", "333333333333", "--for", "ever"), "--for is 'ever': expected a duration such as 90s"),
        (("allow", "333333333333", "--service", "payments"), "'payments' is no service: expected vpce-svc-… or *"),
        (
            ("allow", "333333333333", "--service", "com.amazonaws.vpce.eu-west-1.vpce-svc-0123456789abcdef0"),
            "did you mean vpce-svc-0123456789abcdef0?",
        ),
        (("remove", "333333333333"), "there is no row"),
        (("allow", "333333333333"), "give --yes"),
    ],
)
def test_what_is_not_understood_is_one_sentence(
    linkgate: Command, deployed: Deployed, words: tuple[str, ...], sentence: str
) -> None:
    ran = linkgate.run(*words)
    assert ran.code == 1
    assert sentence in ran.err
    assert len(ran.err.splitlines()) == 1


# ------------------------------------------------------------------ a file


FILE = """
# The payments team's own.
services:
  {service}:
    "@settings": {{mode: enforce, reconcile: enforce, grace: 1s, max_cuts: "50"}}
    {account}:
      effect: allow   # comments stay where they are
      regions: [us-east-1]
tests:
  request: {{endpoint: vpce-0000000000000000f, account: "{account}", region: us-east-1}}
  cases:
    - case: they come in from the other Region
      expect: {{outcome: accept, reason: allowed, row: "{account}"}}
"""


def write(folder: Path, text: str) -> str:
    path = folder / "rows.yaml"
    path.write_text(text)
    return str(path)


def test_a_file_is_planned_applied_and_exported(
    linkgate: Command,
    provider: Provider,
    client: Client,
    deployed: Deployed,
    account: str,
    live: str,
    until: Await,
    tmp_path: Path,
) -> None:
    file = write(tmp_path, FILE.format(service=deployed.service, account=account))
    planned = linkgate.run("plan", file, "--since", "30d", "--output", "json")
    assert planned.code == 3
    (cut,) = planned.json["connections"]
    assert (cut["endpoint_id"], cut["action"], cut["reason"], cut["line"]) == (live, "cut", "wrong_region", 8)
    assert planned.json["tests"] == {"run": 1, "failed": []}
    assert [one["endpoint_id"] for one in planned.json["past"]] == [live]
    shown = linkgate.run("plan", file)
    assert "(line 8)" in shown.out
    assert "1 of 1 hold" in shown.out
    comment = linkgate.run("plan", file, "--output", "markdown")
    assert comment.out.startswith("### Linkgate: 1 LIVE CONNECTION IS CUT")
    (tmp_path / "plan.json").write_text(planned.out)
    before = row(client, deployed, account)
    provider.put_row("777777777777", effect="deny")
    assert "the table changed since" in linkgate.fails("apply", file, "--plan", str(tmp_path / "plan.json"), "--yes")
    assert row(client, deployed, account) == before
    (tmp_path / "plan.json").write_text(linkgate.run("plan", file, "--output", "json").out)
    assert linkgate.run("apply", file, "--plan", str(tmp_path / "plan.json"), "--yes").code == 0
    until(lambda: provider.known(live).get("status"), "CUT")
    assert row(client, deployed, account)["regions"] == {"L": [{"S": "us-east-1"}]}
    assert row(client, deployed, "777777777777") is not None, "rows that the file does not have are left alone"
    assert linkgate.run("plan", file).code == 0
    exported = linkgate.run("export")
    assert linkgate.run("export").out == exported.out
    assert linkgate.run("plan", write(tmp_path, exported.out)).code == 0
    assert linkgate.run("plan", file, "--prune").code == 0
    only = f'services:\n  {deployed.service}: {{"@settings": {{mode: enforce}}}}\n'
    pruned = linkgate.run("plan", write(tmp_path, only), "--prune", "--output", "json")
    assert {one["consumer"] for one in pruned.json["rows"] if one["change"] == "remove"} >= {account, "777777777777"}
    provider.delete_row("777777777777")


def test_one_bad_line_among_ten_thousand_is_named_and_changes_nothing(
    linkgate: Command, client: Client, deployed: Deployed, tmp_path: Path
) -> None:
    lines = ["services:", f"  {deployed.service}:"]
    lines += [f"    {100000000000 + number}: {{effect: allow}}" for number in range(10_000)]
    lines[5000] = lines[5000].replace("effect: allow", "effect: allow, limit: -1")
    said = linkgate.fails("apply", write(tmp_path, "\n".join(lines)), "--yes")
    assert said.endswith(
        "rows.yaml line 5001: limit is -1: expected a whole number from 0 to 999999999; nothing was written"
    )
    assert row(client, deployed, "100000000001") is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "services:\n  {service}:\n    222222222222: {{effect: allow, effect: deny}}\n",
            "effect stands there twice",
        ),
        ("services:\n  {service}:\n\t222222222222: x\n", "line 3: found character that cannot start any token"),
        ("services:\n  {service}:\n    2222-2222-2222: {{effect: allow}}\n", "did you mean 222222222222?"),
        ("rows: []\n", "line 1: 'rows' is not known here: expected services or tests"),
        ("services:\n  {service}: {{}}\ntests:\n  - case: a\n    expect: {{outcome: hold}}\n", "a: request is missing"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(
    linkgate: Command, deployed: Deployed, tmp_path: Path, text: str, sentence: str
) -> None:
    assert sentence in linkgate.fails("plan", write(tmp_path, text.format(service=deployed.service)))


def test_a_file_that_is_not_there_another_plan_and_a_test_that_fails_are_one_sentence_each(
    linkgate: Command, deployed: Deployed, account: str, tmp_path: Path
) -> None:
    assert "rows.yaml: No such file or directory" in linkgate.fails("plan", str(tmp_path / "rows.yaml"))
    text = FILE.format(service=deployed.service, account=account)
    file = write(tmp_path, text)
    (tmp_path / "plan.json").write_text("{}")
    assert "is no plan: expected what" in linkgate.fails("apply", file, "--plan", str(tmp_path / "plan.json"), "--yes")
    file = write(tmp_path, text.replace("outcome: accept", "outcome: reject"))
    assert linkgate.run("plan", file).code == 1
    ran = linkgate.run("apply", file, "--yes")
    assert (ran.code, "1 OF 1 TESTS DO NOT HOLD" in ran.err) == (1, True)
    assert (linkgate.run("test", file).code, linkgate.run("test", write(tmp_path, text)).code) == (1, 0)


def test_a_row_of_a_service_that_nobody_manages_is_said_to_mean_nothing(linkgate: Command) -> None:
    ran = linkgate.run("plan", "allow", "333333333333", "--service", "vpce-svc-0eeeeeeeeeeeeeeee")
    assert ran.code == 2
    assert "in vain: row vpce-svc-0eeeeeeeeeeeeeeee/333333333333: service is" in ran.out


# ------------------------------------------------------------------ release


def test_release_shows_whom_the_breaker_keeps_and_lets_them_go(
    linkgate: Command, provider: Provider, account: str, live: str, until: Await
) -> None:
    assert "the breaker keeps nobody" in linkgate.fails("release", "--yes")
    provider.put_row("@settings", mode="enforce", reconcile="enforce", grace="1s", max_cuts="0")
    planned = linkgate.run("plan", "remove", account)
    assert (planned.code, "withhold cut" in planned.out) == (2, True)
    provider.delete_row(account)
    until(lambda: provider.known(live).get("unwanted_at", ""), bool)
    assert f"the breaker does not keep {ABSENT}" in linkgate.fails("release", ABSENT)
    code, out, err = at_a_terminal(linkgate, live, "release")
    assert (code, live in out) == (0, True), err
    until(lambda: provider.known(live).get("status"), "CUT")
    provider.delete_row("@release")
    provider.put_row("@settings", mode="enforce", reconcile="enforce", grace="1s", max_cuts="50")


# ------------------------------------------------------------------ enroll


def test_a_service_is_looked_at_before_it_is_enrolled_and_left_as_it_is_when_it_goes(
    linkgate: Command, client: Client, deployed: Deployed, provider: Provider, account: str, until: Await
) -> None:
    endpoint = provider.connect(account)
    until(lambda: provider.known(endpoint).get("status"), "HELD")
    ran = linkgate.run("unenroll", deployed.service, "--yes")
    assert (ran.code, "go on waiting for somebody" in ran.out) == (0, True)
    assert row(client, deployed, "@settings") is None
    assert "has no tag linkgate = managed: it is not managed" in linkgate.fails("unenroll", deployed.service, "--yes")
    provider.put_row(account, effect="allow")
    first = linkgate.run("enroll", deployed.service, "--observe", "--yes")
    assert (first.code, "What enforce would do" in first.out, endpoint in first.out) == (0, True, True)
    assert row(client, deployed, "@settings")["mode"] == {"S": "observe"}
    shown = linkgate.run("enroll", deployed.service, "--yes", "--output", "json")
    done = {one["endpoint_id"]: (one["action"], one["acts"]) for one in shown.json["connections"]}
    assert done[endpoint] == ("accept", True)
    until(lambda: provider.state(endpoint), "available")
    missing = "vpce-svc-0eeeeeeeeeeeeeeee"
    assert f"{missing} is no endpoint service of this account in eu-west-1" in linkgate.fails("enroll", missing)
    assert "did you mean" in linkgate.fails("enroll", f"com.amazonaws.vpce.eu-west-1.{deployed.service}")
    provider.put_row("@settings", mode="enforce", reconcile="enforce", grace="1s", max_cuts="50")


def test_json_of_a_plan_is_as_its_schema_says(linkgate: Command, account: str, live: str) -> None:
    for words in (("plan", "remove", account), ("allow", account, "--limit", "9", "--yes"), ("export",)):
        found = linkgate.run(*words, "--output", "json").json
        jsonschema.validate(found, json.loads((SCHEMAS / f"{found['linkgate']}.json").read_text()))


# ------------------------------------------------------------------ with IAM


def calls(account: str, service: str, file: str) -> dict[str, tuple[str, ...]]:
    """One run of each command that goes as far as it can."""
    return {
        "plan": (file,),
        "apply": (file, "--prune", "--yes"),
        "export": (),
        "allow": (account, "--yes"),
        "deny": (account, "--yes"),
        "remove": (account, "--yes"),
        "unenroll": (service, "--yes"),
        "enroll": (service, "--yes"),
    }


def test_a_command_needs_each_action_that_is_listed_for_it_and_no_other(
    limited: Callable[..., Command], deployed: Deployed, account: str, tmp_path: Path
) -> None:
    text = f"services:\n  {deployed.service}: {{'@settings': {{mode: enforce}}, 888888888888: {{effect: allow}}}}\n"
    for name, words in calls(account, deployed.service, write(tmp_path, text)).items():
        ran = limited(allowing(listed()[name])).run(name, *words)
        assert ran.code == (2 if name == "plan" else 0), (name, ran.err)
        assert limited(allowing(["sts:GetCallerIdentity"])).fails(name, *words).startswith("your role may not "), name
    assert limited(allowing(listed()["release"])).fails("release").startswith("the breaker keeps nobody")


def test_the_editors_policies_are_what_the_commands_need() -> None:
    editor, enrolling = (actions_of(one) for one in POLICIES[2:])
    needed = listed()
    edits = ("plan", "apply", "export", "allow", "deny", "remove", "release")
    assert editor == {one for name in edits for one in needed[name]}
    assert {*needed["enroll"], *needed["unenroll"]} == (editor | enrolling) - {"dynamodb:Scan"}
