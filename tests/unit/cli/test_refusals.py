"""Every error of AWS and of its client is one sentence with what to do."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from linkgate.errors import SettingsError, Unavailable
from linkgate_cli.failures import ERROR, FOUND, Failure
from linkgate_cli.refusals import failure_of


def refused(code: str, message: str = "no", operation: str = "Query") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (refused("ExpiredToken"), "the AWS credentials are expired: log in again"),
        (refused("AuthFailure"), "AWS does not know these credentials: check --profile and --region"),
        (
            refused("AccessDeniedException", "User: arn:… is not authorized to perform: dynamodb:Query on resource: t"),
            "your role may not dynamodb:Query: docs/permissions.md says what each command needs",
        ),
        (refused("UnauthorizedOperation", operation="DescribeVpcEndpoints"), "your role may not call DescribeVpcEnd"),
        (NoCredentialsError(), "no AWS credentials are found: give --profile"),
        (EndpointConnectionError(endpoint_url="https://ec2"), "AWS cannot be reached; check the network and --region"),
        (SettingsError("table t does not exist in this account and Region"), "table t does not exist"),
        (FileNotFoundError(2, "No such file or directory", "rows.yaml"), "rows.yaml: No such file or directory"),
        (KeyError("x"), "this is a mistake in linkgate itself (KeyError: 'x')"),
    ],
)
def test_an_error_is_one_sentence(error: Exception, sentence: str) -> None:
    failure = failure_of(error)
    assert str(failure).startswith(sentence)
    assert "\n" not in str(failure)
    assert failure.code == ERROR


def test_what_the_layer_wraps_is_told_by_its_cause() -> None:
    error = Unavailable("table t: Unable to locate credentials")
    error.__cause__ = NoCredentialsError()
    assert "give --profile" in str(failure_of(error))


def test_a_failure_keeps_its_exit_code() -> None:
    assert failure_of(Failure("so", FOUND)).code == FOUND
