"""docs/parameters.md from the templates: `python -m tests.infrastructure.parameters > docs/parameters.md`."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.infrastructure.stack import ROOT, parsed

TEMPLATES = {
    "template.yaml": "Linkgate's own stack.",
    "stacks/consumer-canary.yaml": "A canary in a consumer's account.",
}
EMPTY = "Empty - "
"""What stands in a description before what becomes of it if the parameter is left empty."""


def page() -> str:
    """The whole document, written from what the templates say."""
    lines = [
        "# Parameters",
        "",
        "Made from the templates, which is where to change it. Where the last column is blank, the default stands.",
    ]
    for name, what in TEMPLATES.items():
        lines += ["", f"## [{name}](../{name})", what, ""]
        lines += ["| parameter | default | meaning | left empty |", "|---|---|---|---|"]
        lines += [f"| {' | '.join(cells)} |" for cells in rows(parsed(ROOT / name)["Parameters"])]
    return "\n".join(lines) + "\n"


def rows(parameters: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Name, default, meaning and consequence of leaving it empty, of each parameter."""
    for name, one in parameters.items():
        meaning, _, empty = str(one["Description"]).partition(EMPTY)
        default = one.get("Default")
        allowed = one.get("AllowedValues", ())
        choice = f" One of {', '.join(map(str, allowed))}." if 2 < len(allowed) < 10 else ""
        shown = "must be given" if default is None else f"`{default}`" if default != "" else ""
        yield name, shown, _sentence(meaning) + choice, _sentence(empty[:1].upper() + empty[1:])


def _sentence(text: str) -> str:
    text = text.strip()
    return f"{text.rstrip('.')}." if text else ""


if __name__ == "__main__":
    print(page(), end="")
