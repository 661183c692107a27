"""What AWS's errors mean to us: "not now", "no answer at all", or an answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from linkgate.errors import Throttled, Unavailable

THROTTLES = frozenset(
    {"RequestLimitExceeded", "Throttling", "ThrottlingException", "RequestThrottled", "EC2ThrottledException"}
)
"""Codes that ask for fewer calls: nothing was done. EC2 sends them with status 503 (botocore's _retry.json)."""
INDIVISIBLE = THROTTLES | {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthFailure"}
"""Codes that say nothing about one member of a list, so that halving the list would help nobody."""

ENCODED = "Encoded authorization failure message"
"""What EC2 writes before them (STS API reference, DecodeAuthorizationMessage)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """EC2 did not do what it was asked for one endpoint or principal: its own code and words."""

    code: str
    message: str

    @classmethod
    def read(cls, error: object) -> "Refusal":
        """The refusal that EC2 wrote; what it left out is ""."""
        fields = error if isinstance(error, dict) else {}
        return cls(str(fields.get("Code", "")), str(fields.get("Message", "")))

    @property
    def final(self) -> bool:
        """Whether the state of the connection is what EC2 has against it, or there is none: asking again is idle.

        Everything else passes, or is somebody's to mend: an operation in progress, a throttle, an error of EC2's own, a
        permission. The codes are not documented: EC2's others of this kind are InvalidState, IncorrectState,
        InvalidVpcEndpointState and Invalid….NotFound.
        """
        return self.code.endswith(("State", ".NotFound"))

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    @property
    def lasting(self) -> str:
        """Code and words without what is another each time: the details of a missing permission, encoded."""
        return f"{self.code}: {self.message.partition(ENCODED)[0].rstrip()}"


@contextmanager
def ec2_errors() -> Iterator[None]:
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
        failed = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
        if failed and error.response["Error"]["Code"] not in THROTTLES:
            raise Unavailable(str(error)) from error
        raise
