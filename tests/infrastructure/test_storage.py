"""What keeps data keeps it encrypted, for a stated time, and not by accident shorter."""

import pytest
import yaml
from linkgate.ledger.ledger import EXPIRES

from tests.infrastructure.stack import GONE, ROOT, Check, Spoiled, Stack, named

LOG_RETENTIONS = {
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
}
"""Days that CloudWatch Logs takes (CloudWatch Logs API reference, PutRetentionPolicy)."""


def careless_tables(stack: Stack) -> list[str]:
    """Tables that cost when idle, cannot be restored, are not encrypted, or go when the stack goes."""
    problems = []
    for name, table in stack.of("AWS::DynamoDB::Table").items():
        resource = stack.resources[name]
        seen = {
            "on demand": table.get("BillingMode") == "PAY_PER_REQUEST",
            "restorable": table.get("PointInTimeRecoverySpecification") == {"PointInTimeRecoveryEnabled": True},
            "encrypted": table.get("SSESpecification", {}).get("SSEEnabled") is True,
            "protected as the parameter says": table.get("DeletionProtectionEnabled")
            == stack.parameters["DeletionProtection"],
            "retained": (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
            == ("RetainExceptOnCreate", "Retain"),
        }
        problems += [f"{name} is not {what}" for what, holds in seen.items() if not holds]
    return problems


def readable_queues(stack: Stack) -> list[str]:
    """Queues that are not encrypted with SQS's own keys."""
    return [
        f"{name} is not encrypted by SQS"
        for name, queue in stack.of("AWS::SQS::Queue").items()
        if queue.get("SqsManagedSseEnabled") is not True
    ]


def unnamed_logs(stack: Stack) -> list[str]:
    """Functions that log where nobody said for how long: Lambda's own groups never expire."""
    problems = []
    used = []
    for name, function in stack.functions().items():
        group = function.get("LoggingConfig", {}).get("LogGroup", "")
        used.append(group)
        if stack.kind(group) != "AWS::Logs::LogGroup":
            problems.append(f"{name} logs to {group or 'a group of its own'}")
    problems += [f"{group} is used twice" for group in set(used) if used.count(group) > 1]
    return problems


def endless_logs(stack: Stack) -> list[str]:
    """Log groups and archives that keep what they get for another time than the parameter says."""
    wanted = int(stack.parameters["LogRetentionDays"])
    keys = {"AWS::Logs::LogGroup": "RetentionInDays", "AWS::Events::Archive": "RetentionDays"}
    return [
        f"{name} keeps for {resource.get(key)} days, not {wanted}"
        for kind, key in keys.items()
        for name, resource in stack.of(kind).items()
        if str(resource.get(key)) != str(wanted)
    ]


def static_keys(stack: Stack) -> list[str]:
    """Keys of our own that do not rotate."""
    return [
        f"{name} does not rotate"
        for name, key in stack.of("AWS::KMS::Key").items()
        if key.get("EnableKeyRotation") is not True
    ]


CHECKS = [careless_tables, readable_queues, unnamed_logs, endless_logs, static_keys]


@pytest.mark.parametrize("check", CHECKS)
def test_what_keeps_data_keeps_it_safe(stack: Stack, check: Check) -> None:
    assert check(stack) == []


def test_the_allow_list_streams_its_edits_and_the_ledger_does_not(stack: Stack) -> None:
    tables = stack.of("AWS::DynamoDB::Table")
    assert tables["AllowListTable"]["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert "StreamSpecification" not in tables["LedgerTable"]


def test_the_tables_are_imported_as_they_are_deployed(bare: Stack) -> None:
    imported = yaml.safe_load((ROOT / "stacks" / "tables.yaml").read_text())["Resources"]
    for one in imported.values():
        one["Properties"]["DeletionProtectionEnabled"] = bare.parameters["DeletionProtection"]
    assert imported == {name: bare.resources[name] for name in bare.of("AWS::DynamoDB::Table")}


def test_keys_of_the_two_tables_are_those_of_the_contract(stack: Stack) -> None:
    keys = {
        name: [one["AttributeName"] for one in table["KeySchema"]]
        for name, table in stack.of("AWS::DynamoDB::Table").items()
    }
    assert keys == {"AllowListTable": ["service", "consumer"], "LedgerTable": ["endpoint_id", "entry"]}


def test_the_bus_keeps_an_archive(stack: Stack) -> None:
    assert {named(one["SourceArn"]) for one in stack.of("AWS::Events::Archive").values()} == {"EventBus"}


def test_tables_are_protected_and_logs_kept_for_a_time_that_cloudwatch_takes_unless_told_otherwise(bare: Stack) -> None:
    assert bare.parameters["DeletionProtection"] == "false"  # a failed first deployment takes its tables back
    assert int(bare.parameters["LogRetentionDays"]) in LOG_RETENTIONS


SPOILED = [
    Spoiled(careless_tables, "LedgerTable.BillingMode", GONE, "LedgerTable is not on demand"),
    Spoiled(careless_tables, "LedgerTable.PointInTimeRecoverySpecification", GONE, "LedgerTable is not restorable"),
    Spoiled(careless_tables, "AllowListTable.SSESpecification", GONE, "is not encrypted"),
    Spoiled(careless_tables, "AllowListTable.DeletionProtectionEnabled", True, "not protected as the parameter says"),
    Spoiled(careless_tables, "LedgerTable.DeletionPolicy", GONE, "LedgerTable is not retained"),
    Spoiled(readable_queues, "BellQueue.SqsManagedSseEnabled", GONE, "BellQueue is not"),
    Spoiled(unnamed_logs, "SweepFunction.LoggingConfig", GONE, "SweepFunction logs to a group"),
    Spoiled(unnamed_logs, "SweepFunction.LoggingConfig.LogGroup", "${PatrolLog}", "${PatrolLog} is used twice"),
    Spoiled(endless_logs, "SweepLog.RetentionInDays", GONE, "SweepLog keeps for None days"),
    Spoiled(static_keys, "TopicKey.EnableKeyRotation", GONE, "TopicKey does not rotate"),
]


@pytest.mark.parametrize("spoiled", SPOILED)
def test_what_keeps_data_carelessly_is_named(whole: Stack, spoiled: Spoiled) -> None:
    spoiled.assert_named(whole)


def test_the_ledger_forgets_by_the_attribute_that_its_lines_carry(stack: Stack) -> None:
    time_to_live = {"AttributeName": EXPIRES, "Enabled": True}
    assert stack.properties("LedgerTable")["TimeToLiveSpecification"] == time_to_live
    assert stack.parameters["LedgerRetentionDays"] in ("0", 0)
