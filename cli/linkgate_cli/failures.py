"""Exit codes, and the one exception that ends a command with a sentence. docs/cli.md has the same table."""

ERROR = 1
"""It could not be done, or the words on the command line are wrong: a sentence says what to do."""
FOUND = 2
"""plan: something changes; doctor: something is wrong."""
CUTS = 3
"""plan: a live connection would be cut."""
REFUSED = 4
"""wait: rejected, cut or gone, so that waiting does not help."""
UNHEALTHY = 5
"""wait: accepted, but it does not answer; probe: a probe failed."""
TIMED_OUT = 124
"""wait: the time is over; as the `timeout` command says it."""
INTERRUPTED = 130
"""Ctrl-C."""


class Failure(Exception):
    """The command ends here: a sentence that says what is wrong and what to do, and the exit code."""

    def __init__(self, sentence: str, code: int = ERROR) -> None:
        super().__init__(sentence)
        self.code = code
