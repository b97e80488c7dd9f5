"""`compare`: what a run is, which cases count, what is refused or marked, and the formats."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_plugins.ablation.tables import find
from nnunet_plugins.cli import main
from nnunet_plugins.comparison.compare import MEAN, compare
from nnunet_plugins.comparison.model_folder import facts_of_model, find_folds, read_logs
from nnunet_plugins.comparison.paper import match, paper_sheet
from nnunet_plugins.comparison.runs import Options, Run, load
from nnunet_plugins.comparison.sheets import notes_of, sheets_of, warnings_of
from nnunet_plugins.comparison.writing import comparison_csv, latex, markdown, text
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation import evaluate
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.evaluation.metrics import compare as score
from nnunet_plugins.evaluation.overlap import Counts
from nnunet_plugins.evaluation.summary import CaseScores, Scores

LABELS = Labels({"sacrum": (1,), "hip": (2,)}, None, "test")
SPACING = (3.0, 0.5, 0.8)


def row_of(voxels: int, start: int = 0) -> np.ndarray:
    mask = np.zeros((3, 4, 24), dtype=bool)
    mask[1, 1, start : start + voxels] = True
    return mask


def run(name: str, sacrum: list[int], hip: list[int | None], **facts: Any) -> Run:
    """Cases whose reference is 10 voxels of each label, of which so many were found; hip None: not in the case."""
    cases = []
    for number, found in enumerate(zip(sacrum, hip, strict=True)):
        labels = {}
        for label, hits in zip(LABELS.values, found, strict=True):
            true = row_of(0 if hits is None else 10)
            labels[label] = score(row_of(hits or 0), true, SPACING)
        cases.append(CaseScores(f"case{number}", SPACING, labels, Counts(200, 8, 0, 80), 280))
    return Run(name, Scores(LABELS, tuple(cases)), facts)


FIRST = [6, 7, 8, 5, 6, 7, 8]
BETTER = [8, 9, 9, 7, 9, 9, 10]


def lines(found: Any, label: str, metric: int = 0) -> dict[str, Any]:
    return {one.run: one for one in found.tables[metric].lines if one.label == label}


# numbers


def test_means_and_tests_by_hand() -> None:
    found = compare([run("a", FIRST, FIRST), run("b", BETTER, FIRST)], ["dice"])
    a, b = lines(found, "sacrum").values()
    dice = [2 * n / (10 + n) for n in FIRST]
    assert a.mean == pytest.approx(np.mean(dice))
    assert a.sd == pytest.approx(np.std(dice, ddof=1))
    assert a.ci[0] < a.mean < a.ci[1]
    assert a.against is None
    assert (b.against.wins, b.against.ties, b.against.losses) == (7, 0, 0)
    assert (b.against.effect, b.against.p) == (1.0, pytest.approx(2 / 2**7))
    # Tests: mean of labels, sacrum (both 2 / 2^7) and hip, where nothing differs.
    assert found.tables[0].tests == 3
    assert b.p == pytest.approx(3 * 2 / 2**7)
    assert lines(found, "hip")["b"].p == 1.0


def test_lower_is_better_for_distances() -> None:
    found = compare([run("a", FIRST, FIRST), run("b", BETTER, FIRST)], ["hd_mm", "volume_error"])
    assert lines(found, "sacrum")["b"].against.wins == 7
    # Volumes are too small by 10 - n voxels: nearer to 0 is better although the number is larger.
    assert lines(found, "sacrum", 1)["b"].against.wins == 7


def test_a_missed_label_is_no_distance_but_the_worst_rank() -> None:
    found = compare([run("a", FIRST, FIRST), run("b", [*BETTER[:6], 0], FIRST)], ["hd95_mm"])
    b = lines(found, "sacrum")["b"]
    assert (b.n, b.lost) == (6, 1)
    assert (b.against.n, b.against.wins, b.against.losses) == (7, 6, 1)
    # Ranks 1 to 6 are gains, 7 is the miss.
    assert b.against.effect == pytest.approx((21 - 7) / 28)
    whole = lines(found, MEAN)["b"]
    assert (whole.n, whole.lost) == (6, 1)  # no mean over the labels that happen to have a value
    assert "b, sacrum: 1" in sheets_of(found)[0].notes[0]


def test_a_case_without_the_label_counts_only_where_one_run_found_it() -> None:
    hip: list[int | None] = [*FIRST[:6], None]
    a, b = run("a", FIRST, hip), run("b", FIRST, hip)
    assert lines(compare([a, b], ["dice"]), "hip")["b"].against.n == 6
    last = b.scores.cases[-1]
    alarm = last.labels | {"hip": score(row_of(3), row_of(0), SPACING)}
    cases = (*b.scores.cases[:-1], replace(last, labels=alarm))
    b = replace(b, scores=replace(b.scores, cases=cases))
    found = compare([a, b], ["dice"])
    assert (lines(found, "hip")["b"].against.n, lines(found, "hip")["b"].against.losses) == (7, 1)
    # The mean over labels is over those that the reference holds, in both runs alike.
    assert lines(found, MEAN)["b"].against.ties == 7


def test_all_ties_and_a_single_case_say_so_without_a_warning(recwarn: Any) -> None:
    found = compare([run("a", FIRST, FIRST), run("b", FIRST, FIRST)], ["dice"])
    b = lines(found, "sacrum")["b"]
    assert (b.against.ties, b.against.effect, b.p) == (7, 0.0, 1.0)
    alone = compare([run("a", [5], [5]), run("b", [6], [6])], ["dice"])
    one = lines(alone, "sacrum")["b"]
    assert (one.sd, one.ci, one.p) == (None, None, 1.0)
    assert "cannot be significant" in " ".join(alone.notes)
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning | UserWarning)]


@pytest.mark.parametrize(("cases", "told"), [(5, True), (9, False)])
def test_too_few_cases_are_told(cases: int, told: bool) -> None:
    values = list(range(1, cases + 1))
    found = compare([run("a", values, values), run("b", values, values)], ["dice"])
    assert ("cannot be significant" in " ".join(found.notes)) == told


# what is refused


def test_other_cases_are_refused_or_named() -> None:
    a, b = run("a", FIRST, FIRST), run("b", FIRST[:5], FIRST[:5])
    with pytest.raises(UserError, match=r"b lacks 2 of 7 cases: case5, case6; .*--common"):
        compare([a, b])
    found = compare([a, b], ["dice"], common=True)
    assert {line.n for line in found.tables[0].lines} == {5}
    assert "only the 5 cases that all runs have: b lacks 2 of 7 cases: case5, case6" in found.notes
    other = replace(b.scores, cases=tuple(replace(c, name="x" + c.name) for c in b.scores.cases))
    with pytest.raises(UserError, match="no case is in all of them"):
        compare([a, replace(b, scores=other)], common=True)


def test_other_labels_references_and_tolerances_are_refused() -> None:
    a = run("a", FIRST, FIRST)
    labels = replace(a.scores, labels=Labels({"sacrum": (1,), "hip": (3,)}, None, "test"))
    with pytest.raises(
        UserError, match=r"b has other labels than a: sacrum \[1\], hip \[3\] against"
    ):
        compare([a, replace(a, name="b", scores=labels)])
    b = run("b", FIRST, [None, *FIRST[1:]])
    with pytest.raises(UserError, match="different references: case case0, hip: 0 and 10 voxels"):
        compare([a, b])
    near = replace(a, name="b", scores=replace(a.scores, tolerance=1.0))
    with pytest.raises(UserError, match="NSD was measured at 1, 2 mm"):
        compare([a, near], ["nsd"])
    assert compare([a, near], ["dice"]).tables


def test_a_metric_that_is_not_there() -> None:
    a = run("a", FIRST, FIRST)
    with pytest.raises(UserError, match=r"--metrics jaccard: .*known: dice, iou"):
        compare([a, a], ["jaccard"])
    with pytest.raises(UserError, match=r"--metrics hd_px: a was not measured by it"):
        compare([a, a], ["hd_px"])


# what is marked

FACTS = {
    "dataset": "D", "splits": {"fold_0": ["case0"]}, "epochs": 300, "iterations_per_epoch": 250, "batch_size": 2,
    "patch_size": [8, 8], "spacing": [1.0, 1.0], "finished": True, "network": "ModularUNet",
}  # fmt: skip


def test_an_unfair_training_is_marked_in_every_format() -> None:
    a = run("a", FIRST, FIRST, **FACTS)
    b = run("b", BETTER, FIRST, **FACTS | {"epochs": 50, "network": "MAGUNet"})
    found = compare([a, b], ["dice"])
    (warning,) = warnings_of(found)
    assert warning == (
        "NOT A FAIR COMPARISON: b against a: epochs 50 against 300 (another training budget)"
    )
    assert "b also differs from a in network MAGUNet against ModularUNet" in notes_of(found)
    sheets = sheets_of(found)
    shown = text(sheets, [warning], notes_of(found))
    assert shown.startswith("NOT A FAIR COMPARISON")
    assert re.search(r"sacrum +a +7", shown)
    assert re.search(r"b ! +7", shown)
    assert max(map(len, shown.splitlines())) <= 100
    assert markdown(sheets, [warning], []).startswith("> **NOT A FAIR COMPARISON")
    assert r"\textbf{NOT A FAIR COMPARISON" in latex(sheets, [warning], [])
    rows = list(csv.DictReader(comparison_csv(found).splitlines()))
    assert {row["unfair"] for row in rows if row["run"] == "b"} == {
        "epochs 50 against 300 (another training budget)"
    }
    assert {row["unfair"] for row in rows if row["run"] == "a"} == {""}


def test_like_trainings_have_no_mark_and_costs_stand_beside() -> None:
    a = run("a", FIRST, FIRST, **FACTS, parameters=1_234_567, training_hours=1.5, device="cuda")
    b = run("b", BETTER, FIRST, **FACTS)
    found = compare([a, b], ["dice"])
    assert warnings_of(found) == []
    cost = {row[0]: row[1:] for row in sheets_of(found)[-1].rows}
    assert cost["parameters"] == ("1,234,567", "not recorded")
    assert cost["patch"] == ("8x8", "8x8")
    assert cost["peak memory, GiB"] == ("not recorded", "not recorded")


def test_nothing_known_of_a_training_is_said() -> None:
    found = compare([run("a", FIRST, FIRST), run("b", FIRST, FIRST)], ["dice"])
    assert any("how a, b came about is not recorded" in note for note in notes_of(found))


def test_the_csv_has_all_digits() -> None:
    found = compare([run("a", FIRST, FIRST), run("b", BETTER, FIRST)], ["dice"])
    rows = {
        (row["label"], row["run"]): row
        for row in csv.DictReader(comparison_csv(found).splitlines())
    }
    line = lines(found, "sacrum")["b"]
    assert float(rows["sacrum", "b"]["mean"]) == line.mean
    assert float(rows["sacrum", "b"]["p_holm"]) == line.p
    assert rows["sacrum", "a"]["p"] == ""


def test_latex_and_markdown_survive_names() -> None:
    a, b = run("a_1 & 50%", FIRST, FIRST), run("b|c", FIRST, FIRST)
    sheets = sheets_of(compare([a, b], ["dice"]))
    assert r"a_1 \& 50\%".replace("_", r"\_") in latex(sheets, [], [])
    table = markdown(sheets, [], [])
    assert r"b\|c" in table
    cells = {
        len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines() if line.startswith("|")
    }
    assert cells == {10}


# a paper's table


def test_rows_are_found_by_name_or_configuration() -> None:
    table = find("001.4")
    plain, both = run("unet", FIRST, FIRST), run("x", FIRST, FIRST)
    both = replace(both, configuration="3d_fullres_da-mff")
    assert {key: one.name for key, one in match([plain, both], table).items()} == {
        "unet": "unet",
        "da-mff": "x",
    }
    with pytest.raises(UserError, match=r"y is none of its rows; pass ROW=RUN, with ROW one of"):
        match([run("y", FIRST, FIRST)], table)
    with pytest.raises(UserError, match="are both its row da-mff"):
        match([both, replace(both, name="z")], table)


def test_published_numbers_stand_beside_ours() -> None:
    ours = run("da", FIRST, FIRST, parameters=23_100_000)
    sheet = paper_sheet(find("001.4"), [ours], ["da"])
    rows = {row[0]: dict(zip(sheet.head, row, strict=True)) for row in sheet.rows}
    dice = [200 * n / (10 + n) for n in FIRST]
    assert rows["da"]["run"] == "da !"
    assert rows["da"]["Dice paper"] == "91.5"
    assert rows["da"]["Dice ours"] == f"{np.mean(dice):.1f} ± {np.std(dice, ddof=1):.1f}"
    assert (rows["da"]["Params paper"], rows["da"]["Params ours"]) == ("23.01", "23.10")
    assert (rows["mff"]["run"], rows["mff"]["Dice ours"]) == ("not run", "-")
    assert rows["mff-lgag"]["Dice paper"] == "-"
    assert rows["da-mff-lgag"]["Dice paper"] == "92.4 †1"
    assert any(note.startswith("†1: Dice of the same network is 92.5") for note in sheet.notes)
    assert any("2 classes, background included; ours have 3" in note for note in sheet.notes)


def test_paper_003_is_pooled_with_background() -> None:
    ours = run("proposed", FIRST, FIRST)
    sheet = paper_sheet(find("003.6"), [ours])
    row = {r[0]: dict(zip(sheet.head, r, strict=True)) for r in sheet.rows}["proposed"]
    hits, true = sum(FIRST), 10 * len(FIRST)
    label = hits / true  # IoU of either: nothing too much was predicted
    background = 200 / 208
    assert float(row["mIoU ours"]) == pytest.approx((2 * label + background) / 3, abs=1e-4)
    assert row["mIoU paper"] == "0.8974 †1"
    assert (row["HD px paper"], row["HD px ours"]) == ("8.5621", "-")


def test_bones_of_004_where_our_labels_are_called_so() -> None:
    labels = Labels({"S": (1,), "L5": (2,)}, None, "test")
    ours = run("aspp", FIRST, FIRST)
    cases = tuple(
        replace(case, labels=dict(zip(labels.values, case.labels.values(), strict=True)))
        for case in ours.scores.cases
    )
    ours = replace(ours, scores=replace(ours.scores, labels=labels, cases=cases))
    sheet = paper_sheet(find("004.3"), [ours])
    row = {r[0]: dict(zip(sheet.head, r, strict=True)) for r in sheet.rows}["aspp"]
    assert row["DSC S paper"] == "88.4 ± 1.5"
    assert row["DSC S ours"].startswith(f"{np.mean([200 * n / (10 + n) for n in FIRST]):.1f}")
    assert "DSC L4 paper" not in row
    assert row["DSC paper"] == "86.60 ± 2.19"


# what a run is


def save(path: Path, voxels: np.ndarray) -> None:
    image = sitk.GetImageFromArray(voxels.astype(np.uint8))
    image.SetSpacing(SPACING[::-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Two prediction folders and their references, two cases of one label."""
    for number in (0, 1):
        save(tmp_path / "ref" / f"case{number}.nii.gz", row_of(10))
        save(tmp_path / "a" / f"case{number}.nii.gz", row_of(6 + number))
        save(tmp_path / "b" / f"case{number}.nii.gz", row_of(8 + number))
    for name in ("a", "b"):
        (tmp_path / name / "dataset.json").write_text('{"labels": {"background": 0, "sacrum": 1}}')
    return tmp_path


def test_scores_come_back_as_they_were_written(files: Path) -> None:
    evaluate(files / "a", files / "ref", output=files / "a.json", pixels=True)
    evaluate(files / "b", files / "ref", output=files / "b.json", pixels=True)
    loaded = load([str(files / "a.json"), f"other={files / 'b.json'}"], Options())
    assert [one.name for one in loaded] == ["a", "other"]
    assert loaded[0].scores.to_json() == (files / "a.json").read_text()


def test_a_prediction_folder_has_its_scores_or_a_reference(files: Path) -> None:
    with pytest.raises(UserError, match="holds no scores file and no trained model; pass --refer"):
        load([str(files / "a")], Options())
    scored = load([str(files / "a")], Options(reference=files / "ref"))[0].scores
    evaluate(files / "a", files / "ref", output=files / "a" / "scores.json")
    assert load([str(files / "a")], Options())[0].scores == scored
    later = time.time() + 100
    os.utime(files / "a" / "case1.nii.gz", (later, later))
    with pytest.raises(UserError, match="is older than the predictions beside it"):
        load([str(files / "a")], Options())
    (files / "a" / "case1.nii.gz").unlink()
    with pytest.raises(UserError, match="holds other cases than its folder"):
        load([str(files / "a")], Options())


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda c: c.update(format_version=1), r"format_version is 1, known is 2; evaluate again"),
        (lambda c: c.update(format="x"), "holds no scores of nnunet-plugins evaluate"),
        (lambda c: c.pop("cases"), "is not complete"),
        (lambda c: c["cases"]["case0"]["labels"]["sacrum"].update(dice=math.nan), "holds NaN"),
    ],
)
def test_a_file_that_cannot_be_scores(files: Path, change: Any, match: str) -> None:
    out = files / "a.json"
    evaluate(files / "a", files / "ref", output=out)
    content = json.loads(out.read_text())
    change(content)
    out.write_text(json.dumps(content))
    with pytest.raises(UserError, match=match):
        load([str(out)], Options())


def test_two_runs_of_one_name(files: Path) -> None:
    evaluate(files / "a", files / "ref", output=files / "a.json")
    with pytest.raises(UserError, match="would both be called 'a'; pass NAME=RUN"):
        load([str(files / "a.json")] * 2, Options())
    with pytest.raises(UserError, match="does not exist; pass a scores"):
        load([str(files / "none")], Options())


LOG = """
2026-01-01 00:00:00: Epoch 0
2026-01-01 00:00:10: Epoch time: 10.0 s
2026-01-01 00:00:10: Epoch 1
2026-01-01 00:00:22: Epoch time: 12.0 s
"""


@pytest.fixture
def model(files: Path) -> Path:
    """nnU-Net's folder of a model, two folds of a case each, as its trainer leaves it."""
    folder = files / "nnUNetTrainer__P__2d_da"
    arch = {"network_class_name": "x.y.Net", "arch_kwargs": {}, "_kw_requires_import": []}
    base = {"batch_size": 2, "patch_size": [4, 24], "spacing": [0.5, 0.8], "architecture": arch}
    configurations = {"2d": base, "2d_da": {"inherits_from": "2d"}}
    plans = {"dataset_name": "Dataset001_X", "plans_name": "P", "configurations": configurations}
    for number in (0, 1):
        fold = folder / f"fold_{number}"
        save(fold / "validation" / f"case{number}.nii.gz", row_of(6 + number))
        (fold / "training_log_2026_1_1_00_00_00.txt").write_text(
            LOG + "2026-01-01 00:00:23: Training done.\n"
        )
        debug = {"num_epochs": "2", "num_iterations_per_epoch": "9", "device": "cuda:0"}
        (fold / "debug.json").write_text(json.dumps(debug | {"num_val_iterations_per_epoch": "2"}))
    (folder / "plans.json").write_text(json.dumps(plans))
    labels = {"labels": {"background": 0, "sacrum": 1}, "channel_names": {"0": "CT"}}
    (folder / "dataset.json").write_text(json.dumps(labels | {"file_ending": ".nii.gz"}))
    return folder


def test_a_model_is_scored_on_its_folds_validation(
    files: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = files / "nnUNet_raw"
    (raw / "Dataset001_X").mkdir(parents=True)
    (files / "ref").rename(raw / "Dataset001_X" / "labelsTr")
    monkeypatch.setenv("nnUNet_raw", str(raw))
    monkeypatch.delenv("nnUNet_preprocessed", raising=False)
    (one,) = load([str(model)], Options())
    dice = [case.labels["sacrum"].dice for case in one.scores.cases]
    assert dice == pytest.approx([12 / 16, 14 / 17])
    assert one.configuration == "2d_da"
    facts = one.facts
    assert (facts["epochs"], facts["iterations_per_epoch"], facts["batch_size"]) == (2, 9, 2)
    assert facts["seconds_a_step"] == pytest.approx(11 / 11)
    assert facts["training_hours"] == pytest.approx(44 / 3600)
    assert facts["splits"] == {"fold_0": ["case0"], "fold_1": ["case1"]}
    assert facts["finished"] is True
    (half,) = load([str(model)], Options(folds=["1"]))
    assert [case.name for case in half.scores.cases] == ["case1"]
    with pytest.raises(UserError, match=r"no fold_7; there are: 0, 1"):
        find_folds(model, ["7"])


def test_without_references_nnunets_summary_gives_the_overlaps(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("nnUNet_raw", "nnUNet_preprocessed"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UserError, match=r"fold_0 has no validation/summary\.json; .*--reference"):
        load([str(model)], Options())
    for number in (0, 1):
        counts = {"TP": 6 + number, "FP": 0, "FN": 4 - number, "TN": 278}
        entry = {"prediction_file": f"/x/case{number}.nii.gz", "metrics": {"1": counts}}
        target = model / f"fold_{number}" / "validation" / "summary.json"
        target.write_text(json.dumps({"metric_per_case": [entry]}))
    (one,) = load([str(model)], Options())
    assert [c.labels["sacrum"].dice for c in one.scores.cases] == pytest.approx([12 / 16, 14 / 17])
    assert "hd95_mm" not in one.scores.metrics
    assert "overlaps only" in one.notes[0]


def test_a_case_in_two_folds_is_refused(files: Path, model: Path) -> None:
    save(model / "fold_1" / "validation" / "case0.nii.gz", row_of(6))
    with pytest.raises(UserError, match="case case0 is in two folds; name one of them by --fold"):
        load([str(model)], Options(reference=files / "ref"))


def test_logs_of_a_continued_and_of_a_repeated_training(tmp_path: Path) -> None:
    (tmp_path / "training_log_1.txt").write_text(LOG)
    assert read_logs(tmp_path) == {"seconds": [10.0, 12.0], "finished": False, "peak": 0.0}
    again = LOG.replace("Epoch 0", "Epoch 2").replace("Epoch 1", "Epoch 3") + "x: Training done.\n"
    (tmp_path / "training_log_2.txt").write_text(again)
    found = read_logs(tmp_path)
    assert (found["seconds"], found["finished"]) == ([10.0, 12.0, 10.0, 12.0], True)
    (tmp_path / "training_log_3.txt").write_text(LOG)
    assert read_logs(tmp_path) == {"seconds": [10.0, 12.0], "finished": False, "peak": 0.0}


def test_peak_memory_is_the_largest_folds(model: Path) -> None:
    for fold, peak in (("fold_0", "7.42"), ("fold_1", "7.98")):
        (model / fold / "training_log_2026_1_1_00_00_00.txt").write_text(
            LOG + f"2026-01-01 00:00:00.0: peak memory allocated: {peak} GiB\n"
        )
    assert facts_of_model(model, find_folds(model, None))["peak_memory_gib"] == 7.98


def test_an_unfinished_training_is_unfair_and_said(model: Path) -> None:
    (model / "fold_1" / "training_log_2026_1_1_00_00_00.txt").write_text(LOG)
    assert facts_of_model(model, find_folds(model, None))["finished"] is False


# the command


def test_the_command_writes_every_format(files: Path, capsys: pytest.CaptureFixture) -> None:
    names = [str(files / "a"), str(files / "b")]
    given = ["compare", *names, "--reference", str(files / "ref"), "-j", "1"]
    for ending, first in ((".md", "## Dice"), (".tex", "% "), (".csv", "metric,label")):
        out = files / f"out{ending}"
        assert main([*given, "-o", str(out)]) == 0
        assert out.read_text().startswith(first)
        shown = capsys.readouterr().out
        assert re.search(r"sacrum +a +2", shown)
        assert max(map(len, shown.splitlines()[:-1])) <= 100
    assert main([*given, "-o", str(files / "out.json")]) == 2
    assert "allowed endings are .md, .tex, .csv" in capsys.readouterr().err


def test_the_command_lays_out_a_table_and_can_be_strict(
    files: Path, model: Path, capsys: pytest.CaptureFixture
) -> None:
    reference = ["--reference", str(files / "ref"), "-j", "1"]
    assert main(["compare", f"unet={files / 'a'}", "--table", "001.4", *reference]) == 0
    assert "001.4: modules of MAG-UNet (paper 001, Table 4)" in capsys.readouterr().out
    assert main(["compare", str(files / "a"), *reference]) == 2
    assert "at least two runs are needed" in capsys.readouterr().err
    other = model.with_name("nnUNetTrainer__P__2d")
    model.rename(other)
    copy = model.with_name("nnUNetTrainer__P__2d_da")
    import shutil

    shutil.copytree(other, copy)
    plans = json.loads((copy / "plans.json").read_text())
    plans["configurations"]["2d_da"]["patch_size"] = [4, 12]
    (copy / "plans.json").write_text(json.dumps(plans))
    assert main(["compare", str(other), str(copy), *reference]) == 0
    assert "NOT A FAIR COMPARISON: 2d_da against 2d: patch size 4 x 12" in capsys.readouterr().out
    assert main(["compare", str(other), str(copy), *reference, "--strict"]) == 2
    assert "NOT A FAIR COMPARISON" in capsys.readouterr().err


def test_real_label_maps_against_each_other(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """TotalSegmentator's map of a pelvis CT against a copy with its left hip one voxel off."""
    source = shared_data / "ct_pelvis" / "example_seg_fast_force_split.nii.gz"
    if not source.exists():
        pytest.skip("the real CT is not here")
    image = sitk.ReadImage(str(source))
    voxels = sitk.GetArrayFromImage(image)
    for name, moved in (("same", voxels), ("moved", np.roll(voxels, 1, axis=2))):
        (tmp_path / name).mkdir()
        copy = sitk.GetImageFromArray(np.where(moved == 77, 77, np.where(voxels == 77, 0, voxels)))
        copy.CopyInformation(image)
        sitk.WriteImage(copy, str(tmp_path / name / source.name))
    reference = tmp_path / "ref"
    reference.mkdir()
    (reference / source.name).write_bytes(source.read_bytes())
    labels = {f"label {value}": int(value) for value in np.unique(voxels) if value}
    for folder in ("same", "moved"):
        content = {"labels": {"background": 0, **labels}}
        (tmp_path / folder / "dataset.json").write_text(json.dumps(content))
    command = ["compare", str(tmp_path / "same"), str(tmp_path / "moved"), "--reference"]
    assert main([*command, str(reference), "--metrics", "hd_mm", "dice", "-j", "1"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"label 77 +same +1 +0\.00 ", shown)
    assert re.search(r"moved +1 +3\.00 ", shown)  # a voxel is 3 mm
