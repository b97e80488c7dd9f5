"""Numbers and columns as spreadsheets write them; what may mean two numbers is none."""

import pytest

from nnunet_plugins.csv_cells import number, table
from nnunet_plugins.errors import UserError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("2.5", 2.5),
        ("0,125", 0.125),
        ("-1,25", -1.25),
        ("1200,5", 1200.5),
        ("1,200", None),
        ("-12,000", None),
        ("1,200,000", None),
        ("1_0", None),
        ("nan", None),
    ],
)
def test_numbers(text, value):
    assert number(text) == value


def test_separators_at_the_end_of_lines_add_nothing(tmp_path):
    path = tmp_path / "table.csv"
    for text in ("case;minutes;;\na;1;;\nb;2\nc;3;;;\n", "case;minutes\na;1;\nb;2\nc;3;;\n"):
        path.write_text(text)
        rows = table(path, "table", "", ("case",), ("minutes",))
        assert [row["case"].text for row in rows] == ["a", "b", "c"]
        assert list(rows[0]) == ["case", "minutes"]
    for text, match in (
        (
            "case;minutes;;\na;1;;x\n",
            "row 2 has 4 cells, the header names 2 columns; correct the row",
        ),
        ("case;;;minutes\na;1;;x\n", r"unknown: \(empty\), \(empty\); given twice: \(empty\)"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=match):
            table(path, "table", "", ("case",), ("minutes",))
