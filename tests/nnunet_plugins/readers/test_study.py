"""Whole reader studies: the command from files to tables, page and pictures."""

from __future__ import annotations

import csv
import re
import shutil

import numpy as np
import pytest

from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.readers.files import Files, find_files
from nnunet_plugins.readers.mask_scoring import mask_folders, score_masks
from nnunet_plugins.readers.masks import of_masks
from nnunet_plugins.readers.study import Choices, analyse_study
from tests.nnunet_plugins.readers.studies import (
    Study,
    rows,
    truth,
    write_csv,
    write_masks,
    write_tables,
)


def table(study, title):
    (sheet,) = [one for one in study.sheets if one.title == title]
    return sheet


def table_rows(study, title):
    return table(study, title).rows


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    return write_masks(tmp_path_factory.mktemp("masks"))


def test_tables_of_calls(tmp_path):
    folder = write_tables(tmp_path)
    study = analyse_study(find_files(folder, Files()), Choices(positive="axSpA"))
    assert not study.warnings
    titles = [sheet.title for sheet in study.sheets]
    assert titles == [
        "Reads",
        "Calls",
        "Calls, assisted against alone",
        "Agreement of the calls",
        "AUC",
        "AUC, assisted against alone",
        "All readers, for readers and cases like these",
        "All readers, for these readers only",
        "Reading time",
    ]
    assert [row[0] for row in table(study, titles[6]).rows] == [
        "AUC",
        "accuracy %",
        "sensitivity %",
        "specificity %",
    ]
    for one in study.findings:
        if one.interval:
            assert one.low <= one.value <= one.high
    # By chance both readers gain the same AUC: an interval for all readers shorter than for these is marked.
    random, fixed = (
        next(
            one
            for one in study.findings
            if (one.table, one.measure, one.arm) == (name, "AUC", "assisted - alone")
        )
        for name in ("all readers", "these readers")
    )
    assert random.high - random.low < fixed.high - fixed.low
    sheet = table(study, titles[6])
    assert sheet.rows[0][-1].endswith("†")
    assert sheet.notes[-1].startswith("† Shorter than")
    assert not sheet.rows[1][-1].endswith("†")


def test_a_missing_call_leaves_its_case_out_of_paired_tests_only(tmp_path):
    gone = ("case_03", "expert", "assisted")
    lacking = [row | {"call": "", "confidence": ""} if (row["case"], row["reader"], row["arm"]) == gone else row
               for row in rows()]  # fmt: skip
    write_csv(tmp_path / "reads.csv", lacking)
    write_csv(tmp_path / "truth.csv", truth())
    study = analyse_study(find_files(tmp_path, Files()), Choices(positive="axSpA"))
    assert [line for line in study.warnings if "case_03" in line]
    n = {
        (one.table, one.reader, one.arm): one.n
        for one in study.findings
        if one.measure == "accuracy"
    }
    assert n["calls", "expert", "alone"] == 20
    assert n["calls", "expert", "assisted"] == 19
    assert n["calls, alone against assisted", "expert", "assisted - alone"] == 19
    assert n["calls, alone against assisted", "resident", "assisted - alone"] == 20
    assert n["all readers", "all", "assisted - alone"] == 19
    assert any("1 of 20 cases left out" in note for note in study.notes)


def test_one_reader(tmp_path):
    folder = write_tables(tmp_path, Study(readers=("expert",)))
    study = analyse_study(find_files(folder, Files()), Choices(positive="axSpA"))
    assert "one reader: nothing is inferred for other readers" in study.notes
    assert not [one for one in study.findings if one.reader == "all"]


def test_all_readers_that_are_wrong_alone_and_right_assisted_have_no_p_value(tmp_path):
    """Of three cases, nothing follows: McNemar's p is 0.25 for each reader."""
    calls = {("alone", 1): "no", ("assisted", 1): "yes", ("alone", 0): "no", ("assisted", 0): "no"}
    reads = [
        {"case": f"c{case}", "reader": reader, "arm": arm, "call": calls[arm, int(case < 3)]}
        for reader in "AB"
        for arm in ("alone", "assisted")
        for case in range(6)
    ]
    write_csv(tmp_path / "reads.csv", reads)
    write_csv(
        tmp_path / "truth.csv",
        [{"case": f"c{i}", "truth": "yes" if i < 3 else "no"} for i in range(6)],
    )
    study = analyse_study(find_files(tmp_path, Files()), Choices())
    for title in ("for readers and cases like these", "for these readers only"):
        sheet = table(study, f"All readers, {title}")
        (row,) = [row for row in sheet.rows if row[0] == "sensitivity %"]
        assert row == ("sensitivity %", "3", "0.0", "100.0", "100.0", "-")
        assert any(note.startswith("Neither interval nor test") for note in sheet.notes)


def test_a_difference_of_areas_needs_one_reader_only(tmp_path):
    """It is of the cases that this reader read in both arms, whatever others did."""
    both = [
        row
        for row in rows(Study(readers=("A", "B")))
        if (row["reader"], row["arm"]) != ("B", "assisted")
    ]
    write_csv(
        tmp_path / "reads.csv",
        [row for row in both if (row["arm"], row["case"]) != ("alone", "case_07")],
    )
    write_csv(tmp_path / "truth.csv", truth())
    study = analyse_study(find_files(tmp_path, Files()), Choices(positive="axSpA"))
    (row,) = table_rows(study, "AUC, assisted against alone")
    assert row[:3] == ("AUC", "A", "19")
    (one,) = [one for one in study.findings if one.table == "AUC, alone against assisted"]
    assert one.low < one.value < one.high
    assert 0 < one.p == one.p_holm < 1


def test_patients_with_several_cases_are_noted_and_not_named(tmp_path):
    write_csv(tmp_path / "reads.csv", rows())
    write_csv(
        tmp_path / "truth.csv",
        [row | {"patient": f"Miller{i // 2}"} for i, row in enumerate(truth())],
    )
    study = analyse_study(find_files(tmp_path, Files()), Choices(positive="axSpA"))
    assert any(note.startswith("some patients have several cases") for note in study.notes)
    assert "Miller" not in repr(study)


def test_scores_of_masks(masks):
    found, notes = of_masks(
        score_masks(
            mask_folders(masks / "masks", ["resident"]), masks / "reference", model=masks / "model"
        )
    )
    assert not notes
    means = {
        (one.reader, one.arm): one
        for one in found
        if one.table == "masks" and one.measure == "dice"
    }
    assert list(means) == [
        ("resident", "alone"), ("resident", "assisted"), ("expert", "alone"), ("expert", "assisted"),
        ("model", "model"),
    ]  # fmt: skip
    # Cubes of 12 voxels, moved by 3 or 4: Dice 9/12 and 8/12.
    assert means["resident", "alone"].value == pytest.approx((9 + 8) / 24)
    assert means["model", "model"].value == pytest.approx(11 / 12)
    gains = [
        one
        for one in found
        if one.table == "masks, alone against assisted" and one.measure == "dice"
    ]
    assert [one.value for one in gains] == pytest.approx([2 / 12, 2 / 12])
    # Six cases, all better: 2 / 2^6, times two readers.
    assert [one.p_holm for one in gains] == pytest.approx([4 / 64] * 2)


@pytest.mark.integration
def test_the_command_writes_everything(tmp_path, masks, capsys):
    write_tables(tmp_path / "study", Study(cases=6))
    shutil.copytree(masks, tmp_path / "study", dirs_exist_ok=True)
    ages = [{"group": "ab"[i % 2], "age": 20 + i} for i in range(9)]
    write_csv(tmp_path / "study" / "cohort.csv", ages)
    out = tmp_path / "out"
    command = ["readers", str(tmp_path / "study"), "--positive", "axSpA", "-o", str(out), "-j", "1"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert max(len(line) for line in text.splitlines() if not line.startswith("written")) <= 100
    assert sorted(path.name for path in out.iterdir()) == [
        "readers.csv", "readers.html", "readers.md", "readers.tex", "readers_forest.pdf", "readers_masks_1.png",
        "readers_masks_2.png", "readers_patients.csv",
    ]  # fmt: skip
    page = (out / "readers.html").read_text(encoding="utf-8")
    assert page.count("<img alt=") == 2
    titles = re.findall(r'<figure role="img" aria-label="(.*?): difference', page)
    assert titles == [
        "accuracy %", "sensitivity %", "specificity %", "AUC", "mean change, minutes", "Dice %, label 1",
        "precision %, label 1", "recall %, label 1",
    ]  # fmt: skip
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    with (out / "readers.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    accuracy = next(line for line in lines if line["measure"] == "accuracy")
    assert float(accuracy["value"]) == int(accuracy["k"]) / int(accuracy["n"])
    (out / "readers_masks_3.png").write_bytes(b"of a reader who is gone")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert main(command) == 0
    del before["readers_masks_3.png"]
    assert before == {path.name: path.read_bytes() for path in out.iterdir()}


def test_masks_alone_are_a_study(masks, tmp_path):
    study = analyse_study(find_files(masks, Files()), Choices(metrics=["dice", "hd95_mm"]))
    assert study.reads is None
    assert "Masks: label 1" in [sheet.title for sheet in study.sheets]
    gains = [one for one in study.findings if one.table == "masks, alone against assisted"]
    assert all(one.value > 0 for one in gains)  # lower distances are better
    assert {one.measure for one in gains} == {"dice", "hd95_mm"}


def test_missing_masks_are_named(masks, tmp_path):
    shutil.copytree(masks, tmp_path / "study")
    (tmp_path / "study" / "masks" / "expert" / "assisted" / "case_02.nii.gz").unlink()
    study = analyse_study(find_files(tmp_path / "study", Files()), Choices())
    assert study.warnings == ("missing masks of expert, assisted: 1 of 6 (case_02)",)
    gains = {
        one.reader: one.n for one in study.findings if one.table == "masks, alone against assisted"
    }
    assert gains == {"resident": 6, "expert": 5}


def test_masks_that_are_those_of_the_model_or_the_reference(masks, tmp_path):
    shutil.copytree(masks, tmp_path / "study")
    own = tmp_path / "study" / "masks"
    shutil.copy(tmp_path / "study" / "model" / "case_01.nii.gz", own / "resident" / "assisted")
    shutil.copy(tmp_path / "study" / "model" / "case_02.nii.gz", own / "expert" / "alone")
    shutil.copy(tmp_path / "study" / "reference" / "case_03.nii.gz", own / "expert" / "alone")
    study = analyse_study(find_files(tmp_path / "study", Files()), Choices())
    assert study.warnings == (
        "NOT BLIND: 1 of 6 masks of expert, alone, are those of the reference, voxel for voxel: case_03",
        "NOT BLIND: 1 of 6 masks of expert, alone, are those of the model, voxel for voxel: case_02",
    )
    # case_00, case_02 and case_04 are moved by one voxel, as the model's.
    assert "resident left 4 of 6 masks of the model unchanged" in study.notes


def test_masks_of_other_names_are_noted(masks, tmp_path):
    row = {"case": "07", "reader": "expert", "arm": "alone", "minutes": 5}
    table = write_csv(tmp_path / "reads.csv", [row])
    study = analyse_study(find_files(masks, Files(table=table)), Choices())
    assert study.warnings == (
        "no case of the table has a mask of its name (the masks begin with case_00, the table with 07): rename "
        "one of them",
    )


def test_one_arm_and_calls_of_one_kind(tmp_path):
    table = [row | {"call": "axSpA"} for row in rows() if row["arm"] == "alone"]
    write_csv(tmp_path / "reads.csv", table)
    write_csv(tmp_path / "truth.csv", truth())
    study = analyse_study(
        find_files(tmp_path, Files()), Choices(positive="axSpA", confidence="disease")
    )
    titles = [sheet.title for sheet in study.sheets]
    assert titles == ["Reads", "Calls", "Agreement of the calls", "AUC", "Reading time"]
    (first, _) = table_of_calls = table_rows(study, "Calls")
    assert first[3:] == ("60.0 (38.7 to 78.1)", "100.0 (75.8 to 100.0)", "0.0 (0.0 to 32.4)",
                         "60.0 (38.7 to 78.1)", "-", "0.000")  # fmt: skip
    assert table_rows(study, "Agreement of the calls")[0][-1] == "-"
    assert len(table_of_calls) == 2


def test_confidences_without_calls(tmp_path):
    table = [{key: row[key] for key in ("case", "reader", "arm", "confidence")} for row in rows()]
    write_csv(tmp_path / "reads.csv", table)
    write_csv(tmp_path / "truth.csv", truth())
    study = analyse_study(find_files(tmp_path, Files()), Choices(positive="axSpA"))
    assert {one.measure for one in study.findings} == {"AUC"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: (folder / "masks" / "expert" / "alone").rename(folder / "masks" / "expert" / "first"),
         "holds the folders alone and assisted"),
        (lambda folder: (folder / "masks" / "expert").rename(folder / "masks" / "model"), "cannot be called model"),
        (lambda folder: (folder / "masks" / "expert").rename(folder / "masks" / "Resident"),
         "'Resident' and 'resident' differ in case or blanks only"),
        (lambda folder: (folder / "reference").rename(folder / "truth"), "pass --reference DIR"),
        (lambda folder: (folder / "masks").rename(folder / "other"), "neither reads.csv nor masks/"),
    ],
)  # fmt: skip
def test_folders_that_are_not_understood(masks, tmp_path, make, message):
    shutil.copytree(masks, tmp_path / "study")
    make(tmp_path / "study")
    with pytest.raises(UserError, match=message):
        analyse_study(find_files(tmp_path / "study", Files()), Choices())


def test_all_readers_are_the_same_with_and_without_the_order_of_rows(tmp_path):
    rng = np.random.default_rng(2)
    write_tables(tmp_path / "a")
    mixed = [rows()[i] for i in rng.permutation(len(rows()))]
    write_csv(tmp_path / "b" / "reads.csv", mixed)
    write_csv(tmp_path / "b" / "truth.csv", truth()[::-1])
    studies = [
        analyse_study(find_files(tmp_path / one, Files()), Choices(positive="axSpA"))
        for one in "ab"
    ]
    first, second = (
        {
            (one.table, one.measure, one.arm): one.value
            for one in study.findings
            if one.reader == "all"
        }
        for study in studies
    )
    assert first == pytest.approx(second)


def test_the_tables_of_the_paper_are_above_the_rows_of_the_study(tmp_path, masks):
    folder = write_tables(tmp_path)
    given = Files(masks=masks / "masks", reference=masks / "reference", model=masks / "model")
    study = analyse_study(find_files(folder, given), Choices(positive="axSpA", paper=True))
    calls, segmented = (
        next(one for one in study.sheets if f"table {number}, and this study" in one.title)
        for number in (5, 3)
    )
    assert calls.rows[:2] == (
        ("paper: resident", "alone", "58", "70.69 (58.18 to 81.82)", "78.38 (63.89 to 91.18)",
         "57.14 (33.33 to 78.58)", "76.32 (62.16 to 89.29)", "60.00 (35.71 to 82.35)", "0.359 (0.082 to 0.599)"),
        ("paper: resident", "assisted", "58", "77.51 (67.27 to 87.32)", "89.22 (78.79 to 97.44)",
         "57.20 (34.99 to 78.57)", "78.27 (65.00 to 90.24)", "75.34 (52.93 to 95.00)", "0.484 (0.238 to 0.725)"),
    )  # fmt: skip
    assert calls.rows[4:] == table(study, "Calls").rows
    assert segmented.rows[0] == (
        "paper: model", "", "20", "85.44 ± 6.09", "85.83 (82.62 to 89.04)", "86.43 (81.10 to 91.76)",
    )  # fmt: skip
    assert all(len(row) == len(one.head) for one in (calls, segmented) for row in one.rows)
    assert any("none is one of 58" in note for note in calls.notes)
    assert not any("Table 4" in note for note in (*calls.notes, *segmented.notes))


@pytest.mark.parametrize("washout", [float("nan"), -1.0, float("inf")])
def test_a_washout_below_zero_or_infinite_is_refused(washout):
    with pytest.raises(UserError, match="expected a number of days, 0 or more"):
        Choices(washout=washout)
