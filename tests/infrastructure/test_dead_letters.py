"""What fails is kept and seen: every asynchronous edge ends in a dead-letter queue, every such queue has an alarm."""

import ast

import pytest

from tests.infrastructure.stack import GONE, Check, Spoiled, Stack, arn, handler_of, named, walk

FEWEST_RECEIVES = 5
"""Fewer would send messages away for mere throttling (Lambda developer guide, "Using Lambda with Amazon SQS")."""
VISIBILITY = 6
"""Function timeouts that a message stays hidden for, at least (the same page)."""
FOUR_DAYS, HALF_A_MINUTE, THREE_SECONDS = 345600, 30, 3
"""CloudFormation's defaults: a queue's retention, its visibility timeout, a function's timeout."""

Letters = dict[str, set[str]]


def dead_letters(stack: Stack) -> Letters:
    """The queues that take what failed, by ARN, with the resources that leave it there."""
    found: Letters = {}
    for name in stack.resources:
        for path, value in walk(stack.properties(name)):
            last = path[-2:] if len(path) > 1 else ("", *path)
            if last[1:] == ("deadLetterTargetArn",) or last in (
                ("DeadLetterConfig", "Arn"),
                ("DeadLetterConfig", "TargetArn"),
                ("OnFailure", "Destination"),
            ):
                found.setdefault(value, set()).add(name)
    return found


def asynchronous(stack: Stack) -> set[str]:
    """The functions that something invokes without waiting: schedules, rules, topics."""
    invoked = [one["Target"]["Arn"] for one in stack.of("AWS::Scheduler::Schedule").values()]
    invoked += [target["Arn"] for one in stack.of("AWS::Events::Rule").values() for target in one["Targets"]]
    invoked += [one["Endpoint"] for one in stack.of("AWS::SNS::Subscription").values()]
    return {named(one) for one in invoked if stack.kind(one) == "AWS::Lambda::Function"}


def open_ends(stack: Stack) -> list[str]:
    """Asynchronous edges without a place for what failed."""
    problems = []
    for name in sorted(asynchronous(stack)):
        kept = [
            one
            for one in stack.of("AWS::Lambda::EventInvokeConfig").values()
            if named(one["FunctionName"]) == name and "OnFailure" in one.get("DestinationConfig", {})
        ]
        if "DeadLetterConfig" not in stack.properties(name) and not kept:
            problems.append(f"{name} is invoked asynchronously and has no dead letters")
    for name, schedule in stack.of("AWS::Scheduler::Schedule").items():
        if "DeadLetterConfig" not in schedule["Target"]:
            problems.append(f"{name} has no dead letters")
    for name, mapping in stack.of("AWS::Lambda::EventSourceMapping").items():
        if stack.kind(mapping["EventSourceArn"]) != "AWS::SQS::Queue":
            if "OnFailure" not in mapping.get("DestinationConfig", {}):
                problems.append(f"{name} has no OnFailure destination")
            if mapping.get("MaximumRetryAttempts", -1) < 0:
                problems.append(f"{name} repeats one bad record until it expires, and nothing behind it is read")
    return problems


def endless_queues(stack: Stack) -> list[str]:
    """Queues that feed a function or a pipe and repeat a bad message for ever, or lose it early."""
    sources = {one["EventSourceArn"] for one in stack.of("AWS::Lambda::EventSourceMapping").values()}
    sources |= {one["Source"] for one in stack.of("AWS::Pipes::Pipe").values()}
    problems = []
    for source in sorted(source for source in sources if stack.kind(source) == "AWS::SQS::Queue"):
        queue = stack.properties(named(source))
        redrive = queue.get("RedrivePolicy")
        if not redrive:
            problems.append(f"{source} has no RedrivePolicy")
            continue
        if int(redrive["maxReceiveCount"]) < FEWEST_RECEIVES:
            problems.append(f"{source} gives up after {redrive['maxReceiveCount']} receives")
        # The clock of a message's retention does not start again in the dead-letter queue (SQS developer guide).
        dead = stack.properties(named(redrive["deadLetterTargetArn"]))
        if dead.get("MessageRetentionPeriod", FOUR_DAYS) < queue.get("MessageRetentionPeriod", FOUR_DAYS):
            problems.append(f"{source} keeps messages longer than its dead letters")
    return problems


def unwatched(stack: Stack) -> list[str]:
    """Dead-letter queues without an alarm, and alarms on queues that take no dead letters."""
    alarms = {
        one["Dimensions"][0]["Value"]: one
        for one in stack.of("AWS::CloudWatch::Alarm").values()
        if one["Namespace"] == "AWS/SQS" and one["MetricName"] != "ApproximateAgeOfOldestMessage"
    }
    queues = {f"${{{named(queue)}.QueueName}}" for queue in dead_letters(stack)}
    problems = [f"{queue} has no alarm" for queue in sorted(queues - alarms.keys())]
    problems += [f"an alarm watches {queue}, which takes no dead letters" for queue in sorted(alarms.keys() - queues)]
    wanted = ("ApproximateNumberOfMessagesVisible", "Maximum", "GreaterThanThreshold", 0, "QueueName", 1)
    for queue, alarm in alarms.items():
        keys = ("MetricName", "Statistic", "ComparisonOperator", "Threshold")
        seen = (*(alarm.get(key) for key in keys), alarm["Dimensions"][0]["Name"], alarm["EvaluationPeriods"])
        if seen != wanted:
            problems.append(f"the alarm on {queue} is {seen}, not {wanted}")
    return problems


def impatient_queues(stack: Stack) -> list[str]:
    """Queues that show a message again while its function may still be at it."""
    problems = []
    for name, mapping in stack.of("AWS::Lambda::EventSourceMapping").items():
        if stack.kind(mapping["EventSourceArn"]) == "AWS::SQS::Queue":
            hidden = stack.properties(named(mapping["EventSourceArn"])).get("VisibilityTimeout", HALF_A_MINUTE)
            timeout = stack.properties(named(mapping["FunctionName"])).get("Timeout", THREE_SECONDS)
            if hidden < VISIBILITY * timeout:
                problems.append(f"{name}: hidden for {hidden} s, the function may take {timeout} s")
    return problems


def misread_batches(stack: Stack) -> list[str]:
    """Functions that answer with partial failures which Lambda does not read, or the other way round."""
    problems = []
    for name, mapping in stack.of("AWS::Lambda::EventSourceMapping").items():
        tree = ast.parse(handler_of(stack.properties(named(mapping["FunctionName"]))).read_text())
        reports = any(isinstance(node, ast.Name) and node.id == "process_partial_response" for node in ast.walk(tree))
        if reports != ("ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", [])):
            problems.append(f"{name}: the function {'reports' if reports else 'does not report'} partial failures")
    return problems


CHECKS = [open_ends, endless_queues, unwatched, impatient_queues, misread_batches]


@pytest.mark.parametrize("check", CHECKS)
def test_what_fails_is_kept_and_seen(stack: Stack, check: Check) -> None:
    assert check(stack) == []


def test_the_approver_reports_partial_failures(stack: Stack) -> None:
    mappings = stack.of("AWS::Lambda::EventSourceMapping").values()
    approver = next(one for one in mappings if one["EventSourceArn"] == arn("BellQueue"))
    assert approver["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


SPOILED = [
    Spoiled(open_ends, "PatrolFunction.DeadLetterConfig", GONE, "PatrolFunction is invoked"),
    Spoiled(
        open_ends, "SweepFunctionSchedule.Target.DeadLetterConfig", GONE, "SweepFunctionSchedule has no dead letters"
    ),
    Spoiled(open_ends, "SweepFunctionEdits.DestinationConfig", GONE, "no OnFailure destination"),
    Spoiled(open_ends, "SweepFunctionEdits.MaximumRetryAttempts", GONE, "until it expires"),
    Spoiled(endless_queues, "BellQueue.RedrivePolicy", GONE, "${BellQueue.Arn} has no Redrive"),
    Spoiled(endless_queues, "NotificationQueue.RedrivePolicy", GONE, "${NotificationQueue.Arn} has no Redrive"),
    Spoiled(endless_queues, "BellQueue.RedrivePolicy.maxReceiveCount", 1, "${BellQueue.Arn} gives up after 1"),
    Spoiled(endless_queues, "BellDeadLetters.MessageRetentionPeriod", GONE, "${BellQueue.Arn} keeps messages longer"),
    Spoiled(unwatched, "RoundDeadLettersAlarm", GONE, "${RoundDeadLetters.QueueName} has no alarm"),
    Spoiled(
        unwatched,
        "BellDeadLettersAlarm.Dimensions.0.Value",
        "${BellQueue.QueueName}",
        "${BellDeadLetters.QueueName} has no alarm",
    ),
    Spoiled(
        unwatched,
        "BellDeadLettersAlarm.MetricName",
        "NumberOfMessagesSent",
        "the alarm on ${BellDeadLetters.QueueName} is ('NumberOfMessagesSent'",
    ),
    Spoiled(impatient_queues, "ApproveFunction.Timeout", 61, "may take 61 s"),
    Spoiled(impatient_queues, "PatrolQueue.VisibilityTimeout", GONE, "hidden for 30 s"),
    Spoiled(
        misread_batches, "ApproveFunctionBells.FunctionResponseTypes", GONE, "the function reports partial failures"
    ),
    Spoiled(
        misread_batches,
        "PatrolFunctionAccepted.FunctionResponseTypes",
        ["ReportBatchItemFailures"],
        "the function does not report partial failures",
    ),
]


@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_failure_that_nobody_would_see_is_named(whole: Stack, spoiled: Spoiled) -> None:
    spoiled.assert_named(whole)
