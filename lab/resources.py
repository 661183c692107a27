"""CloudFormation types that ministack lacks although it has the APIs behind them: archives and instances."""

import base64
import json
from collections.abc import Mapping
from typing import Any

Props = Mapping[str, Any]


def install() -> None:
    """Add AWS::Events::Archive and AWS::EC2::Instance to ministack's table of resource types."""
    from ministack.services.cloudformation import provisioners  # type: ignore[import-untyped]

    provisioners._RESOURCE_HANDLERS["AWS::Events::Archive"] = {"create": create_archive, "delete": delete_archive}
    provisioners._RESOURCE_HANDLERS["AWS::EC2::Instance"] = {"create": create_instance, "delete": delete_instance}


def create_archive(logical_id: str, props: Props, stack: str) -> tuple[str, dict[str, str]]:
    """An archive; its Ref is its name, its attribute Arn."""
    from ministack.services import eventbridge  # type: ignore[import-untyped]

    name = props.get("ArchiveName") or f"{stack}-{logical_id}"[:48]
    request = {
        "ArchiveName": name,
        "EventSourceArn": props["SourceArn"],
        "Description": props.get("Description", ""),
        "RetentionDays": int(props.get("RetentionDays", 0)),
        "EventPattern": json.dumps(props["EventPattern"]) if "EventPattern" in props else "",
    }
    status, _, body = eventbridge._create_archive(request)
    if status >= 400:
        raise ValueError(body.decode() if isinstance(body, bytes) else body)
    return name, {"Arn": eventbridge._archives[name]["ArchiveArn"], "ArchiveName": name}


def delete_archive(name: str, props: Props) -> None:
    """Gone, whether it was there or not."""
    from ministack.services import eventbridge

    eventbridge._archives.pop(name, None)


def create_instance(logical_id: str, props: Props, stack: str) -> tuple[str, dict[str, str]]:
    """One running instance, as RunInstances makes it; Ref is its id."""
    from ministack.services import ec2  # type: ignore[import-untyped]

    created = ec2._launch_instances_internal(
        image_id=props.get("ImageId", "ami-00000000"),
        instance_type=props.get("InstanceType", "t3.nano"),
        subnet_id=props["SubnetId"],
        count=1,
        user_data=base64.b64decode(props.get("UserData", "")).decode(),
        sg_ids=list(props.get("SecurityGroupIds", [])),
    )
    instance = created[0]
    return instance["InstanceId"], {
        "PrivateIp": instance["PrivateIpAddress"],
        "AvailabilityZone": instance["Placement"]["AvailabilityZone"],
    }


def delete_instance(instance_id: str, props: Props) -> None:
    """Terminated, as TerminateInstances does it."""
    from ministack.services import ec2

    ec2._terminate_instances({"InstanceId.1": [instance_id]})
