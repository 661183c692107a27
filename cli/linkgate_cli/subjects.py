"""What somebody names on the command line: an endpoint, an account or a service; other words are one sentence. Pure."""

import re

from linkgate.policy.meant import meant
from linkgate.policy.rows import SERVICE_FORM

from linkgate_cli.failures import Failure

ENDPOINT, ACCOUNT = re.compile("vpce-[0-9a-f]{8}([0-9a-f]{9})?"), re.compile("[0-9]{12}")
_EITHER = re.compile(f"{ENDPOINT.pattern}|{ACCOUNT.pattern}")


def subject(text: str) -> str:
    """An endpoint or an account; Failure for other words, with what is probably meant."""
    word = text.strip()
    if _EITHER.fullmatch(word):
        return word
    guess = meant(word, _EITHER)
    hint = f": did you mean {guess}?" if guess else ""
    raise Failure(f"{word!r} is neither an endpoint such as vpce-0123456789abcdef0 nor a 12-digit account{hint}")


def endpoint(text: str) -> str:
    """An endpoint; Failure for other words."""
    word = subject(text)
    if ACCOUNT.fullmatch(word):
        raise Failure(f"{word} is an account: name one of its endpoints (linkgate status --consumer {word})")
    return word


def service(text: str) -> str:
    """An endpoint service, by its id or its name; Failure for other words."""
    word = text.strip()
    found = meant(word, SERVICE_FORM)
    if found and found != "*" and word.lower().endswith(found):
        return found
    raise Failure(f"{word!r} is no endpoint service: expected an id such as vpce-svc-0123456789abcdef0, or its name")
