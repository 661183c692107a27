"""The health of targets as elbv2 shows it: ministack calls every target healthy.

A target that is stopped, or behind no listener, is `unused`; one whose health check fails is `unhealthy` (ELBv2 API,
TargetHealth). The delays of health checks are not shown. A group of a Network Load Balancer is checked by TCP unless it
says otherwise (CreateTargetGroup), where ministack's is by HTTP.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import alb  # type: ignore[import-untyped]

from lab.network.control import view
from lab.network.topology import Target

# ministack 1.5.33: elbv2's actions by name, what its own action is made of, and the listeners of all accounts.
_actions = alb._ACTION_MAP
_parameter = alb._p
_targets_asked_for = alb._parse_targets_param
_error = alb._error
_answer = alb._xml
_listeners = alb._listeners

Fails = Callable[[Target], bool]
"""Whether the health check of a target that is up fails, as far as a data plane has seen."""

_NOT_IN_USE = ("unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer")
_STOPPED = ("unused", "Target.InvalidState", "Target is in the stopped or terminated state")
_FAILED = ("unhealthy", "Target.FailedHealthChecks", "Health checks failed")


def install(fails: Fails = lambda target: False) -> None:
    """Take the place of ministack's action; a plane that makes no health checks passes every target that is up."""

    def describe(params: Mapping[str, Any]) -> Any:
        return _describe_target_health(params, fails)

    create = _actions["CreateTargetGroup"]

    def create_group(params: Mapping[str, Any]) -> Any:
        return create({"HealthCheckProtocol": default_check(_parameter(params, "Protocol")), **params})

    _actions["DescribeTargetHealth"] = describe
    _actions["CreateTargetGroup"] = create_group


def default_check(protocol: str) -> str:
    """The protocol that the targets of a group are checked by, if nothing is said about it."""
    return "TCP" if protocol in ("TCP", "TLS", "UDP", "TCP_UDP") else "HTTP"


def _describe_target_health(params: Mapping[str, Any], fails: Fails) -> Any:
    arn = _parameter(params, "TargetGroupArn")
    targets = view.registered(arn)
    if targets is None:
        return _error("TargetGroupNotFound", f"Target group '{arn}' not found.")
    asked_for = {target["Id"] for target in _targets_asked_for(params)}
    members = "".join(
        f"<member><Target><Id>{target.id}</Id><Port>{target.port}</Port></Target><HealthCheckPort>{target.port}"
        f"</HealthCheckPort><TargetHealth>{_health(arn, target, fails)}</TargetHealth></member>"
        for target in targets
        if not asked_for or target.id in asked_for
    )
    return _answer(200, "DescribeTargetHealth", f"<TargetHealthDescriptions>{members}</TargetHealthDescriptions>")


def _health(arn: str, target: Target, fails: Fails) -> str:
    if not target.up:
        found = _STOPPED
    elif not _is_in_use(arn):
        found = _NOT_IN_USE
    elif fails(target):
        found = _FAILED
    else:
        return "<State>healthy</State>"
    state, reason, description = found
    return f"<State>{state}</State><Reason>{reason}</Reason><Description>{description}</Description>"


def _is_in_use(arn: str) -> bool:
    actions = (action for listener in _listeners.all_values() for action in listener["DefaultActions"])
    return any(action.get("TargetGroupArn") == arn for action in actions)
