"""The commands that read, as processes against the lab: what they show, how they fail, and what each may ask.

The demo's endpoint is verified; account 222222222222 waits without a row, 333333333333 is rejected by one.
"""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import jsonschema
import pytest
from linkgate_cli.failures import FOUND, INTERRUPTED, REFUSED, TIMED_OUT, UNHEALTHY

from lab.harness.account import Provider
from lab.harness.deploy import CONSUMERS
from lab.harness.process import CHECKOUT, PROVIDER_ACCOUNT, LabProcess
from lab.story.faults import Faults
from tests.command import LINKGATE, Command
from tests.integration.conftest import Await, Client

SCHEMAS = CHECKOUT / "cli" / "linkgate_cli" / "schemas"
PERMISSIONS = (CHECKOUT / "docs" / "permissions.md").read_text()
WAITS, DENIED = CONSUMERS
NOBODY = "vpce-0123456789abcdef0"


class Stage(NamedTuple):
    """Three endpoints: one that is verified, one that waits, one that was rejected; and the service."""

    verified: str
    waiting: str
    rejected: str
    service: str


@pytest.fixture(scope="module")
def stage(provider: Provider, until: Await) -> Stage:
    verified = provider.deployed.demo["EndpointId"]
    provider.put_row(PROVIDER_ACCOUNT, effect="allow", owner="payments", ticket="NET-1")
    provider.put_row(DENIED, effect="deny", reason="contract ended")
    found = Stage(verified, provider.connect(WAITS), provider.connect(DENIED), provider.deployed.service)
    wanted = ("VERIFIED", "HELD", "REJECTED")
    until(lambda: tuple(provider.status(one) for one in found[:3]), wanted)
    return found


def test_status_says_first_who_waits_and_what_lets_them_in(linkgate: Command, stage: Stage) -> None:
    for ran in (linkgate.run(), linkgate.run("status")):
        assert ran.code == 0
        head, _, table = ran.out.partition("endpoint  ")
        assert re.search(rf"waits \d+ \w+ +{stage.waiting} {WAITS}: no row\s+linkgate allow {WAITS}\n", head)
        assert f"{stage.verified}   {PROVIDER_ACCOUNT}   VERIFIED" in table
        assert max(map(len, ran.out.splitlines())) <= 80
        assert "\x1b" not in ran.out


def test_status_is_narrowed_by_service_consumer_and_status(linkgate: Command, stage: Stage) -> None:
    def shown(*options: str) -> set[str]:
        document = linkgate.run("status", "--output", "json", *options).json
        return {one["endpoint"] for one in document["connections"]}

    assert shown() == shown("--service", stage.service) == set(stage[:3])
    assert shown("--consumer", WAITS) == {stage.waiting}
    assert shown("--consumer", stage.rejected) == {stage.rejected}
    assert shown("--status", "held", "--status", "VERIFIED") == {stage.waiting, stage.verified}


def test_status_is_shown_anew_until_it_is_interrupted(linkgate: Command, stage: Stage) -> None:
    # Who runs this in a shell's background ignores Ctrl-C, and so would all that is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    environment = {"PATH": os.environ["PATH"], "HOME": str(linkgate.home), **linkgate.environment}
    watching = subprocess.Popen(
        [str(LINKGATE), "--watch"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    seen = 0
    for line in watching.stdout or ():
        seen += stage.verified in line
        if seen == 2:
            watching.send_signal(signal.SIGINT)
            break
    watching.communicate(timeout=60)
    assert (seen, watching.returncode) == (2, INTERRUPTED)


def test_status_refuses_a_service_that_is_not_managed_and_a_status_that_there_is_not(
    linkgate: Command, stage: Stage
) -> None:
    assert linkgate.fails("status", "--status", "open").startswith(
        "--status: 'OPEN' is not a valid Status: expected one"
    )
    said = linkgate.fails("status", "--service", "vpce-svc-0123456789abcdef0")
    assert said.endswith(f"is no service that linkgate manages in eu-west-1: it has {stage.service}")


def test_why_tells_the_decision_step_by_step_its_health_and_what_is_next(linkgate: Command, stage: Stage) -> None:
    told = " ".join(linkgate.run("why", stage.waiting).out.split())
    assert f"No row is about {stage.waiting}, {WAITS} or *." in told
    assert "So it is held (not_listed)." in told
    assert f"next linkgate allow {WAITS}" in told
    told = " ".join(linkgate.run("why", stage.verified, "--history").out.split())
    assert f"Row {stage.service}/{PROVIDER_ACCOUNT} applies, and decides: allow (owner payments, ticket NET-1)." in told
    assert "It answers, last found out" in told
    assert re.search(r"decided \(UTC\) .* accept allowed 111111111111 done", told)


def test_why_of_an_account_tells_all_of_it_or_what_a_request_would_meet(linkgate: Command, stage: Stage) -> None:
    assert stage.rejected in linkgate.run("why", DENIED).out
    told = linkgate.run("why", "999999999999").out
    assert "has no endpoint that Linkgate knows" in told
    assert "hold: no row covers account 999999999999" in told


def test_why_for_the_consumer_names_nothing_of_the_providers(linkgate: Command, stage: Stage) -> None:
    told = linkgate.run("why", stage.rejected, "--for-consumer").out
    assert f"Your endpoint {stage.rejected} (account {DENIED}, eu-west-1)" in told
    assert "your account is not allowed to connect" in told
    assert "contract ended" not in told


def test_why_of_what_nobody_knows_or_is_written_otherwise_is_one_sentence(linkgate: Command, stage: Stage) -> None:
    assert linkgate.fails("why", NOBODY).startswith(
        f"nobody knows {NOBODY}: neither the ledger of linkgate in eu-west-1"
    )
    assert linkgate.fails("why", "2222-2222-2222").endswith("did you mean 222222222222?")
    assert "Missing argument" in linkgate.fails("why")


def test_wait_ends_when_it_is_so_when_it_never_will_be_and_when_the_time_is_over(
    linkgate: Command, stage: Stage
) -> None:
    ran = linkgate.run("wait", stage.verified, "--until", "verified")
    assert (ran.code, ran.out.split()[:2]) == (0, [stage.verified, "VERIFIED"])
    assert "is REJECTED (a deny row)" in linkgate.fails("wait", stage.rejected, code=REFUSED)
    ran = linkgate.run("wait", stage.waiting, "--timeout", "1s")
    assert (ran.code, ran.out) == (TIMED_OUT, "")
    assert f"linkgate: not verified after 1s: {stage.waiting} is HELD (no row): linkgate why" in ran.err
    assert linkgate.fails("wait", stage.waiting, "--timeout", "soon") == "--timeout is 'soon': expected 90s, 10m or 1h"


def test_wait_for_an_account_lasts_until_its_endpoint_is_let_in(
    linkgate: Command, provider: Provider, account: str, stage: Stage
) -> None:
    provider.put_row(account, effect="allow")
    endpoint = provider.connect(account)
    ran = linkgate.run("wait", account, "--until", "accepted", "--output", "json")
    assert ran.code == 0
    assert [(one["endpoint"], one["status"]) for one in ran.json["endpoints"]] == [(endpoint, "ACCEPTED")]
    provider.delete_row(account)
    provider.disconnect(endpoint, account)


def test_probe_shows_the_phases_of_every_address(linkgate: Command, stage: Stage) -> None:
    ran = linkgate.run("probe", stage.verified)
    assert ran.code == 0, ran.err
    assert "▇" in ran.out
    assert "first_byte" in ran.out
    assert ran.out.endswith("every probe passed\n")
    assert linkgate.run("probe", stage.verified, NO_COLOR="1", LC_ALL="C.UTF-8").out.count("\x1b") == 0


def test_probe_of_a_dead_service_says_cause_evidence_and_step_and_ends_with_its_own_code(
    linkgate: Command, lab: LabProcess, provider: Provider, stage: Stage, until: Await
) -> None:
    faults = Faults(lab, provider.deployed.demo)
    faults.inject("servers-stopped")
    try:
        ran = linkgate.run("probe", stage.verified)
        assert ran.code == UNHEALTHY
        assert "tcp_refused  " in ran.out
        assert "First: check the target group's health and the NLB's listeners." in ran.out
    finally:
        faults.repair("servers-stopped")
    until(lambda: linkgate.run("probe", stage.verified).code, 0)


def test_probe_of_what_lets_nothing_through_or_is_no_endpoint_is_one_sentence(linkgate: Command, stage: Stage) -> None:
    assert linkgate.fails("probe", stage.waiting).startswith(f"{stage.waiting} is pendingacceptance, so nothing passes")
    assert linkgate.fails("probe", NOBODY).startswith(f"EC2 shows no connection of {NOBODY} to a managed service")
    assert linkgate.fails("probe", WAITS).startswith(f"{WAITS} is an account: name one of its endpoints")


def test_doctor_finds_what_is_wrong_and_says_what_mends_it(
    linkgate: Command, provider: Provider, stage: Stage, until: Await
) -> None:
    ran = linkgate.run("doctor")
    assert ran.code == FOUND
    assert "nobody is subscribed to AlarmTopic" in ran.out
    assert "not looked at" not in ran.out
    provider.put_row("444444444444", effect="allow", limit="some")
    ran = linkgate.run("doctor")
    assert f"row {stage.service}/444444444444 cannot be read: limit is" in " ".join(ran.out.split())
    assert "linkgate export > rows.yaml" in ran.out
    until(
        lambda: [one["kind"] for one in linkgate.run("--output", "json").json["needs"]],
        lambda kinds: "invalid" in kinds,
    )
    provider.delete_row("444444444444")


def test_services_shows_mode_wiring_settings_and_who_else_manages_it(linkgate: Command, stage: Stage) -> None:
    told = linkgate.run("services").out
    assert f"{stage.service}  enforce" in told
    assert "notifications reach Linkgate, acceptance required" in told
    assert re.search(r"\d principals may ask; also managed by CloudFormation stack linkgate-demo", told)


def test_invite_is_a_card_for_the_customer_and_a_warning_for_the_provider(linkgate: Command, stage: Stage) -> None:
    ran = linkgate.run("invite", stage.service, WAITS)
    assert ran.code == 0
    assert f"com.amazonaws.vpce.eu-west-1.{stage.service}" in ran.out
    assert "euw1-az1, euw1-az2" in ran.out
    assert "hello.example.com" in ran.out
    assert "before you send it: a request would be hold" in ran.err
    assert linkgate.fails("invite", "shop").startswith("'shop' is no endpoint service")
    assert linkgate.fails("invite", stage.service, stage.waiting).endswith(
        "expected the 12-digit account of the customer"
    )
    assert linkgate.fails("invite", "vpce-svc-0123456789abcdef0").startswith("there is no endpoint service")


CALLS: dict[str, Callable[[Stage], tuple[str, ...]]] = {
    "status": lambda stage: (),
    "services": lambda stage: (),
    "why": lambda stage: (stage.waiting,),
    "wait": lambda stage: (PROVIDER_ACCOUNT,),
    "doctor": lambda stage: (),
    "invite": lambda stage: (stage.service, WAITS),
    "probe": lambda stage: (stage.verified,),
}


@pytest.mark.parametrize("name", CALLS)
def test_json_is_as_its_schema_says(linkgate: Command, stage: Stage, name: str) -> None:
    document = linkgate.run(name, *CALLS[name](stage), "--output", "json").json
    jsonschema.validate(document, json.loads((SCHEMAS / f"{name}.json").read_text()))


# ------------------------------------------------------------------ with IAM


def listed() -> dict[str, list[str]]:
    """The actions of each command, as docs/permissions.md lists them."""
    found: dict[str, list[str]] = {}
    for name, text in re.findall(r"^\| `(\w+)` \| (.*) \|$", PERMISSIONS, re.MULTILINE):
        others = re.findall(r"those of `(\w+)`", text)
        found[name] = sorted({*(one for other in others for one in found[other]), *re.findall(r"`(\w+:\w+)`", text)})
    return found


@pytest.fixture
def limited(lab: LabProcess, client: Client, linkgate: Command) -> Iterator[Callable[..., Command]]:
    """`limited(document, …)`: the command as a role that has these policies and no others."""
    iam, names = client("iam"), list[str]()
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{PROVIDER_ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
    }

    def make(*documents: Any) -> Command:
        name = f"person-{len(names)}"
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]
        names.append(name)
        for number, document in enumerate(documents):
            iam.put_role_policy(RoleName=name, PolicyName=f"p{number}", PolicyDocument=json.dumps(document))
        keys = client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="somebody")["Credentials"]
        given = {
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
        }
        return replace(linkgate, environment={**linkgate.environment, **given})

    yield make
    for name in names:
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        iam.delete_role(RoleName=name)


COMMON = "ec2:DescribeVpcEndpointServiceConfigurations"
"""An action that every command needs."""


def allowing(actions: list[str]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}


@pytest.mark.parametrize("name", CALLS)
def test_a_command_needs_no_action_but_those_listed_for_it_and_names_one_that_is_missing(
    limited: Callable[..., Command], stage: Stage, name: str
) -> None:
    actions = listed()[name]
    ran = limited(allowing(actions)).run(name, *CALLS[name](stage))
    assert ran.code in ((0, FOUND) if name == "doctor" else (0,)), ran.err
    assert "not looked at" not in ran.out
    fewer = [action for action in actions if action != COMMON]
    assert limited(allowing(fewer)).fails(name, *CALLS[name](stage)).startswith(f"your role may not {COMMON}: ")


POLICIES = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PERMISSIONS, re.DOTALL)]


def actions_of(*documents: Any) -> set[str]:
    found = [one["Action"] for document in documents for one in document["Statement"]]
    return {action for some in found for action in ([some] if isinstance(some, str) else some)}


def test_the_readers_and_the_operators_policies_are_what_the_commands_need() -> None:
    reader, operator = POLICIES[:2]
    needed = listed()
    assert actions_of(reader) == {
        one for name, some in needed.items() if name in CALLS and name != "probe" for one in some
    }
    assert set(needed["probe"]) <= actions_of(reader, operator)
    assert actions_of(operator) == {"lambda:InvokeFunction"}


def test_with_the_readers_policy_everything_is_read_and_with_the_operators_probed(
    limited: Callable[..., Command], provider: Provider, stage: Stage
) -> None:
    text = json.dumps(POLICIES[:2])
    for output in ("AllowListTable", "LedgerTable", "CanaryFunction"):
        text = re.sub(rf"linkgate-{output}\b", provider.deployed.linkgate[output], text)
    reader, operator = json.loads(text)
    person = limited(reader)
    for name in set(CALLS) - {"probe", "doctor"}:
        assert person.run(name, *CALLS[name](stage)).code == 0, name
    assert "not looked at" not in person.run("doctor").out
    assert person.fails("probe", stage.verified).count("your role may not lambda:InvokeFunction") == 1
    assert limited(reader, operator).run("probe", stage.verified).code == 0
