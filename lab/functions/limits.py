"""Functions that Lambda does not make, where ministack does: their names and their environment.

Sources: Lambda API reference, CreateFunction (a name has up to 64 characters; EnvironmentVariables, form of a name);
developer guide, "Lambda quotas" (4 KB of environment variables) and "Defined runtime environment variables" (reserved
names). Unconfirmed: that the environment is measured as JSON, and the words but for those of reserved names.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from ministack.services import lambda_svc  # type: ignore[import-untyped]

from lab.limits import Objection, guard, too_long

LONGEST_NAME = 64
LARGEST_ENVIRONMENT = 4 * 1024
"""Bytes."""
RESERVED = frozenset(
    {
        *("_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV"),
        *("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION"),
        *("AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME"),
        *("AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
        *("AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"),
    }
)
"""Names that Lambda sets itself."""

_VARIABLE = re.compile("[A-Za-z][A-Za-z0-9_]+")
_Record = dict[str, Any]


def install() -> None:
    """Seams: the actions that make and change a function, and CloudFormation's."""
    create, update = lambda_svc._create_function, lambda_svc._update_config

    def created(asked: _Record) -> Any:
        found = objection(asked)
        return lambda_svc.error_response_json(*found, 400) if found else create(asked)

    def updated(name: str, asked: _Record) -> Any:
        found = objection(asked)
        return lambda_svc.error_response_json(*found, 400) if found else update(name, asked)

    lambda_svc._create_function, lambda_svc._update_config = created, updated
    guard("AWS::Lambda::Function", objection)


def objection(asked: Mapping[str, Any]) -> Objection | None:
    """Why Lambda makes no function of that name and environment."""
    variables = (asked.get("Environment") or {}).get("Variables") or {}
    unable = "Lambda was unable to configure your environment variables because the environment variables you have"
    if long := too_long("functionName", (asked.get("FunctionName") or "").rpartition(":function:")[2], LONGEST_NAME):
        return long
    if wrong := sorted(name for name in variables if name not in RESERVED and not _VARIABLE.fullmatch(name)):
        return "ValidationException", f"1 validation error detected: '{wrong[0]}' at 'environment.variables' is no name"
    if taken := sorted(RESERVED & variables.keys()):
        words = f"{unable} provided contains reserved keys that are currently not supported for modification."
        return "InvalidParameterValueException", f"{words} Reserved keys used in this request: {', '.join(taken)}"
    if len(json.dumps(variables, separators=(",", ":")).encode()) > LARGEST_ENVIRONMENT:
        return "InvalidParameterValueException", f"{unable} provided exceeded the 4KB limit."
    return None
