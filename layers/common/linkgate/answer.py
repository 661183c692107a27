"""What AWS's errors mean to us: "not now", "no answer at all", or an answer."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from linkgate.errors import Throttled, Unavailable

THROTTLES = frozenset({"RequestLimitExceeded", "Throttling", "ThrottlingException", "RequestThrottled"})


@contextmanager
def translated() -> Iterator[None]:
    """AWS's ways of saying "not now" as Throttled and Unavailable; every other error passes through."""
    try:
        with unreachable():
            yield
    except ClientError as error:
        if error.response["Error"]["Code"] in THROTTLES:
            raise Throttled(str(error)) from error
        raise


@contextmanager
def unreachable() -> Iterator[None]:
    """No answer, or a failure on AWS's side, as Unavailable: what was asked for may or may not have been done."""
    try:
        yield
    except BotoCoreError as error:
        raise Unavailable(str(error)) from error
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
            raise Unavailable(str(error)) from error
        raise
