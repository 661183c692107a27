"""`make verify-aws` against the lab: it asks, it deploys, and it leaves nothing behind."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path

import boto3
import pytest
from rich.console import Console

from lab.harness.deploy import CONSUMERS, demo_parameters, parameters
from lab.harness.process import PROVIDER_ACCOUNT, REGION, LabProcess
from tests.e2e.__main__ import ask, chosen, finished
from tests.e2e.checks import problems
from tests.e2e.question import CANNOT_TELL, QUESTIONS, Account, Answer
from tests.e2e.samples import FOLDER, OTHER, OWN, SECOND, shape


@pytest.fixture(scope="module")
def verifying() -> Iterator[LabProcess]:
    """A lab of its own: no other Linkgate may look after its services."""
    with LabProcess() as running:
        yield running


@pytest.fixture(scope="module")
def account(verifying: LabProcess) -> Iterator[Account]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**verifying.environment(), "HOME": str(verifying.folder)}.items():
            patch.setenv(name, value)
        second = boto3.Session(aws_access_key_id=CONSUMERS[0], aws_secret_access_key="lab", region_name=REGION)
        yield Account(boto3.Session(), PROVIDER_ACCOUNT, "verify", lab=True, second=second)


def things(account: Account) -> dict[str, list[str]]:
    """Names of what a run could leave behind, by kind."""
    looks = {
        "stacks": ("cloudformation", "describe_stacks", "Stacks", "StackName"),
        "tables": ("dynamodb", "list_tables", "TableNames", ""),
        "buses": ("events", "list_event_buses", "EventBuses", "Name"),
        "functions": ("lambda", "list_functions", "Functions", "FunctionName"),
        "layers": ("lambda", "list_layers", "Layers", "LayerName"),
        "logs": ("logs", "describe_log_groups", "logGroups", "logGroupName"),
        "roles": ("iam", "list_roles", "Roles", "RoleName"),
        "buckets": ("s3", "list_buckets", "Buckets", "Name"),
        "queues": ("sqs", "list_queues", "QueueUrls", ""),
        "topics": ("sns", "list_topics", "Topics", "TopicArn"),
        "endpoints": ("ec2", "describe_vpc_endpoints", "VpcEndpoints", "State"),
    }
    found = {
        kind: sorted(one[key] if key else one for one in getattr(account.client(service), call)().get(listed, []))
        for kind, (service, call, listed, key) in looks.items()
    }
    # The lab shows an endpoint as deleting for a moment after its stack is gone.
    return found | {"endpoints": [state for state in found["endpoints"] if state != "deleting"]}


@dataclass(frozen=True)
class Verification:
    """What was there before a run, what it answered, and what is there afterwards."""

    before: dict[str, list[str]]
    answers: dict[str, Answer]
    after: dict[str, list[str]]


@pytest.fixture(scope="module")
def run(account: Account, verifying: LabProcess) -> Verification:
    """A run with everything."""
    before, questions = things(account), chosen([], with_second=True)
    assert list(problems(account, questions)) == []
    demo, linkgate = demo_parameters(verifying), partial(parameters, verifying)
    answers = ask(account, questions, Console(quiet=True), demo, linkgate)
    return Verification(before, answers, things(account))


def test_what_the_lab_imitates_is_what_linkgate_assumes(run: Verification) -> None:
    seen = {name: (answer.right, answer.seen) for name, answer in run.answers.items() if QUESTIONS[name].in_lab}
    assert {name: said for name, (right, said) in seen.items() if not right} == {}
    assert seen.keys() == {name for name, one in QUESTIONS.items() if one.in_lab}


def test_the_lab_does_not_answer_what_it_cannot_tell(run: Verification) -> None:
    others = {name: answer for name, answer in run.answers.items() if not QUESTIONS[name].in_lab}
    assert set(others.values()) == {CANNOT_TELL}
    assert others.keys() == {name for name, one in QUESTIONS.items() if not one.in_lab}


def test_nothing_is_left_behind(run: Verification, account: Account) -> None:
    assert account.left == []
    assert run.after == run.before


def test_a_run_shows_what_it_saw_and_stores_samples_without_account_ids(
    run: Verification, account: Account, tmp_path: Path
) -> None:
    screen = StringIO()
    assert finished(account, run.answers, list(QUESTIONS.values()), Console(file=screen, width=300), tmp_path) == 0
    files = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert {"sns-notification-0.json", "connection-available.json", "codes.json"} <= files.keys()
    assert all(set(re.findall(r"\b[0-9]{12}\b", text)) <= {OWN, SECOND, OTHER} for text in files.values())
    assert "4 came, 4 name the endpoint" in screen.getvalue()


@pytest.mark.parametrize("path", [*FOLDER.glob("*.json")] or [None], ids=str)
def test_the_lab_sends_what_aws_sent(run: Verification, account: Account, path: Path | None) -> None:
    if path is None:
        pytest.skip("events/aws is empty: nobody has run make verify-aws on AWS yet")
    if path.stem in account.samples:
        imitated = json.loads(json.dumps(account.samples[path.stem], default=str))
        assert shape(imitated) == shape(json.loads(path.read_text()))


def test_a_name_that_is_taken_is_said_before_anything_is_made(account: Account) -> None:
    cloudformation = account.client("cloudformation")
    nothing = json.dumps({"Resources": {"Nothing": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}})
    with account.place():
        account.made("stack", lambda: cloudformation.delete_stack(StackName=account.name))
        cloudformation.create_stack(StackName=account.name, TemplateBody=nothing)
        found = list(problems(account, [QUESTIONS["deployment"]]))
    assert found == [f"there is a stack {account.name} already: delete it, or give another --name"]
