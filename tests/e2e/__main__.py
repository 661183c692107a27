"""`make verify-aws`: says what it costs, asks, shows what was assumed beside what was seen, and removes what it made.

Its status is 0 if nothing that Linkgate assumes was seen to be false, 1 if something was, 2 if it could not begin, and
3 if something is left behind.
"""

import argparse
import secrets
import signal
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError
from rich.console import Console
from rich.table import Table

from tests.e2e import deployed, free, gateway, second  # noqa: F401 - they fill QUESTIONS
from tests.e2e.checks import dollars, problems
from tests.e2e.question import CANNOT_TELL, QUESTIONS, Account, Answer, Needs, Question
from tests.e2e.samples import FOLDER, stored
from tests.e2e.stacks import Parameters, StackError, deploy, ordinary

MARKS = {True: "[green]yes[/]", False: "[red]no[/]", None: "?"}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its status."""
    given, console = _parser().parse_args(arguments), Console()
    try:
        questions = chosen(given.only, bool(given.second_profile))
    except KeyError as error:
        return _refused(console, f"there is no question {error}: --dry-run lists them")
    if given.dry_run:
        console.print(listed(questions), f"about {dollars(questions):.2f} dollars in all")
        return 0
    try:
        account = _account(given.name, given.second_profile)
        wrong = list(problems(account, questions))
    except (BotoCoreError, ClientError) as error:
        return _refused(console, f"AWS does not let the caller begin: {error}")
    if wrong:
        return _refused(console, *wrong)
    console.print(
        f"account {account.number}, {account.region}: about {dollars(questions):.2f} dollars, all of it removed"
    )
    if not (given.yes or input("Begin? [y/N] ").strip().lower() == "y"):
        return _refused(console, "nothing was made")
    answers = ask(account, questions, console)
    return finished(account, answers, questions, console, given.samples)


def chosen(names: Sequence[str], with_second: bool) -> list[Question]:
    """The questions of these names, or all that need no more than there is, in the order of asking. Raises KeyError."""
    wanted = (
        [QUESTIONS[name] for name in names]
        if names
        else [one for one in QUESTIONS.values() if with_second or one.needs < Needs.SECOND_ACCOUNT]
    )
    return sorted(wanted, key=lambda one: (one.name == "removal", one.needs))


def ask(
    account: Account,
    questions: Collection[Question],
    console: Console,
    demo: Mapping[str, str] | None = None,
    parameters: Parameters = ordinary,
) -> dict[str, Answer]:
    """The answers by question, as far as it got; what was made is gone then, or named in `account.left`.

    An interrupt ends the asking. Another one is not heard, so that everything is removed.
    """
    answers: dict[str, Answer] = {}
    before = {one: signal.signal(one, signal.default_int_handler) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        with account.place():
            try:
                for one in questions:
                    if one.needs >= Needs.STACKS and not account.deployed:
                        console.print("deploying stacks/demo.yaml and template.yaml")
                        account.deployed = deploy(account, demo or {}, parameters)
                    console.print(f"{one.name}: {one.asks}", highlight=False)
                    answers[one.name] = answered(account, one)
            except (KeyboardInterrupt, StackError) as error:
                console.print(f"ended: {error or 'interrupted'}", markup=False)
            for number in before:
                signal.signal(number, signal.SIG_IGN)
            console.print("removing what was made")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return answers


def answered(account: Account, one: Question) -> Answer:
    """The answer to one question; what it made is gone then. An error of AWS is an answer that tells nothing."""
    if account.lab and not one.in_lab:
        return CANNOT_TELL
    try:
        with account.place():
            return one.ask(account)
    except (BotoCoreError, ClientError) as error:
        return Answer(f"not answered: {error}")


def finished(
    account: Account, answers: Mapping[str, Answer], questions: Collection[Question], console: Console, folder: Path
) -> int:
    """Show the answers and what is left behind, store the samples; the command's status."""
    table = Table("question", "assumed", "seen in the lab" if account.lab else "seen", "right")
    for one in questions:
        answer = answers.get(one.name, Answer("not asked"))
        table.add_row(one.name, one.assumed, answer.seen, MARKS[answer.right])
    console.print(table)
    if account.samples:
        stored(account.samples, folder, account.number)
        console.print(f"{len(account.samples)} samples are in {folder}")
    for what in account.left:
        console.print(f"left behind: {what}", markup=False)
    return 3 if account.left else int(any(answer.right is False for answer in answers.values()))


def listed(questions: Collection[Question]) -> Table:
    """What would be asked."""
    table = Table("question", "asks", "needs", "minutes")
    for one in questions:
        table.add_row(one.name, one.asks, one.needs.name.lower().replace("_", " "), f"{one.minutes:g}")
    return table


def _account(name: str, second_profile: str) -> Account:
    session = boto3.Session()
    if not session.region_name:
        raise NoRegionError
    number = session.client("sts").get_caller_identity()["Account"]
    other = boto3.Session(profile_name=second_profile, region_name=session.region_name) if second_profile else None
    return Account(session, number, name, second=other)


def _refused(console: Console, *sentences: str) -> int:
    for one in sentences:
        console.print(one, markup=False, highlight=False)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make verify-aws", description="Ask a real account what Linkgate assumes.")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these questions alone")
    parser.add_argument("--dry-run", action="store_true", help="list the questions and what they cost; no credentials")
    parser.add_argument("--yes", action="store_true", help="begin without asking")
    parser.add_argument("--name", default=f"linkgate-verify-{secrets.token_hex(3)}", help="begins every name")
    parser.add_argument("--second-profile", default="", metavar="PROFILE", help="of a second account")
    parser.add_argument("--samples", type=Path, default=FOLDER, help="where what AWS sent is stored")
    return parser


if __name__ == "__main__":
    sys.exit(main())
