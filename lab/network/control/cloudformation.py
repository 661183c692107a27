"""What ministack's CloudFormation loses of a network: a function's VpcConfig, a target group's targets, instances.

Without them a stack's functions would live in no VPC and its load balancers have nothing behind them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import alb, ec2, lambda_svc  # type: ignore[import-untyped]
from ministack.services.cloudformation import provisioners  # type: ignore[import-untyped]

from lab.network.control import instances, load_balancers, security_groups, target_health

# ministack 1.5.33. A handler's create takes (logical id, properties, stack name), its update (physical id, old
# properties, new properties, stack name[, logical id]); both return the physical id and the attributes.
_handlers: dict[str, dict[str, Any]] = provisioners._RESOURCE_HANDLERS
_functions = lambda_svc._functions
_vpc_config = lambda_svc._vpc_config_with_id
_end_workers = lambda_svc.invalidate_worker
_target_groups = alb._tgs
_targets = alb._targets
_instances = ec2._instances
_launch_templates = ec2._launch_templates
_terminate_instances = ec2._terminate_instances
_tags = ec2._tags

_Made = tuple[str, dict[str, Any]]


def install() -> None:
    """Add to ministack's CloudFormation handlers."""
    _complete("AWS::Lambda::Function", _enter_vpc)
    _complete("AWS::ElasticLoadBalancingV2::TargetGroup", _check)
    _complete("AWS::ElasticLoadBalancingV2::TargetGroup", _register)
    _complete("AWS::ElasticLoadBalancingV2::LoadBalancer", lambda arn, old, new: load_balancers.settle())
    _end_with("AWS::ElasticLoadBalancingV2::LoadBalancer", load_balancers.settle)
    _complete("AWS::EC2::VPC", _admit)
    security_groups.install()
    instances.install()
    load_balancers.install()
    _handlers["AWS::EC2::Instance"] = {
        "create": _create_instance,
        "update": _update_instance,
        "delete": _delete_instance,
    }


def _complete(kind: str, finish: Callable[[str, Mapping[str, Any], Mapping[str, Any]], None]) -> None:
    """After create and update of a type call `finish(physical id, old properties, new properties)`."""
    handler = _handlers[kind]
    create, update = handler["create"], handler["update"]

    def create_all(logical_id: str, props: dict[str, Any], stack: str) -> _Made:
        physical_id, attributes = create(logical_id, props, stack)
        finish(physical_id, {}, props)
        return physical_id, attributes

    def update_all(physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str) -> _Made:
        updated_id, attributes = update(physical_id, old, new, stack, logical_id)
        finish(updated_id, old if updated_id == physical_id else {}, new)
        return updated_id, attributes

    handler.update({"create": create_all, "update": update_all, "update_with_logical_id": True})


def _end_with(kind: str, finish: Callable[[], None]) -> None:
    """After delete of a type call `finish`."""
    delete = _handlers[kind]["delete"]

    def delete_all(physical_id: str, props: dict[str, Any]) -> None:
        delete(physical_id, props)
        finish()

    _handlers[kind]["delete"] = delete_all


def _enter_vpc(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    _functions[name]["config"]["VpcConfig"] = _vpc_config(new.get("VpcConfig"))
    if old and old.get("VpcConfig") != new.get("VpcConfig"):
        _end_workers(name)


def _admit(vpc_id: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    if not old:
        security_groups.admit_members(vpc_id)


def _check(arn: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    check = new.get("HealthCheckProtocol") or target_health.default_check(new.get("Protocol", "HTTP"))
    _target_groups[arn]["HealthCheckProtocol"] = check


def _register(arn: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    # What was registered through the API stays unless the template's own list changes.
    if old.get("Targets") == new.get("Targets"):
        return
    _targets[arn] = [
        {"Id": target["Id"], **({"Port": int(target["Port"])} if "Port" in target else {})}
        for target in new.get("Targets") or []
    ]


def _create_instance(logical_id: str, props: Mapping[str, Any], stack: str) -> _Made:
    """A running instance: image, type, subnet, security groups, user data, private address and tags are kept.

    What the properties leave open is taken from their launch template.
    """
    given = {**_template_data(props.get("LaunchTemplate")), **props}
    (instance,) = instances.launch(
        image_id=given.get("ImageId", "ami-00000000"),
        instance_type=given.get("InstanceType", "m1.small"),
        subnet_id=given.get("SubnetId"),
        count=1,
        user_data=given.get("UserData", ""),
        sg_ids=given.get("SecurityGroupIds"),
        requested_private_ip=given.get("PrivateIpAddress"),
    )
    instance_id = instance["InstanceId"]
    _tags[instance_id] = list(props.get("Tags") or [])
    attributes = {
        "InstanceId": instance_id,
        "PrivateIp": instance["PrivateIpAddress"],
        "PrivateDnsName": instance["PrivateDnsName"],
        "AvailabilityZone": instance["Placement"]["AvailabilityZone"],
        "VpcId": instance["VpcId"],
    }
    return instance_id, attributes


def _template_data(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a launch template says of an instance, in the version asked for; nothing without one."""
    if given is None:
        return {}
    template = _launch_templates[given["LaunchTemplateId"]]
    (version,) = (one for one in template["Versions"] if str(one["VersionNumber"]) == str(given["Version"]))
    return dict(version["LaunchTemplateData"])


def _update_instance(instance_id: str, old: Mapping[str, Any], new: Mapping[str, Any], stack: str) -> _Made:
    """Every change replaces the instance, also those that on AWS only restart it (its type) or do not (tags)."""
    made = _create_instance("", new, stack)
    _delete_instance(instance_id, old)
    return made


def _delete_instance(instance_id: str, props: Mapping[str, Any]) -> None:
    if instance_id in _instances:
        _terminate_instances({"InstanceId.1": instance_id})
