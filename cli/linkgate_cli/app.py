"""The commands by name, the options that all of them take, and how each run ends: with a sentence and an exit code."""

import importlib
import sys
from typing import Annotated, Any, Literal, NoReturn, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from linkgate_cli.failures import ERROR, INTERRUPTED
from linkgate_cli.session import Session

DEFAULT = "status"
COMMANDS = {
    "status": "What needs you first, then every connection.",
    "services": "Which services are managed, how they are wired and set.",
    "why": "Why an endpoint waits, was let in or cut, step by step.",
    "plan": "What a file of rows, or one edit, would do to every connection.",
    "apply": "Write a file of rows: what plan said, and nothing else.",
    "export": "The allow-list as a file of rows.",
    "allow": "Let a consumer in: one row, after its effect was shown.",
    "deny": "Keep a consumer out: one row, after its effect was shown.",
    "remove": "Delete the row of a consumer, after its effect was shown.",
    "release": "Let cuts or rejections that the breaker keeps go ahead.",
    "wait": "Wait until an endpoint is let in, or answers.",
    "probe": "Probe an endpoint now: phases, cause and evidence.",
    "enroll": "Have Linkgate manage an endpoint service, after a first look.",
    "unenroll": "Have Linkgate manage an endpoint service no more.",
    "doctor": "Whether everything is wired, and what mends what is not.",
    "invite": "The card to send to a customer.",
    "test": "Run the policy tests of a file.",
}
"""The commands in the order of `linkgate --help`. Each is the function `command` of the module of its name in
linkgate_cli.commands, which is imported when it is run, so that the others cost nothing; a dash is a low line there."""

EDITS = ("allow", "deny", "remove")
"""The edits that `plan` takes in place of a file: `linkgate plan allow 222222222222`."""
OWN = frozenset({"--help", "--install-completion", "--show-completion"})
OWN_NAMES = frozenset({"install_completion", "show_completion"})


class Commands(TyperGroup):
    """The group that imports a command when it is run; without a name it is `status`."""

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]
        """The command that is run, or completed."""
        if args[0] == "plan" and args[1:2] and args[1] in EDITS and ctx.obj:
            ctx.obj.only_plan, args = True, args[1:]
        name, found, rest = super().resolve_command(ctx, args)
        return name, found and load(args[0]), rest

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """`status` where no command is named."""
        named = args and (not args[0].startswith("-") or any(word in COMMANDS or word in OWN for word in args))
        return super().parse_args(ctx, args if named or ctx.resilient_parsing else [DEFAULT, *args])


def load(name: str) -> Any:
    """The command of a name, with the options that all commands take."""
    module = importlib.import_module(f"linkgate_cli.commands.{name.replace('-', '_')}")
    one = typer.Typer(add_completion=False, rich_markup_mode=None)
    one.command(name)(module.command)
    made = typer.main.get_command(one)
    made.params += _common()
    return made


def _keep(ctx: typer.Context, parameter: typer.CallbackParam, value: str | None) -> None:
    """Keep an option that was given, before or after the command's name."""
    if value is not None and not ctx.resilient_parsing:
        setattr(ctx.obj, str(parameter.name), value)


def _linkgate(
    stack: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            envvar="LINKGATE_STACK",
            help="Linkgate's stack; found by itself where there is one.",
            callback=_keep,
        ),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="A profile of your AWS configuration.", callback=_keep)
    ] = None,
    region: Annotated[
        str | None, typer.Option(metavar="NAME", help="The AWS Region of the stack.", callback=_keep)
    ] = None,
    output: Annotated[
        Literal["table", "json", "markdown"] | None,
        typer.Option(
            help="For people, for programs (docs/cli.md has the schemas), or for a pull request (plan).", callback=_keep
        ),
    ] = None,
) -> None:
    """Who waits at your AWS PrivateLink endpoint services, why, and what an edit would do.

    Example: linkgate why vpce-0123456789abcdef0
    """


def _group() -> Commands:
    app = typer.Typer(cls=Commands, rich_markup_mode=None)
    app.callback()(_linkgate)
    group = cast(Commands, typer.main.get_command(app))
    for parameter in group.params:
        parameter.expose_value = False  # _keep has it already
    group.commands = {name: TyperCommand(name, help=text, rich_markup_mode=None) for name, text in COMMANDS.items()}
    return group


def _common() -> list[Any]:
    return [parameter for parameter in _group().params if parameter.name not in OWN_NAMES]


def main() -> NoReturn:
    """Run the command line; nothing but an exit code leaves here."""
    try:
        code = _group().main(prog_name="linkgate", standalone_mode=False, obj=Session())
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stderr.close()  # `linkgate | head`: nobody reads on, and Python would say so
        sys.exit(ERROR)  # what was to be done after it was shown is not done
    except (KeyboardInterrupt, typer.Abort):
        _end("interrupted", INTERRUPTED)
    except TyperException as error:  # wrong words on the command line
        context = getattr(error, "ctx", None)
        where = context.command_path if context else "linkgate"
        said = error.format_message().removesuffix(".").replace("Value error, ", "")
        _end(f"{said} (see {where} --help)", ERROR)
    except Exception as error:
        from linkgate_cli.refusals import failure_of  # boto3 is needed to read its errors

        failure = failure_of(error)
        _end(str(failure), failure.code)
    sys.exit(code if isinstance(code, int) else 0)


def _end(sentence: str, code: int) -> NoReturn:
    seen = "".join(one if one.isprintable() else " " for one in sentence)  # it may quote a row, or AWS
    print(f"linkgate: {seen}", file=sys.stderr)
    sys.exit(code)
