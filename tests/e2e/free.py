"""Questions that need nothing, or things that cost nothing: queues, rules, a change set, a function."""

import json
import time
from typing import Any

from tests.e2e.question import Account, Answer, question, taken, tried
from tests.e2e.things import function, log, queue, receive
from tests.infrastructure.stack import ROOT, Properties, parsed

NOBODY = "vpce-0123456789abcdef0"
LIMITS = (
    "DescribeVpcEndpointConnections",
    "DescribeVpcEndpointServiceConfigurations",
    "AcceptVpcEndpointConnections",
    "RejectVpcEndpointConnections",
    "CreateTags",
)
"""What Linkgate calls most, of what EC2 limits by the second."""
LAG = """
import time
def handler(event, context):
    for record in event["Records"]:
        print("lag", int(time.time() * 1000) - int(record["attributes"]["SentTimestamp"]))
"""
MESSAGES, BETWEEN = 4, 30
"""Lone messages that are sent, and the seconds between two of them."""


def template(*path: str) -> Any:
    """A part of template.yaml, its intrinsics in their long form; {} if there is none."""
    part: Any = parsed(ROOT / "template.yaml")
    for key in path:
        part = part.get(key, {})
    return part


@question(
    "it is refused, as a public report has it; EC2's API reference lists it, and Linkgate asks without it", in_lab=True
)
def filter_endpoint(account: Account) -> Answer:
    """Does DescribeVpcEndpointConnections take the filter vpc-endpoint-id?"""
    filters = [{"Name": "vpc-endpoint-id", "Values": [NOBODY]}]
    seen = tried(lambda: account.client("ec2").describe_vpc_endpoint_connections(Filters=filters))
    return Answer(seen, right="InvalidFilter" in seen)


@question("it is taken: EC2's API reference lists it", in_lab=True)
def filter_service(account: Account) -> Answer:
    """Does DescribeVpcEndpointConnections take 200 values of the filter service-id?"""
    filters = [{"Name": "service-id", "Values": [f"vpce-svc-{number:017x}" for number in range(200)]}]
    return taken(lambda: account.client("ec2").describe_vpc_endpoint_connections(Filters=filters))


@question("both are taken: EC2's API reference lists them", in_lab=True)
def filter_narrow(account: Account) -> Answer:
    """Does DescribeVpcEndpointConnections take the filters vpc-endpoint-owner and vpc-endpoint-state?"""
    filters = [
        {"Name": "vpc-endpoint-owner", "Values": ["123456789012"]},
        {"Name": "vpc-endpoint-state", "Values": ["pendingAcceptance"]},
    ]
    return taken(lambda: account.client("ec2").describe_vpc_endpoint_connections(Filters=filters))


@question("it is taken: EC2's API reference lists it", in_lab=True)
def filter_tag(account: Account) -> Answer:
    """Does DescribeVpcEndpointServiceConfigurations take the filter tag:linkgate?"""
    filters = [{"Name": "tag:linkgate", "Values": ["managed"]}]
    return taken(lambda: account.client("ec2").describe_vpc_endpoint_service_configurations(Filters=filters))


@question("it takes pages of 1,000, and answers within five seconds", in_lab=True)
def page_size(account: Account) -> Answer:
    """How large a page of DescribeVpcEndpointConnections does EC2 give, and how fast?"""
    start = time.monotonic()
    code = tried(lambda: account.client("ec2").describe_vpc_endpoint_connections(MaxResults=1000))
    seconds = time.monotonic() - start
    return Answer(f"refused: {code}" if code else f"taken, {seconds:.1f} s", not code and seconds < 5)


@question("five calls of Accept and Reject a second, twenty Describes; nobody has read them")
def api_limits(account: Account) -> Answer:
    """What are EC2's limits of the calls that Linkgate makes most, as Service Quotas lists them?"""
    pages = account.client("service-quotas").get_paginator("list_service_quotas").paginate(ServiceCode="ec2")
    quotas = [one for page in pages for one in page["Quotas"]]
    found = {one["QuotaName"]: one["Value"] for one in quotas if any(name in one["QuotaName"] for name in LIMITS)}
    account.keep("limits-ec2", found)
    return Answer(", ".join(f"{name}: {value:g}" for name, value in found.items()) or "Service Quotas lists none")


@question("nobody knows, so each queue has a policy of its own", in_lab=True)
def queue_policy(account: Account) -> Answer:
    """Does SQS take a policy that names two queues?"""
    sqs = account.client("sqs")
    queues = [queue(account, word) for word in ("one", "two")]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": [arn for _, arn in queues],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    code = tried(lambda: sqs.set_queue_attributes(QueueUrl=queues[0][0], Attributes={"Policy": policy}))
    return Answer(f"refused: {code}" if code else "taken", True)


@question("they say that subnets want security groups and CIDRs, and let everything else pass")
def rules(account: Account) -> Answer:
    """Does CloudFormation take the rules of template.yaml, and say what a canary lacks before anything is made?"""
    if not template("Rules"):
        return Answer("template.yaml has no rules", True)
    subnet, group = "subnet-0123456789abcdef0", "sg-0123456789abcdef0"
    bare, half = change_set(account), change_set(account, CanarySubnetIds=subnet)
    whole = change_set(account, CanarySubnetIds=subnet, CanarySecurityGroupIds=group, CanaryCidrs="10.0.0.0/16")
    right = not bare and not whole and "must be set too" in half
    return Answer(f"without: {bare or 'taken'}; subnets alone: {half or 'taken'}; with all: {whole or 'taken'}", right)


def change_set(account: Account, **parameters: str) -> str:
    """Why CloudFormation makes no change set of the template's parameters, rules and conditions; "" if it does."""
    cloudformation, name = account.client("cloudformation"), f"{account.name}-rules"
    document = {part: template(part) for part in ("Parameters", "Rules", "Conditions") if template(part)}
    document["Resources"] = {"Nothing": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}
    with account.place():
        account.made(f"stack {name}", lambda: cloudformation.delete_stack(StackName=name))
        try:
            cloudformation.create_change_set(
                StackName=name,
                ChangeSetName="rules",
                ChangeSetType="CREATE",
                TemplateBody=json.dumps(document),
                Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            )
            cloudformation.get_waiter("change_set_create_complete").wait(StackName=name, ChangeSetName="rules")
        except Exception as error:
            return str(error)
    return ""


@question("without a window at once, with one within 20 seconds", minutes=6, in_lab=True)
def lone_message(account: Account) -> Answer:
    """How long does a lone message wait for a function, without and with a batch window?"""
    without = lags(account, "without", {"BatchSize": 10})
    within = lags(account, "within", {"BatchSize": 2000, "MaximumBatchingWindowInSeconds": 1})
    if not without or not within:
        return Answer("the function wrote nothing")
    shown = f"without {min(without)} to {max(without)} ms, with {min(within)} to {max(within)} ms"
    return Answer(shown, max(without) < 2000 and max(within) < 21000)


def lags(account: Account, word: str, mapping: Properties) -> list[int]:
    """Milliseconds from sending each of some lone messages to the function's run."""
    url, arn = queue(account, word)
    # Lambda wants a queue to hide a message for longer than its function runs: 30 seconds, where nothing is said.
    name = function(account, word, LAG, receive(arn), Timeout=20)
    functions = account.client("lambda")
    made = functions.create_event_source_mapping(EventSourceArn=arn, FunctionName=name, **mapping)["UUID"]
    account.made(f"mapping of {name}", lambda: functions.delete_event_source_mapping(UUID=made))
    account.until(lambda: functions.get_event_source_mapping(UUID=made)["State"] == "Enabled")
    for _ in range(MESSAGES):
        account.client("sqs").send_message(QueueUrl=url, MessageBody="{}")
        account.pause(BETWEEN)

    def written() -> list[int]:
        found = [int(line.split()[1]) for line in log(account, name) if line.startswith("lag ")]
        return found if len(found) >= MESSAGES else []

    found: list[int] = account.until(written)
    return found


@question("the alarms count on a minute or so", minutes=5)
def metric_age(account: Account) -> Answer:
    """How old is a metric written to a log in the embedded format when CloudWatch shows it?"""
    logs, group, namespace = account.client("logs"), f"/{account.name}/metrics", account.name
    account.made(f"log {group}", lambda: logs.delete_log_group(logGroupName=group))
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    now = int(time.time() * 1000)
    directive = {"Namespace": namespace, "Dimensions": [[]], "Metrics": [{"Name": "Age", "Unit": "Count"}]}
    line = json.dumps({"_aws": {"Timestamp": now, "CloudWatchMetrics": [directive]}, "Age": 1})
    logs.put_log_events(logGroupName=group, logStreamName="one", logEvents=[{"timestamp": now, "message": line}])
    metrics = account.client("cloudwatch")
    seen = account.until(lambda: datapoints(metrics, namespace))
    age = time.time() - now / 1000
    return Answer(f"shown after {age:.0f} s" if seen else f"not shown within {age:.0f} s", bool(seen) and age < 120)


def datapoints(metrics: Any, namespace: str) -> Any:
    """The datapoints of the last ten minutes."""
    now = time.time()
    asked = {"Namespace": namespace, "MetricName": "Age", "StartTime": now - 600, "EndTime": now + 60, "Period": 60}
    return metrics.get_metric_statistics(**asked, Statistics=["Sum"])["Datapoints"]
