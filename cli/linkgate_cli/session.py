"""One run's AWS: the options that say where, clients made when they are needed, and Linkgate's stack.

boto3 is imported with the first client, so that help and wrong words cost no time.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from linkgate_cli.failures import Failure

if TYPE_CHECKING:
    import boto3
    from linkgate.aws.allowlist import AllowList
    from linkgate.aws.services import EndpointServices
    from linkgate.ledger.table import LedgerTable

NEEDED = ("AllowListTable", "LedgerTable", "EventBusName", "SweepFunction")
"""Outputs by which a stack is known to be Linkgate's."""
ABSENT = "DELETE_COMPLETE"


@dataclass
class Session:
    """Where a command works: the options as given ("" where they are not), and what is made of them."""

    stack: str = ""
    profile: str = ""
    region: str = ""
    output: str = "table"
    only_plan: bool = False
    """`linkgate plan allow …`: the effect of an edit is shown, and nothing is written."""
    _clients: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(ctx: typer.Context) -> "Session":
        """That of a command's context."""
        found = ctx.obj
        assert isinstance(found, Session)  # noqa: S101 - made by main
        return found

    @property
    def now(self) -> datetime:
        """The time, read once a call."""
        return datetime.now(UTC)

    @functools.cached_property
    def aws(self) -> "boto3.Session":
        """Credentials and Region; Failure where there is no Region."""
        import boto3

        made = boto3.Session(profile_name=self.profile or None, region_name=self.region or None)
        if not made.region_name:
            raise Failure("no AWS Region is set: give --region")
        return made

    def client(self, name: str, region: str = "") -> Any:
        """A client of a service, made once, with the patience of somebody who sits before it."""
        if (key := f"{name} {region}") not in self._clients:
            from linkgate.aws.clients import CONFIG, PATIENT

            config = PATIENT if name == "lambda" else CONFIG
            self._clients[key] = self.aws.client(name, region_name=region or None, config=config)  # type: ignore[call-overload]
        return self._clients[key]

    @functools.cached_property
    def dynamodb(self) -> Any:
        """DynamoDB with Python's own types."""
        from linkgate.aws.clients import CONFIG

        return self.aws.resource("dynamodb", config=CONFIG)

    @functools.cached_property
    def account(self) -> str:
        """The id of the account that the credentials belong to."""
        return str(self.client("sts").get_caller_identity()["Account"])

    @functools.cached_property
    def outputs(self) -> Mapping[str, str]:
        """The outputs of Linkgate's stack, whose name `stack` has from now on."""
        found = list(self._stacks())
        if len(found) > 1:
            names = ", ".join(sorted(name for name, _ in found))
            raise Failure(f"{len(found)} stacks of Linkgate are in {self.aws.region_name} ({names}): give --stack")
        if not found:
            raise Failure(
                f"no stack in {self.aws.region_name} is Linkgate's: give --region or --profile of the one that "
                "is, or deploy it (sam deploy)"
            )
        self.stack, outputs = found[0]
        return outputs

    @functools.cached_property
    def parameters(self) -> Mapping[str, str]:
        """The stack's parameters, by their names."""
        self.find()
        (stack,) = self._described()
        return {one["ParameterKey"]: one.get("ParameterValue", "") for one in stack.get("Parameters", [])}

    @functools.cached_property
    def resources(self) -> Mapping[str, str]:
        """The physical ids of the stack's resources, by their logical ones."""
        self.find()
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.stack)
        found = (one for page in pages for one in page["StackResourceSummaries"])
        return {one["LogicalResourceId"]: one.get("PhysicalResourceId", "") for one in found}

    def find(self) -> None:
        """Find the stack, so that `stack` has its name; Failure where there is none, or are several."""
        _ = self.outputs

    @property
    def tag_value(self) -> str:
        """The value of the tag linkgate that the stack's services carry."""
        return self.outputs.get("TagValue", "managed")

    @functools.cached_property
    def services(self) -> "EndpointServices":
        """The endpoint services of this stack."""
        from linkgate.aws.services import EndpointServices

        return EndpointServices(self.client("ec2"), self.tag_value)

    @functools.cached_property
    def allow_list(self) -> "AllowList":
        """The allow-list, as the functions read it."""
        from linkgate.aws.allowlist import AllowList

        return AllowList(self.dynamodb, self.outputs["AllowListTable"])

    @functools.cached_property
    def ledger(self) -> "LedgerTable":
        """The ledger's table, as the functions read it."""
        from linkgate.ledger.table import LedgerTable

        return LedgerTable(self.dynamodb, self.outputs["LedgerTable"])

    def entries(self, endpoint: str) -> list[dict[str, Any]]:
        """The ledger's items about an endpoint, consistently read: its decisions, oldest first, then `current`."""
        from boto3.dynamodb.conditions import Key

        client, found = self.dynamodb.meta.client, list[dict[str, Any]]()
        pages = client.get_paginator("query").paginate(
            TableName=self.outputs["LedgerTable"],
            KeyConditionExpression=Key("endpoint_id").eq(endpoint),
            ConsistentRead=True,
        )
        for page in pages:
            found += page["Items"]
        return found

    def _stacks(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Linkgate's stacks: name and outputs; the one that `stack` names, or Failure, where it names one."""
        for stack in self._described():
            outputs = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}
            missing = [name for name in NEEDED if name not in outputs]
            if not missing and stack["StackStatus"] != ABSENT:
                yield stack["StackName"], outputs
            elif self.stack:
                raise Failure(f"stack {self.stack} is not Linkgate's: it has no output {missing[0]}; give --stack")

    def _described(self) -> Iterator[Any]:
        from botocore.exceptions import ClientError

        asked = {"StackName": self.stack} if self.stack else {}
        try:
            for page in self.client("cloudformation").get_paginator("describe_stacks").paginate(**asked):
                yield from page["Stacks"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            raise Failure(
                f"there is no stack {self.stack} in {self.aws.region_name}: give --stack, --region or --profile"
            ) from error
