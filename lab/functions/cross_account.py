"""Invoking a function of another account by its ARN: the caller's policies and the function's own must both allow it.

ministack knows functions of the caller's account alone. Not like AWS: root of another account is let in by anything.
"""

from collections.abc import Mapping
from typing import Any

from ministack.core.responses import get_account_id, request_scope  # type: ignore[import-untyped]
from ministack.services import lambda_svc  # type: ignore[import-untyped]

# The private names of ministack used here; install() replaces one more.
_functions = lambda_svc._functions


def install() -> None:
    """Seams: the policy that a request is held to, and the invocation itself."""
    policy_of, invoke = lambda_svc.function_policy_for_arn, lambda_svc._invoke

    def policy(resource_arn: str) -> Any:
        if (place := _elsewhere(resource_arn)) is None:
            return policy_of(resource_arn)
        found = _functions.get_scoped(*place)
        # One that does not exist admits no caller, as on AWS.
        return (found["policy"] if found else {"Statement": []}), place[0]

    async def invoked(name: str, event: Any, headers: Mapping[str, str], *more: Any) -> Any:
        if (place := _elsewhere(name)) is None:
            return await invoke(name, event, headers, *more)
        account, region, function = place
        with request_scope(account, region):
            return await invoke(function, event, headers, *more)

    lambda_svc.function_policy_for_arn = policy
    lambda_svc._invoke = invoked


def _elsewhere(name: str) -> tuple[str, str, str] | None:
    """Account, Region and name of another account's function; None for one of the caller's own."""
    parts = name.split(":")
    if len(parts) < 7 or parts[:3] != ["arn", "aws", "lambda"] or parts[4] == get_account_id():
        return None
    return parts[4], parts[3], parts[6]
