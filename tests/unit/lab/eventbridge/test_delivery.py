"""What EventBridge in the lab can deliver of a filled-in template."""

import json

import pytest
from ministack.services import eventbridge  # type: ignore[import-untyped]

from lab.eventbridge import delivery


def is_delivered(template: str, **values: str) -> bool:
    return delivery.is_input(template, eventbridge._render_input_template(template, values))


@pytest.mark.parametrize("template", ['"<summary>"', '{"text": "<summary>"}', '"first"\n"<summary>"'])
def test_a_value_with_a_quote_breaks_the_text_around_it(template: str) -> None:
    assert is_delivered(template, summary="all is well")
    assert not is_delivered(template, summary='effect is "alow"')


def test_a_template_without_quotes_is_plain_text() -> None:
    assert is_delivered("it says <summary>", summary='effect is "alow"')


def test_ministack_does_not_escape_what_it_fills_in() -> None:
    assert eventbridge._render_input_template('"<summary>"', {"summary": 'a "b"'}) == '"a "b""'
    assert json.loads(eventbridge._render_input_template('{"a": <summary>}', {"summary": 'a "b"'})) == {"a": 'a "b"'}
