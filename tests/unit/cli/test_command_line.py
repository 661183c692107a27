"""The command line itself: names, help, options, exit codes, and what it costs to start."""

import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from linkgate_cli.app import COMMANDS, _end
from linkgate_cli.failures import ERROR

from tests.command import LINKGATE, ROOT, Command


@pytest.fixture
def linkgate(tmp_path: Path) -> Command:
    return Command(tmp_path)


def test_help_lists_every_command_with_its_line(linkgate: Command) -> None:
    ran = linkgate.run("--help")
    assert ran.code == 0
    for name, text in COMMANDS.items():
        assert any(line.split()[0] == name and text in line for line in ran.out.splitlines() if line.strip()), ran.out


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_its_line_and_an_example(linkgate: Command, name: str) -> None:
    module = importlib.import_module(f"linkgate_cli.commands.{name.replace('-', '_')}")
    assert inspect.cleandoc(module.command.__doc__ or "").splitlines()[0] == COMMANDS[name]
    ran = linkgate.run(name, "--help")
    assert ran.code == 0
    assert f"Example: linkgate {name}" in ran.out
    for option in ("--stack", "--profile", "--region", "--output"):
        assert option in ran.out


def test_help_asks_nothing_of_aws_and_does_not_even_import_its_client() -> None:
    program = "import sys; sys.argv = ['linkgate', '--help']; from linkgate_cli.app import main\ntry: main()\nfinally: "
    program += "print(sorted({'boto3', 'botocore', 'yaml', 'rich'} & set(sys.modules)))"
    paths = f"{ROOT / 'cli'}:{ROOT / 'layers' / 'common'}"
    done = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": paths}, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_words_that_are_wrong_are_one_sentence_and_exit_1(linkgate: Command) -> None:
    assert linkgate.fails("statu") == "No such command 'statu'. Did you mean 'status'? (see linkgate --help)"
    assert "--output" in linkgate.fails("--output", "xml")
    assert "--nothing" in linkgate.fails("status", "--nothing")


def test_without_region_credentials_or_a_known_profile_one_sentence_says_what_to_do(linkgate: Command) -> None:
    assert linkgate.fails() == "no AWS Region is set: give --region"
    assert "no AWS credentials are found: give --profile" in linkgate.fails("--region", "eu-west-1")
    assert "(nope) could not be found: aws configure list-profiles" in linkgate.fails("status", "--profile", "nope")


class Refusing(BaseHTTPRequestHandler):
    """AWS, where the session of the credentials is over."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b"<ErrorResponse><Error><Code>ExpiredToken</Code><Message>is expired</Message></Error></ErrorResponse>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def expired() -> Iterator[str]:
    """The URL of such an AWS."""
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("words", [[], ["services"], ["why", "222222222222"], ["doctor"], ["probe", "vpce-00000001"]])
def test_expired_credentials_are_one_sentence(linkgate: Command, expired: str, words: list[str]) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "ASIA", "AWS_SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": "over"}
    person = replace(linkgate, environment={"AWS_ENDPOINT_URL": expired, "AWS_DEFAULT_REGION": "eu-west-1", **keys})
    said = person.fails(*words)
    assert said == "the AWS credentials are expired: log in again (aws sso login)"


def test_an_aws_that_cannot_be_reached_is_one_sentence(linkgate: Command) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "eu-west-1"}
    said = replace(linkgate, environment={"AWS_ENDPOINT_URL": "http://127.0.0.1:1", **keys}).fails()
    assert said.startswith("AWS cannot be reached; check the network and --region")


def test_options_that_all_commands_take_stand_before_or_after_the_name(linkgate: Command) -> None:
    before, after = linkgate.fails("--profile", "nope", "status"), linkgate.fails("status", "--profile", "nope")
    assert before == after == linkgate.fails("--profile", "nope")


def test_a_shell_completes_names_and_options(linkgate: Command) -> None:
    asked = {"_LINKGATE_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    assert "status" in linkgate.run(COMP_WORDS="linkgate st", **asked).out.split()
    asked["COMP_CWORD"] = "2"
    assert "--region" in linkgate.run(COMP_WORDS="linkgate status --re", **asked).out.split()


def test_the_script_of_the_checkout_works_where_the_path_has_a_blank(tmp_path: Path) -> None:
    checkout = tmp_path / "my work"
    checkout.mkdir()
    for name in ("cli", "layers", ".venv"):
        (checkout / name).symlink_to(ROOT / name)
    script = checkout / "cli" / "bin" / LINKGATE.name
    done = subprocess.run([str(script), "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


CALLS = {
    **dict.fromkeys(("why", "wait", "probe"), ("vpce-0a1b2c3d4e5f60718",)),
    **dict.fromkeys(("enroll", "unenroll", "invite"), ("vpce-svc-0123456789abcdef0",)),
    **dict.fromkeys(("allow", "deny", "remove"), ("222222222222",)),
    **dict.fromkeys(("plan", "apply", "test"), ("rows.yaml",)),
}
"""What a command needs beside its name."""


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_says_in_one_sentence_what_it_was_given_wrongly(linkgate: Command, name: str) -> None:
    call = (name, *CALLS.get(name, ()))
    (linkgate.home / "rows.yaml").write_text("services: {vpce-svc-0123456789abcdef0: {222222222222: {effect: allow}}}")
    assert "--no-such-option" in linkgate.fails(*call, "--no-such-option")
    assert "'xml' is not one of" in linkgate.fails(*call, "--output", "xml")
    if name != "test":  # which asks nothing of AWS
        assert "The config profile (nobody) could not be found" in linkgate.fails(*call, "--profile", "nobody")
        assert "no AWS credentials are found" in linkgate.fails(*call, "--region", "eu-west-1")


def test_the_sentence_of_an_error_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _end("row \x1b]0;x\x07 is\nnone", ERROR)
    assert capsys.readouterr().err == "linkgate: row  ]0;x  is none\n"
