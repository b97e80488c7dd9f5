"""JSON of unknown origin: values that would exhaust the stack, or that no file can hold, are errors."""

from __future__ import annotations

import json

import pytest

from dataset_conversion.json_text import MOST_LEVELS, parse_json
from dataset_conversion.labels import MOST_LABELS, label_values


@pytest.mark.parametrize(
    "text", ["[" * MOST_LEVELS + "]" * MOST_LEVELS, '{"a": 1}', "3", '"\\ud83d\\ude00"']
)
def test_json_is_read_as_by_python(text: str) -> None:
    assert parse_json(text) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested more than 64 levels"),
        ('{"a":' * 900 + "1" + "}" * 900, "nested more than 64 levels"),
        ('{"\\ud800": 1}', "half of a surrogate pair"),
        ('["\\uDC00"]', "half of a surrogate pair"),
        ("9" * 5_000, "digits"),
        ("{", "Expecting"),
    ],
)
def test_the_rest_is_one_kind_of_error(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_json(text)


def test_too_many_labels_and_long_names_are_short_messages() -> None:
    assert len(label_values({f"l{n}": n for n in range(MOST_LABELS)})) == MOST_LABELS
    with pytest.raises(ValueError, match=f"60000 labels; allowed are at most {MOST_LABELS}"):
        label_values({f"l{n}": n for n in range(60_000)})
    with pytest.raises(ValueError, match=r"has the value 8000000000\.0; expected an integer"):
        label_values({"sacrum": 8e9})
    with pytest.raises(ValueError, match="expected an integer") as caught:
        label_values({"x" * 100_000: "y" * 100_000})
    assert len(str(caught.value)) < 300
