"""Makes elbv2's DescribeTargetHealth tell the truth about instances: ministack calls every target healthy.

A stopped instance is `unused` with reason `Target.InvalidState` (ELBv2 API, TargetHealth). That a running one passes
its health check is taken for granted, and the delays of health checks are not shown.
"""

from collections.abc import Mapping
from typing import Any

from ministack.services import alb  # type: ignore[import-untyped]

from lab.network import control

# ministack 1.5.33: elbv2's actions by name, and what its own action is made of.
_actions = alb._ACTION_MAP
_parameter = alb._p
_targets_asked_for = alb._parse_targets_param
_error = alb._error
_answer = alb._xml

_HEALTHY = "<State>healthy</State>"
_STOPPED = (
    "<State>unused</State><Reason>Target.InvalidState</Reason>"
    "<Description>Target is in the stopped or terminated state</Description>"
)


def install() -> None:
    """Take the place of ministack's action."""
    _actions["DescribeTargetHealth"] = _describe_target_health


def _describe_target_health(params: Mapping[str, Any]) -> Any:
    arn = _parameter(params, "TargetGroupArn")
    targets = control.registered(arn)
    if targets is None:
        return _error("TargetGroupNotFound", f"Target group '{arn}' not found.")
    asked_for = {target["Id"] for target in _targets_asked_for(params)}
    members = "".join(
        f"<member><Target><Id>{target.id}</Id><Port>{target.port}</Port></Target><HealthCheckPort>{target.port}"
        f"</HealthCheckPort><TargetHealth>{_HEALTHY if target.up else _STOPPED}</TargetHealth></member>"
        for target in targets
        if not asked_for or target.id in asked_for
    )
    return _answer(200, "DescribeTargetHealth", f"<TargetHealthDescriptions>{members}</TargetHealthDescriptions>")
