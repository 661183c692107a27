"""How PutEvents counts, which details it takes, and which queues, rules and targets are refused."""

from typing import Any

import pytest

from lab import limits


def test_an_entry_counts_by_its_texts_in_bytes_and_its_time() -> None:
    entry = {"Source": "s", "DetailType": "é", "Detail": "{}", "Resources": ["ab", "c"]}
    assert limits.size(entry) == 1 + 2 + 2 + 3
    assert limits.size({**entry, "Time": "2026-01-01"}) == 8 + 14


@pytest.mark.parametrize(("detail", "well_formed"), [("{}", True), ("[]", False), ("no", False), (None, False)])
def test_a_detail_is_a_json_object(detail: str | None, well_formed: bool) -> None:
    assert limits.is_well_formed({"Detail": detail}) is well_formed


def targets(number: int, **more: str) -> list[dict[str, str]]:
    return [{"Id": f"{one}", **more} for one in range(number)]


def test_a_rule_has_at_most_five_targets_those_that_it_has_among_them() -> None:
    assert limits.rule_objection({"Targets": targets(5)}, before=["0", "4"]) is None
    for asked, before in ((targets(6), []), (targets(1), ["a", "b", "c", "d", "e"])):
        code, _ = limits.rule_objection({"Targets": asked}, before) or ("", "")
        assert code == "LimitExceededException"


@pytest.mark.parametrize(
    "more", [{"Input": "{}", "InputPath": "$.a"}, {"InputPath": "$.a", "InputTransformer": "x"}], ids=str
)
def test_a_target_has_one_kind_of_input(more: dict[str, str]) -> None:
    code, words = limits.rule_objection({"Targets": targets(1, **more)}) or ("", "")
    assert (code, words[:38]) == ("ValidationException", "Only one of Input, InputPath, or Input")
    assert limits.rule_objection({"Targets": targets(1, InputPath="$.a")}) is None


@pytest.mark.parametrize(
    ("objection", "parameter", "longest"),
    [(limits.queue_objection, "QueueName", 80), (limits.rule_objection, "Name", 64)],
)
def test_a_name_is_as_long_as_the_service_takes(objection: Any, parameter: str, longest: int) -> None:
    assert objection({parameter: "x" * longest}) is None
    assert objection({parameter: "x" * (longest + 1)})
