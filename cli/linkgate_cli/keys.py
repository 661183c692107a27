"""Keys of rows as people type them: what they meant where they wrote it otherwise. Pure."""

import re

from linkgate.policy.meant import meant
from linkgate.policy.rows import CONSUMER_FORM, SERVICE_FORM

from linkgate_cli.failures import Failure

CONSUMERS = "a 12-digit account id, vpce-…, ou-…, o-… or *"


def meant_consumer(text: str) -> str:
    """The consumer that somebody may have meant; "" if nobody can tell."""
    digits = text.strip()
    if re.fullmatch("[0-9]{9,11}", digits):  # a spreadsheet drops leading zeros
        return digits.zfill(12)
    return meant(text, CONSUMER_FORM)


def meant_service(text: str) -> str:
    """The service that somebody may have meant; "" if nobody can tell."""
    return meant(text, SERVICE_FORM)


def consumer(text: str) -> str:
    """A consumer that a person typed; Failure says what was expected, and what may have been meant."""
    if CONSUMER_FORM.fullmatch(text) and not text.startswith("@"):
        return text
    guess = "" if text.startswith("@") else meant_consumer(text)
    raise Failure(f"{text!r} is no consumer: {_expected(guess, CONSUMERS)}")


def service(text: str) -> str:
    """A service that a person typed; Failure likewise."""
    if SERVICE_FORM.fullmatch(text):
        return text
    raise Failure(f"{text!r} is no service: {_expected(meant_service(text), 'vpce-svc-… or *')}")


def _expected(guess: str, expected: str) -> str:
    return f"did you mean {guess}?" if guess else f"expected {expected}"
