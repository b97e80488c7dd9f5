"""Tables of reads: what is refused, and what is named."""

from __future__ import annotations

import unicodedata

import pytest

from nnunet_plugins.errors import UserError
from nnunet_plugins.readers.confidence import as_ratings
from nnunet_plugins.readers.design import crossed, missing, not_blind, not_known, periods
from nnunet_plugins.readers.read_table import read_reads
from tests.nnunet_plugins.readers.studies import Study, positive, rows, truth, write_csv


def read(folder, table=None, true=None, positive="axSpA"):
    path = write_csv(folder / "reads.csv", rows() if table is None else table)
    where = write_csv(folder / "truth.csv", truth() if true is None else true)
    return read_reads(path, where, positive)


def changed(where, **cells):
    """The table with other cells in the rows for which `where` is true."""
    return [row | cells if where(row) else row for row in rows()]


def of(case, reader="expert", arm="alone"):
    return lambda row: (row["case"], row["reader"], row["arm"]) == (case, reader, arm)


def test_a_sound_study(tmp_path):
    found = read(tmp_path)
    assert found.readers == ["resident", "expert"]
    assert len(found.reads) == 80
    assert sum(found.truth.values()) == 12
    assert found.positive == "axSpA"
    assert not missing(found)
    assert not not_blind(found)
    assert not not_known(found)
    assert periods(found)[0].days == (90, 90)


def test_missing_reads_and_calls_are_named(tmp_path):
    table = [row for row in rows() if not of("case_03", arm="assisted")(row)]
    table = [row | {"call": ""} if of("case_07", "resident")(row) else row for row in table]
    lines = missing(read(tmp_path, table))
    assert lines == [
        "resident, alone: no call for 1 of 20 cases (case_07)",
        "missing reads of expert, assisted: 1 of 20 cases (case_03)",
    ]


def test_a_case_that_no_one_read_is_missing(tmp_path):
    lines = missing(read(tmp_path, true=[*truth(), {"case": "case_99", "truth": "axSpA"}]))
    assert len(lines) == 4
    assert all("case_99" in line for line in lines)


def test_washout_and_order_of_the_arms(tmp_path):
    assert not not_blind(read(tmp_path / "a", rows(Study(days=28))))
    (resident, expert) = not_blind(read(tmp_path / "b", rows(Study(days=27))))
    assert resident.startswith(
        "WASHOUT: resident read 20 of 20 cases again after less than 28 days"
    )
    assert "shortest: 27" in expert
    assert not not_blind(read(tmp_path / "b", rows(Study(days=27))), washout=14)
    table = changed(of("case_04", arm="assisted"), date="2024-01-08")
    (line,) = not_blind(read(tmp_path / "c", table))
    assert line.startswith(
        "NOT BLIND: expert read 1 of 20 cases assisted shortly before reading them"
    )
    assert line.endswith("case_04")


def test_a_crossover_is_a_note(tmp_path):
    other = {"alone": "assisted", "assisted": "alone"}
    table = [
        row | {"arm": other[row["arm"]]} if int(row["case"][-2:]) < 10 else row for row in rows()
    ]
    found = read(tmp_path / "a", table)
    assert not not_blind(found)
    assert periods(found)[0].days == (90, 90)
    assert crossed(found)[0].startswith(
        "resident read 10 of 20 cases assisted first, and alone after the washout"
    )
    assert not crossed(found, washout=91)
    assert not_blind(found, washout=91)[0].startswith("NOT BLIND: resident read 10 of 20")


def test_an_order_that_reveals_the_truth(tmp_path):
    positives = {row["case"] for row in truth() if row["truth"] == "axSpA"}
    table = [
        row | {"order": int(row["case"][-2:]) + (0 if row["case"] in positives else 100)}
        if (row["reader"], row["arm"]) == ("expert", "alone")
        else row
        for row in rows()
    ]
    (line,) = not_blind(read(tmp_path, table))
    assert line.startswith("NOT BLIND: expert, alone: all cases of one class were read before")


def test_an_order_of_some_reads_and_times_of_others_are_not_mixed(tmp_path):
    """The cases with an order are the negative ones: their numbers are below any time."""
    table = [
        row
        | {
            "date": f"{row['date']} 08:{int(row['order']):02d}",
            "order": "" if positive(int(row["case"][-2:])) else row["order"],
        }
        for row in rows()
    ]
    found = read(tmp_path, table)
    assert not not_blind(found)
    assert not not_known(found)


def test_the_same_order_in_both_arms(tmp_path):
    table = [
        row | {"order": row["case"][-2:]} if row["reader"] == "expert" else row for row in rows()
    ]
    (line,) = not_blind(read(tmp_path, table))
    assert line.startswith("ORDER: expert read the cases in the same order")


def test_names_that_reveal_the_truth(tmp_path):
    new = {row["case"]: f"{row['truth']}_{row['case']}" for row in truth()}
    table = [row | {"case": new[row["case"]]} for row in rows()]
    true = [row | {"case": new[row["case"]]} for row in truth()]
    (line,) = not_blind(read(tmp_path, table, true))
    assert "sorted by their names" in line


def test_what_is_not_recorded_is_noted(tmp_path):
    table = [{key: row[key] for key in ("case", "reader", "arm", "call")} for row in rows()]
    dates, order = not_known(read(tmp_path, table))
    assert dates.startswith("80 of 80 reads have no date")
    assert order.startswith("the order of the reads is not recorded")


def test_the_truth_in_the_readers_table_is_noted(tmp_path):
    true = {row["case"]: row["truth"] for row in truth()}
    table = [row | {"truth": true[row["case"]]} for row in rows()]
    found = read_reads(write_csv(tmp_path / "reads.csv", table), None, "axSpA")
    assert "which no reader opens" in found.notes[0]
    assert sum(found.truth.values()) == 12


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([{**row, "confidance": 1} for row in rows()], "unknown: confidance"),
        ([{"case": "a", "arm": "alone"}], "missing: reader"),
        (changed(of("case_01"), arm="aided"), r"row 43, arm is 'aided'; allowed are alone, assisted"),
        (changed(of("case_01"), date="03/04/2024"), r"row 43, date is '03/04/2024'; expected year-month-day"),
        (changed(of("case_01"), date="2204-01-08"), "date is '2204-01-08'; a date is between 1990-01-01 and"),
        (changed(of("case_01"), date="1024-01-08"), r"row 43, date is '1024-01-08'; a date is between"),
        (changed(of("case_01"), confidence="high"), "row 43, confidence is 'high'; expected a number"),
        (changed(of("case_01"), minutes="-2"), "row 43, minutes is -2"),
        (changed(of("case_01"), case=""), "row 43, case is empty"),
        (changed(of("case_01"), reader="R" * 61), "row 43, reader has 61 characters, more than 60"),
        (changed(of("case_01"), reader="All"), "a reader cannot be called All"),
        (changed(of("case_01"), reader="model"), "a reader cannot be called model"),
        (changed(of("case_01"), reader="Expert"), "'expert' and 'Expert' differ in case or blanks only"),
        (changed(of("case_01"), reader="ex pert"), "'expert' and 'ex pert' differ"),
        (changed(of("case_01"), case="case_02"), r"expert has two rows for case_02 \(alone\)"),
        (changed(of("case_01"), call="maybe"), "3 different values"),
        (changed(of("case_01"), case="case_77"), "truth of 1 cases with a call or confidence is missing: case_77"),
    ],
)  # fmt: skip
def test_a_cell_that_is_not_understood_is_refused(tmp_path, table, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, table)


def test_a_confidence_without_truth_is_refused(tmp_path):
    table = [{key: row[key] for key in ("case", "reader", "arm", "confidence")} for row in rows()]
    with pytest.raises(
        UserError, match=r"truth of 8 cases with a call or confidence is missing: case_12"
    ):
        read(tmp_path, table, truth()[:12])


def test_one_class_only_is_refused(tmp_path):
    true = [row | {"truth": "axSpA"} for row in truth()]
    with pytest.raises(UserError, match="all 20 cases are positive"):
        read(tmp_path, true=true)


def test_identifiers_as_truth_are_refused_and_not_shown(tmp_path):
    true = [row | {"truth": f"Miller {i}"} for i, row in enumerate(truth())]
    with pytest.raises(UserError, match="is the column truth an identifier") as caught:
        read(tmp_path, true=true)
    assert "Miller" not in str(caught.value)


def test_words_for_positive(tmp_path):
    with pytest.raises(UserError, match="axspa and other; pass --positive"):
        read(tmp_path, positive=None)
    with pytest.raises(UserError, match="--positive yes: call and truth have axspa and other"):
        read(tmp_path, positive="yes")
    numbers = [row | {"call": int(row["call"] == "axSpA")} for row in rows()]
    true = [row | {"truth": int(row["truth"] == "axSpA")} for row in truth()]
    assert read(tmp_path, numbers, true, None).truth == read(tmp_path).truth


def test_a_second_truth_of_a_case_is_refused(tmp_path):
    with pytest.raises(UserError, match="case_00 has a second row"):
        read(tmp_path, true=[*truth(), truth()[0]])


def test_names_are_the_same_in_both_forms_of_unicode(tmp_path):
    def named(row):
        form = "NFC" if row.get("arm") == "alone" else "NFD"
        return row | {"case": unicodedata.normalize(form, f"Müller {row['case']}")}

    found = read(tmp_path, [named(row) for row in rows()], [named(row) for row in truth()])
    assert len(found.cases) == 20


def test_no_file(tmp_path):
    with pytest.raises(UserError, match="the table of reads cannot be read"):
        read_reads(tmp_path / "none.csv", None, None)


def test_confidences_of_the_call_are_recognised_and_turned(tmp_path):
    def sure(row):
        value = int(row["confidence"])
        return row | {"confidence": value if row["call"] == "axSpA" else 6 - value}

    plain = as_ratings(read(tmp_path / "a"), None)
    of_call = read(tmp_path / "b", [sure(row) for row in rows()])
    with pytest.raises(UserError, match="do not follow the calls"):
        as_ratings(of_call, None)
    assert as_ratings(of_call, "disease") == of_call
    turned = as_ratings(of_call, "call")
    for ours, theirs in zip(turned.reads, plain.reads, strict=True):
        assert ours.confidence == (theirs.confidence if theirs.call else theirs.confidence - 6)
