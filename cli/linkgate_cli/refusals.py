"""What AWS refuses, and why it cannot be asked, each as one sentence with what to do."""

import os
import re
from collections.abc import Iterator

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
)
from linkgate.errors import LinkgateError

from linkgate_cli.failures import Failure

EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
UNKNOWN = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "SignatureDoesNotMatch"})
DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "AuthorizationError",
        "AuthorizationErrorException",
    }
)
_ACTION = re.compile(r"\b[a-z0-9-]+:[A-Z][A-Za-z]+\b")


def failure_of(error: BaseException) -> Failure:
    """The failure that an exception is; of one that nobody foresaw, what to report."""
    for one in _chain(error):
        if isinstance(one, Failure):
            return one
        if sentence := _known(one):
            return Failure(sentence)
    if os.environ.get("LINKGATE_DEBUG"):
        raise error
    if isinstance(error, LinkgateError):
        return Failure(str(error))
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    return Failure(f"this is a mistake in linkgate itself ({what}): LINKGATE_DEBUG=1 shows where, please report it")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _known(error: BaseException) -> str:
    """The sentence for an error of AWS or of its client; "" for others."""
    match error:
        case NoCredentialsError() | PartialCredentialsError():
            return "no AWS credentials are found: give --profile, or log in (aws sso login, aws configure)"
        case SSOError():
            return f"the AWS login is over or was never there: aws sso login ({_line(error)})"
        case ProfileNotFound():
            return f"{_line(error).rstrip('.')}: aws configure list-profiles names those that there are"
        case NoRegionError():
            return "no AWS Region is set: give --region"
        case EndpointConnectionError() | ConnectTimeoutError():
            return f"AWS cannot be reached; check the network and --region ({_line(error)})"
        case ClientError():
            return _refused(error)
        case BotoCoreError():
            return _line(error)
        case OSError() if not isinstance(error, BrokenPipeError) and error.filename:
            return f"{error.filename}: {error.strerror}"
    return ""


def _refused(error: ClientError) -> str:
    code, said = error.response["Error"].get("Code", ""), _line(error)
    if code in EXPIRED:
        return "the AWS credentials are expired: log in again (aws sso login)"
    if code in UNKNOWN:
        return f"AWS does not know these credentials: check --profile and --region ({code})"
    if code in DENIED:
        return f"your role may not {action_of(error)}: docs/permissions.md says what each command needs ({code})"
    return said


def action_of(error: ClientError) -> str:
    """The IAM action that was refused: the one that AWS names, else that of the call."""
    named = _ACTION.search(error.response["Error"].get("Message", ""))
    return named.group() if named else f"call {error.operation_name}"


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
