"""What a person does in the lab that `make lab` runs: `make lab-shell` and `make lab-fault`."""

from botocore.exceptions import ClientError
from rich.console import Console

from lab.harness import running, shell
from lab.harness.deploy import DEMO_STACK, outputs
from lab.harness.process import LabError
from lab.story.faults import FAULTS, Faults


def visit(console: Console, what: str, name: str = "", repair: bool = False) -> None:
    """Become a shell in the VPC `name`, or put the fault `name` in force or `repair` it; without a name, list them.

    Raises LabError where there is no lab, no such VPC or no such fault.
    """
    lab = running.find()
    stack = outputs(lab, DEMO_STACK)
    if what == "shell":
        shell.enter(lab, stack, name or "consumer")
    faults = Faults(lab, stack)
    if not name:
        _list(console, faults.injected())
        return
    try:
        (faults.repair if repair else faults.inject)(name)
    except ClientError as error:
        raise LabError(f"{name}: {error}") from error
    if not repair:
        console.print(f"in force; a client in the consumer VPC now sees: {FAULTS[name].symptom}", highlight=False)
    console.print(f"faults in force: {', '.join(faults.injected()) or 'none'}", highlight=False)


def _list(console: Console, injected: list[str]) -> None:
    for name, fault in FAULTS.items():
        mark = "[red]●[/]" if name in injected else " "
        console.print(f"{mark} {name:24}{fault.what}: {fault.symptom}", highlight=False)
