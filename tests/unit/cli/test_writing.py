"""Rows are written only as they were read, a hundred at once, and what is half done is said."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from linkgate.aws.allowlist import AllowList
from linkgate.model import RowKey
from linkgate.policy.rows import Item
from linkgate_cli.failures import INTERRUPTED, Failure
from linkgate_cli.planning import RowChange, file_edits
from linkgate_cli.rowsfile import RowsFile
from linkgate_cli.writing import Writer

from tests.unit.tables import ALLOW_LIST, dynamodb

KEY = RowKey("vpce-svc-0123456789abcdef0", "222222222222")


@pytest.fixture
def table() -> Iterator[Any]:
    with dynamodb() as resource:
        yield resource


def rule(consumer: str, **values: object) -> Item:
    return {"service": KEY.service, "consumer": consumer, "effect": "allow", **values}


def put(table: Any, item: Item) -> None:
    table.Table(ALLOW_LIST).put_item(Item=item)


def rows(table: Any) -> dict[RowKey, Item]:
    return dict(AllowList(table, ALLOW_LIST).whole_table())


def changes(count: int) -> list[RowChange]:
    keys = [RowKey(KEY.service, f"{100000000000 + number}") for number in range(count)]
    return [RowChange(key, None, rule(key.consumer)) for key in keys]


@pytest.mark.parametrize(
    ("before", "meanwhile"),
    [
        (None, rule(KEY.consumer, owner="somebody")),
        (rule(KEY.consumer), None),
        (rule(KEY.consumer), rule(KEY.consumer, limit=Decimal(1))),
        (rule(KEY.consumer, limit=Decimal(1)), rule(KEY.consumer)),
        (rule(KEY.consumer, limit=Decimal(1)), rule(KEY.consumer, limit="1")),
        (rule(KEY.consumer, regions={"eu-west-1"}), rule(KEY.consumer, regions=["eu-west-1"])),
    ],
)
@pytest.mark.parametrize("after", [rule(KEY.consumer, ticket="mine"), None])
def test_a_row_that_somebody_else_changed_meanwhile_is_left_as_they_wrote_it(
    table: Any, before: Item | None, meanwhile: Item | None, after: Item | None
) -> None:
    if before is None and after is None:
        return
    if meanwhile:
        put(table, meanwhile)
    with pytest.raises(Failure, match="was changed by somebody else meanwhile; nothing was written: plan again"):
        Writer(table, ALLOW_LIST).write([RowChange(KEY, before, after)])
    assert rows(table) == ({KEY: meanwhile} if meanwhile else {})


def test_rows_are_added_changed_and_removed(table: Any) -> None:
    old, gone = rule(KEY.consumer, limit=Decimal(1), note="x"), rule("333333333333")
    put(table, old)
    put(table, gone)
    new, added = rule(KEY.consumer, limit=Decimal(2)), rule("444444444444", regions={"eu-west-1"})
    other, more = (RowKey(KEY.service, one) for one in ("333333333333", "444444444444"))
    Writer(table, ALLOW_LIST).write(
        [RowChange(KEY, old, new), RowChange(other, gone, None), RowChange(more, None, added)]
    )
    assert rows(table) == {KEY: new, more: added}


def test_one_row_that_changed_keeps_its_hundred_from_being_written_and_what_is_written_is_said(table: Any) -> None:
    every = changes(250)
    put(table, rule(every[150].key.consumer, owner="somebody"))
    with pytest.raises(Failure, match=f"row {every[150].key} was changed .*; 100 of 250 rows are written") as failure:
        Writer(table, ALLOW_LIST).write(every)
    assert "run it again to write the rest" in str(failure.value)
    assert len(rows(table)) == 101


def test_interrupted_it_says_how_much_is_written_and_run_again_it_writes_the_rest(table: Any) -> None:
    every = changes(250)

    def interrupted(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Failure, match="interrupted: 100 of 250 rows are written, each of them whole") as failure:
        Writer(table, ALLOW_LIST).write(every, interrupted)
    assert failure.value.code == INTERRUPTED
    wanted = {one.key: one.after for one in every if one.after}
    file, there = RowsFile("rows.yaml", wanted), rows(table)
    left = [RowChange(key, there.get(key), item) for key, item in file_edits(file, there, prune=False).items()]
    assert len(left) == 150
    Writer(table, ALLOW_LIST).write(left)
    assert rows(table) == wanted


class Broken:
    """A client whose calls end so, all but the first `good` ones."""

    def __init__(self, table: Any, good: int, error: BaseException) -> None:
        self.meta, self.client, self.exceptions = self, self, table.meta.client.exceptions
        self._real, self._good, self._error = table.meta.client, good, error

    def transact_write_items(self, **asked: Any) -> None:
        self._good -= 1
        if self._good < 0:
            raise self._error
        self._real.transact_write_items(**asked)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ReadTimeoutError(endpoint_url="https://dynamodb")])
@pytest.mark.parametrize(
    ("good", "said"),
    [
        (0, "nothing was written for certain; 100 rows were under way: plan again"),
        (1, "100 of 150 rows are written, each of them whole; 50 rows were under way; run it again"),
    ],
)
def test_of_a_call_that_was_under_way_nobody_knows_what_became(
    table: Any, error: BaseException, good: int, said: str
) -> None:
    with pytest.raises(Failure) as failure:
        Writer(Broken(table, good, error), ALLOW_LIST).write(changes(150))
    assert said in str(failure.value)


def test_denies_come_first_then_rules_settings_releases_and_what_goes(table: Any) -> None:
    gone = rule("555555555555")
    put(table, gone)
    consumers: dict[str, dict[str, object]] = {
        "@release": {"endpoints": {"vpce-0123456789abcdef0"}},
        "@settings": {"mode": "enforce"},
    }
    items: list[Item] = [{"service": KEY.service, "consumer": one, **values} for one, values in consumers.items()]
    items += [rule(KEY.consumer), {**rule("333333333333"), "effect": "deny"}]
    every = [RowChange(RowKey(KEY.service, "555555555555"), gone, None)]
    every += [RowChange(RowKey(KEY.service, str(one["consumer"])), None, one) for one in items]
    told: list[str] = []
    client = table.meta.client
    client.meta.events.register(
        "provide-client-params.dynamodb.TransactWriteItems",
        lambda params, **_: told.extend(_consumer(one) for one in params["TransactItems"]),
        unique_id="told",
    )
    Writer(table, ALLOW_LIST).write(every)
    client.meta.events.unregister("provide-client-params.dynamodb.TransactWriteItems", unique_id="told")
    assert told == ["333333333333", KEY.consumer, "@settings", "@release", "555555555555"]


def _consumer(action: Any) -> str:
    found = action["Put"]["Item"] if "Put" in action else action["Delete"]["Key"]
    return str(found["consumer"])
