"""How PutEvents counts, and which details it takes."""

import pytest

from lab import limits


def test_an_entry_counts_by_its_texts_in_bytes_and_its_time() -> None:
    entry = {"Source": "s", "DetailType": "é", "Detail": "{}", "Resources": ["ab", "c"]}
    assert limits.size(entry) == 1 + 2 + 2 + 3
    assert limits.size({**entry, "Time": "2026-01-01"}) == 8 + 14


@pytest.mark.parametrize(("detail", "well_formed"), [("{}", True), ("[]", False), ("no", False), (None, False)])
def test_a_detail_is_a_json_object(detail: str | None, well_formed: bool) -> None:
    assert limits.is_well_formed({"Detail": detail}) is well_formed
