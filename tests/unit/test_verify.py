"""`make verify-aws` before AWS is asked anything: its questions, its checks, and what an interrupt leaves."""

import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.exceptions import ClientError
from linkgate.events import bell
from moto import mock_aws
from rich.console import Console

from tests.e2e.__main__ import answered, ask, chosen, main
from tests.e2e.checks import dollars, problems
from tests.e2e.question import QUESTIONS, Account, Answer, Needs, Question
from tests.e2e.samples import FOLDER, OTHER, OWN, SECOND, anonymous, shape, stored
from tests.infrastructure.stack import ROOT


def asked(ask: Callable[[Account], Answer], needs: Needs = Needs.NOTHING) -> Question:
    return Question("asked", "?", "yes", needs, 1, 0, True, ask)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield Account(boto3.Session(), "123456789012", "linkgate-verify")


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says where it does not begin; AWS knows nobody here."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert main(list(arguments)) == 2
    return " ".join(capsys.readouterr().out.split())


def test_a_dry_run_lists_every_question_without_credentials(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dry-run", "--second-profile", "other"]) == 0
    out = capsys.readouterr().out
    assert [name for name in QUESTIONS if name not in out] == []
    assert re.search(r"about 0\.\d\d dollars", out)


def test_free_questions_come_first_and_the_removal_last() -> None:
    questions = chosen([], with_second=True)
    assert questions[-1].name == "removal"
    assert [one.needs for one in questions[:-1]] == sorted(one.needs for one in questions[:-1])
    assert {one.needs for one in chosen([], with_second=False)} == {Needs.NOTHING, Needs.STACKS}


def test_free_questions_cost_nothing_and_the_stacks_by_the_hour() -> None:
    free = [one for one in QUESTIONS.values() if one.needs is Needs.NOTHING]
    assert dollars(free) == 0
    assert 0.05 < dollars([QUESTIONS["deployment"]]) < dollars(list(QUESTIONS.values())) < 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "everything"), "there is no question 'everything'"),
        (("--only", "filter-tag"), "You must specify a region"),
    ],
)
def test_who_cannot_begin_is_told_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert said in refused(monkeypatch, capsys, *arguments)


@pytest.mark.parametrize("name", ["x" * 36, "ab", "Linkgate", "link_gate", "1linkgate"])
def test_a_name_that_no_bucket_can_have_is_refused(account: Account, name: str) -> None:
    account.name = name
    (said,) = problems(account, [QUESTIONS["filter-tag"]])
    assert said.startswith(f"the name {name} must be 3 to 35 of")


def test_questions_to_a_second_account_need_its_profile(account: Account) -> None:
    said = next(problems(account, [QUESTIONS["foreign-canary"]]))
    assert said == "foreign-canary: a second account is needed, so give --second-profile"


class Canned:
    """A client that answers every call alike, or raises; a paginator has the answer as its one page."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *_, **__: self.said(name)

    def said(self, name: str) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"get_paginator": self, "paginate": [self.answer]}.get(name, self.answer)


def refusal(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Anything")


CLIENTS = {
    "sts": Canned({"Arn": "arn:aws:sts::123456789012:assumed-role/admin/me"}),
    "iam": Canned({"Role": {"Arn": "arn"}, "EvaluationResults": []}),
    "lambda": Canned(refusal("InvalidParameterValueException", "The role cannot be assumed by Lambda.")),
    "cloudformation": Canned(refusal("ValidationError", "Stack does not exist")),
}
"""An account in which nothing is wrong."""
RUNTIMES = "Value 'python3.99' at 'runtime' failed to satisfy constraint: Member must satisfy enum value set"
EVALUATED = [{"EvalActionName": "iam:CreateRole", "EvalDecision": "implicitDeny"}]
WRONG = [
    ("cloudformation", {"Stacks": []}, ["a stack linkgate-verify already", "a stack linkgate-verify-demo already"]),
    ("lambda", refusal("ValidationException", RUNTIMES), ["in eu-west-1: choose another Region or Python"]),
    ("iam", {"Role": {"Arn": "arn"}, "EvaluationResults": EVALUATED}, ["the caller may not iam:CreateRole"]),
    ("iam", refusal("AccessDenied"), []),
]


@pytest.mark.parametrize(("service", "answer", "said"), WRONG)
def test_what_would_go_wrong_is_said_before_anything_is_made(
    account: Account, monkeypatch: pytest.MonkeyPatch, service: str, answer: Any, said: list[str]
) -> None:
    clients = CLIENTS | {service: Canned(answer)}
    monkeypatch.setattr(Account, "client", lambda self, name: clients[name])
    found = list(problems(account, [QUESTIONS["deployment"]]))
    assert len(found) == len(said)
    assert all(part in sentence for part, sentence in zip(said, found, strict=True)), found


def test_an_account_in_which_nothing_is_wrong_may_be_asked(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Account, "client", lambda self, name: CLIENTS[name])
    assert list(problems(account, [QUESTIONS["deployment"]])) == []


def test_what_a_question_made_is_removed_the_last_thing_first_even_when_it_is_interrupted(account: Account) -> None:
    removed: list[str] = []

    def interrupted(it: Account) -> Answer:
        for what in ("queue", "policy"):
            it.made(what, lambda what=what: removed.append(what))  # type: ignore[misc]
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("it goes on")

    def fine(it: Account) -> Answer:
        return Answer("fine", True)

    before = signal.getsignal(signal.SIGTERM)
    answers = ask(account, [asked(fine), asked(interrupted), asked(fine)], Console(quiet=True))
    assert removed == ["policy", "queue"]
    assert answers == {"asked": Answer("fine", True)}
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_cannot_be_removed_is_named_and_what_is_gone_is_not(account: Account) -> None:
    sqs = account.client("sqs")
    with account.place():
        account.made("a queue", lambda: sqs.delete_queue(QueueUrl="https://eu-west-1.queue.amazonaws.com/1/none"))
        account.made("a thing", lambda: 1 / 0)
    assert account.left == ["a thing: division by zero"]


def test_an_error_of_aws_is_no_answer(account: Account) -> None:
    def denied(it: Account) -> Answer:
        return Answer(str(it.client("sqs").get_queue_url(QueueName="none")), True)

    answer = answered(account, asked(denied))
    assert answer.right is None
    assert answer.seen.startswith("not answered: ")


def test_samples_lose_account_ids_and_signatures(tmp_path: Path) -> None:
    sample = {
        "Signature": "c2ln",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:t",
        "Message": '{"a": "234567890123"}',
    }
    stored(
        {"sns": sample | {"id": "vpce-0a1b2c3d4e5f60718", "x": "345678901234"}},
        tmp_path,
        "123456789012",
        "234567890123",
    )
    assert json.loads((tmp_path / "sns.json").read_text()) == {
        "Signature": "…",
        "TopicArn": f"arn:aws:sns:eu-west-1:{OWN}:t",
        "Message": f'{{"a": "{SECOND}"}}',
        "id": "vpce-0a1b2c3d4e5f60718",
        "x": OTHER,
    }


def test_an_id_that_holds_twelve_digits_stays() -> None:
    assert anonymous("vpce-00123456789012345 123456789012", "123456789012") == f"vpce-00123456789012345 {OWN}"


def test_a_shape_is_fields_and_types() -> None:
    assert shape({"b": [1, 2], "a": {"c": "x"}, "d": []}) == {"a": {"c": "str"}, "b": ["int"], "d": []}


class Belief(NamedTuple):
    """A line of docs/aws.md."""

    what: str
    source: str
    otherwise: str
    questions: frozenset[str]


def beliefs() -> list[Belief]:
    lines = re.findall(r"^\| (.+) \|$", (ROOT / "docs" / "aws.md").read_text(), re.MULTILINE)
    cells = [[cell.strip() for cell in line.split("|")] for line in lines if not line.startswith("what |")]
    return [
        Belief(what, source, otherwise, frozenset(filter(None, names.split(", "))))
        for what, source, otherwise, names in cells
    ]


def test_every_question_settles_a_belief_and_every_belief_names_questions_that_exist() -> None:
    assert frozenset().union(*(one.questions for one in beliefs())) == QUESTIONS.keys()


def test_the_page_says_what_it_costs() -> None:
    page = (ROOT / "docs" / "verify-on-aws.md").read_text()
    assert f"about ${dollars(chosen([], with_second=False)):.2f}" in page


@pytest.mark.parametrize("belief", beliefs(), ids=lambda one: one.what)
def test_no_belief_is_without_source_consequence_and_question(belief: Belief) -> None:
    assert re.match(r"documented: |seen: |nobody", belief.source)
    assert re.match(r"harmless|detected: |unknown: ", belief.otherwise)
    assert belief.questions or belief.source.startswith("documented")


@pytest.mark.parametrize("path", [*FOLDER.glob("sns-notification-*.json")] or [None], ids=str)
def test_a_notification_that_aws_sent_rings_for_its_endpoint(path: Path | None) -> None:
    if path is None:
        pytest.skip("events/aws is empty: nobody has run make verify-aws on AWS yet")
    assert bell.parse(json.dumps({"detail-type": "notification", "detail": path.read_text()})).endpoints
