"""The table of cases and the splits: what is refused, and that no patient is on two sides."""

import pytest

from nnunet_plugins.classifier.splits import with_splits
from nnunet_plugins.classifier.table import Row, Table, check_recorded, read_table
from nnunet_plugins.errors import UserError


def table(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    return path


def test_columns_separators_and_names_of_splits(tmp_path):
    text = "\ufeffCase;Patient;Label;Split\na;P1;0;Training\nb;P2;1;val\nc;P3;1;internal_test\nd;P3;1;test\n"
    found = read_table(table(tmp_path, text))
    assert [row.split for row in found.rows] == ["train", "validation", "test", "test"]
    assert [row.patient for row in found.rows] == [1, 2, 3, 3]
    assert found.classes == ("0", "1")
    assert "P1" not in repr(found)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_tables_as_spreadsheets_write_them(tmp_path, encoding, end):
    path = tmp_path / "table.csv"
    lines = ["Case;Patient;Diagnosis", "a;M\u00fcller;Yes", "b;N;no", "c;O;YES"]
    path.write_bytes(end.join(lines).encode(encoding))
    found = read_table(path, label="Diagnosis")
    assert found.classes == ("no", "Yes")
    assert [row.label for row in found.rows] == [1, 0, 1]


@pytest.mark.parametrize(
    ("text", "options", "match"),
    [
        ("case,patient\na,1\n", {}, "columns missing: label.*--label-column"),
        ("patient,label\na,0\nb,\n", {}, "row 3, label is empty"),
        ("patient,label\na,0\nb,0\n", {}, "one class only"),
        ("patient,label\na,x1\nb,x2\nc,x3\n", {}, "3 different values of 3 patients; is it an id"),
        (
            "case,patient,label\n" + "".join(f"{n},P{n // 4},Name{n // 4}\n" for n in range(12)),
            {},
            "3 different values of 3 patients; is it an id",
        ),
        ("patient,label\n" + "".join(f"{n},{n % 3}\n" for n in range(9)), {}, "0, 1.*Two classes"),
        ("patient,label\na,0\nb,1\n", {"label": "patient"}, "names the cases"),
        ("patient,label\na,axSpA\nb,other\n", {}, "--positive axSpA or --positive other"),
        ("patient,label\na,0\nb,1\n", {"positive": "2"}, "--positive 2"),
        ("case,patient,label\na,P,0\na,Q,1\n", {}, "a: more than one row"),
        ("case,patient,label\na,P,0\nb,P,1\n", {}, "a and b are of one patient.*different labels"),
        ("case,patient,label,split\na,P,0,train\nb,P,0,test\nc,Q,1,test\n", {}, "different splits"),
        ("case,patient,label,fold\na,P,0,0\nb,P,0,1\nc,Q,1,1\n", {}, "different folds"),
        (
            "patient,label,split\na,0,train\nb,1,tset\n",
            {},
            "row 3, split is 'tset'; allowed are train",
        ),
        ("patient,label,fold\na,0,0\nb,1,x\n", {}, "fold is 'x'"),
        ("patient,label\n", {}, "no row below"),
        ("patient,label,label\na,0,1\nb,1,0\n", {}, "given twice: label"),
        ("patient,label\na,0,1\nb,1\n", {}, "row 2 has 3 cells"),
        (
            "patient,label\na,axSpA\nb,NA\n",
            {"positive": "axSpA"},
            "row 3, label is 'NA', not known",
        ),
        ("case,patient,label\na,nan,0\nb,Q,1\n", {}, "row 2, patient is 'nan', not known"),
        ("patient,label\na,Yes\nb,yes\n", {}, r"one class only \(Yes\)"),
        (
            "case,patient,label,split\na,M\u00fcller 01,0,train\nb,mu\u0308ller_1,0,test\nc,Q,1,test\n",
            {},
            "different splits",
        ),
        (
            "case,patient,label,split\na,7,0,train\nb,7.0,0,test\nc,Q,1,test\n",
            {},
            "different splits",
        ),
    ],
)
def test_tables_that_are_refused(tmp_path, text, options, match):
    with pytest.raises(UserError, match=match) as error:
        read_table(table(tmp_path, text), **options)
    assert "P," not in str(error.value)
    assert "Name" not in str(error.value)


def cohort(count, positive=0.7):
    rows = tuple(
        Row(f"c{n}{extra}", n, int(n < positive * count)) for n in range(count) for extra in "ab"
    )
    return Table(rows, ("0", "1"))


def test_drawn_splits_keep_patients_together_and_the_share_of_the_classes():
    rows = with_splits(cohort(648, 462 / 648), seed=3)
    sides = {
        side: {row.patient for row in rows if row.split == side}
        for side in ("train", "validation", "test")
    }
    assert [len(one) for one in sides.values()] == [455, 64, 129]  # as the paper
    assert not sides["train"] & sides["test"]
    for members in sides.values():
        share = len([n for n in members if n < 462]) / len(members)
        assert share == pytest.approx(462 / 648, abs=0.01)
    assert rows == with_splits(cohort(648, 462 / 648), seed=3)
    assert rows != with_splits(cohort(648, 462 / 648), seed=4)


def test_folds_test_on_one_and_validate_on_the_next():
    rows = tuple(Row(f"c{n}", n, n % 2, fold=n // 4) for n in range(12))
    found = with_splits(Table(rows, ("0", "1")), fold=2)
    assert {row.fold: row.split for row in found} == {0: "validation", 1: "train", 2: "test"}
    with pytest.raises(UserError, match="folds 0, 1, 2"):
        with_splits(Table(rows, ("0", "1")), fold=5)


def test_a_side_with_one_class_is_refused():
    rows = [Row(f"c{n}", n, n % 2, "train") for n in range(4)]
    rows += [Row("v0", 8, 0, "validation"), Row("v1", 9, 1, "validation"), Row("t", 10, 1, "test")]
    with pytest.raises(UserError, match="the test set has only sick; both well and sick"):
        with_splits(Table(tuple(rows), ("well", "sick")))
    with pytest.raises(UserError, match="cannot be split"):
        with_splits(cohort(4, 0.5))


def test_patients_of_the_conversion_are_those_of_the_table():
    rows = [Row("a", 1, 0, "train"), Row("b", 2, 0, "test"), Row("c", 2, 0, "test")]
    check_recorded(rows, {"b": 5, "c": 5})
    check_recorded(rows, {"b": 5, "c": 6})
    with pytest.raises(UserError, match=r"d \(test\) and b \(test\) are of one patient"):
        check_recorded([*rows, Row("d", 3, 1, "test")], {"b": 5, "d": 5})
    with pytest.raises(UserError, match=r"b \(test\) and a \(train\) are of one patient"):
        check_recorded(rows, {"a": 5, "b": 5})
