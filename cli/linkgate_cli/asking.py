"""Asking before something is changed: yes or no, or the id typed where a live connection would be cut."""

import sys

from linkgate_cli.failures import Failure


def agree(question: str, already: bool = False) -> bool:
    """Whether somebody says yes; `already` (--yes) does. Failure where nobody can be asked."""
    if already:
        return True
    _require_somebody("--yes")
    return _asked(f"{question} [y/N] ").lower() in ("y", "yes")


def typed(question: str, wanted: str, already: str = "") -> bool:
    """Whether somebody types an id; `already` (--confirm ID) is what was given.

    Failure where that is another one, or nobody can be asked.
    """
    if already and already != wanted:
        raise Failure(f"--confirm is {already!r}: expected {wanted!r}; nothing was written")
    if already:
        return True
    _require_somebody(f"--confirm {wanted}")
    return _asked(f"{question}\nType {wanted} to do it: ") == wanted


def _require_somebody(option: str) -> None:
    if not sys.stdin.isatty():
        raise Failure(f"this asks first, and nobody can be asked here: give {option}")


def _asked(prompt: str) -> str:
    """An answer; asked on standard error, so that standard output carries the answer alone."""
    print(prompt, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()
