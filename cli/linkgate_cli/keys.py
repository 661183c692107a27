"""Keys of rows as people type them: what they meant where they wrote it otherwise. Pure."""

import re

from linkgate.policy.rows import CONSUMER_FORM, SERVICE_FORM, SERVICE_ID

from linkgate_cli.failures import Failure

CONSUMERS = "a 12-digit account id, vpce-…, ou-…, o-… or *"
_ARN = re.compile(r"arn:aws[a-z-]*:(?:iam|sts)::([0-9]{12}):.*")
_ENDPOINT = re.compile(r"(?<![0-9a-z-])vpce-(?:[0-9a-f]{17}|[0-9a-f]{8})(?![0-9a-z])")


def meant_consumer(text: str) -> str:
    """The consumer that somebody may have meant; "" if nobody can tell."""
    bare = text.strip()
    if CONSUMER_FORM.fullmatch(bare.lower()):
        return bare.lower()
    if arn := _ARN.fullmatch(bare):
        return arn[1]
    if endpoint := _ENDPOINT.search(bare.lower()):
        return endpoint[0]
    digits = re.sub(r"[\s_.,-]", "", bare)
    if re.fullmatch("[0-9]{9,12}", digits):
        return digits.zfill(12)
    return ""


def meant_service(text: str) -> str:
    """The service that somebody may have meant; "" if nobody can tell."""
    found = SERVICE_ID.search(text.strip().lower())
    return found[0] if found else ""


def consumer(text: str) -> str:
    """A consumer that a person typed; Failure says what was expected, and what may have been meant."""
    if CONSUMER_FORM.fullmatch(text) and not text.startswith("@"):
        return text
    meant = "" if text.startswith("@") else meant_consumer(text)
    raise Failure(f"{text!r} is no consumer: {_meant(meant, CONSUMERS)}")


def service(text: str) -> str:
    """A service that a person typed; Failure likewise."""
    if SERVICE_FORM.fullmatch(text):
        return text
    raise Failure(f"{text!r} is no service: {_meant(meant_service(text), 'vpce-svc-… or *')}")


def _meant(meant: str, expected: str) -> str:
    return f"did you mean {meant}?" if meant else f"expected {expected}"
