"""`compare`: which cases count, what is rejected or marked, and the output formats."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nnunet_plugins.comparison.case_values import MEAN
from nnunet_plugins.comparison.compare import compare
from nnunet_plugins.comparison.table_formats import comparison_csv, latex, markdown, text
from nnunet_plugins.comparison.tables import notes_of, sheets_of, warnings_of
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.evaluation.metrics import compare as score

from .compared import BETTER, FIRST, SPACING, lines, row_of, run


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
    # Volumes are 10 - n voxels too small: a larger number is closer to 0 and better.
    assert lines(found, "sacrum", 1)["b"].against.wins == 7


def test_a_missed_label_has_no_distance_and_the_worst_rank() -> None:
    found = compare([run("a", FIRST, FIRST), run("b", [*BETTER[:6], 0], FIRST)], ["hd95_mm"])
    b = lines(found, "sacrum")["b"]
    assert (b.n, b.lost) == (6, 1)
    assert (b.against.n, b.against.wins, b.against.losses) == (7, 6, 1)
    # Ranks 1 to 6 are gains, 7 is the miss.
    assert b.against.effect == pytest.approx((21 - 7) / 28)
    mean = lines(found, MEAN)["b"]
    assert (mean.n, mean.lost) == (6, 1)  # not a mean over those labels that have a value
    assert "b, sacrum: 1" in sheets_of(found)[0].notes[0]


def test_a_mean_gain_is_of_cases_with_a_value_in_both_runs() -> None:
    missed = [run(name, found, FIRST[:3]) for name, found in (("a", [6, 7, 0]), ("b", [8, 9, 0]))]
    b = lines(compare(missed, ["hd_mm"]), "sacrum")["b"]
    assert b.gain == pytest.approx(2 * SPACING[2])
    assert (b.against.n, b.against.ties) == (3, 1)


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
    # Recall does not exist there.
    of_recall = lines(compare([a, b], ["recall"]), "hip")["b"]
    assert (of_recall.against.n, of_recall.lost) == (6, 0)
    # Both runs average the labels that the reference holds.
    assert lines(found, MEAN)["b"].against.ties == 7


def test_ties_and_a_single_case_give_no_warning(recwarn: Any) -> None:
    found = compare([run("a", FIRST, FIRST), run("b", FIRST, FIRST)], ["dice"])
    b = lines(found, "sacrum")["b"]
    assert (b.against.ties, b.against.effect, b.p) == (7, 0.0, 1.0)
    alone = compare([run("a", [5], [5]), run("b", [6], [6])], ["dice"])
    one = lines(alone, "sacrum")["b"]
    assert (one.sd, one.ci, one.p) == (None, None, 1.0)
    assert "cannot be significant" in " ".join(alone.notes)
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning | UserWarning)]


@pytest.mark.parametrize(("cases", "noted"), [(5, True), (9, False)])
def test_too_few_cases_are_noted(cases: int, noted: bool) -> None:
    values = list(range(1, cases + 1))
    found = compare([run("a", values, values), run("b", values, values)], ["dice"])
    assert ("cannot be significant" in " ".join(found.notes)) == noted


def test_different_cases_are_rejected_or_listed() -> None:
    a, b = run("a", FIRST, FIRST), run("b", FIRST[:5], FIRST[:5])
    with pytest.raises(UserError, match=r"b lacks 2 of 7 cases: case5, case6; .*--common"):
        compare([a, b])
    found = compare([a, b], ["dice"], common=True)
    assert {line.n for line in found.tables[0].lines} == {5}
    assert "only the 5 cases that all runs have: b lacks 2 of 7 cases: case5, case6" in found.notes
    other = replace(b.scores, cases=tuple(replace(c, name="x" + c.name) for c in b.scores.cases))
    with pytest.raises(UserError, match="no case is in all runs"):
        compare([a, replace(b, scores=other)], common=True)


def test_different_labels_references_and_tolerances_are_rejected() -> None:
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
    with pytest.raises(UserError, match="NSD was measured at 1 mm, 2 mm"):
        compare([a, near], ["nsd"])
    assert compare([a, near], ["dice"]).tables


def test_unknown_and_unmeasured_metrics_are_rejected() -> None:
    runs = [run("a", FIRST, FIRST), run("b", FIRST, FIRST)]
    with pytest.raises(UserError, match=r"--metrics jaccard: .*known: dice, iou"):
        compare(runs, ["jaccard"])
    with pytest.raises(UserError, match=r"--metrics hd_px: not measured in a, which has"):
        compare(runs, ["hd_px"])


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


def test_equal_trainings_have_no_mark_and_their_costs_are_listed() -> None:
    a = run("a", FIRST, FIRST, **FACTS, parameters=1_234_567, training_hours=1.5, device="cuda")
    b = run("b", BETTER, FIRST, **FACTS)
    found = compare([a, b], ["dice"])
    assert warnings_of(found) == []
    cost = {row[0]: row[1:] for row in sheets_of(found)[-1].rows}
    assert cost["parameters"] == ("1,234,567", "not recorded")
    assert cost["patch"] == ("8x8", "8x8")
    assert cost["peak memory, GiB"] == ("not recorded", "not recorded")


def test_an_unknown_training_is_noted() -> None:
    found = compare([run("a", FIRST, FIRST), run("b", FIRST, FIRST)], ["dice"])
    assert any("the training of a, b is not recorded" in note for note in notes_of(found))


def test_the_csv_has_full_precision() -> None:
    found = compare([run("a", FIRST, FIRST), run("b", BETTER, FIRST)], ["dice"])
    rows = {
        (row["label"], row["run"]): row
        for row in csv.DictReader(comparison_csv(found).splitlines())
    }
    line = lines(found, "sacrum")["b"]
    assert float(rows["sacrum", "b"]["mean"]) == line.mean
    assert float(rows["sacrum", "b"]["p_holm"]) == line.p
    assert rows["sacrum", "a"]["p"] == ""


def test_latex_and_markdown_escape_names() -> None:
    a, b = run("a_1 & 50%", FIRST, FIRST), run("b|c", FIRST, FIRST)
    sheets = sheets_of(compare([a, b], ["dice"]))
    assert r"a_1 \& 50\%".replace("_", r"\_") in latex(sheets, [], [])
    table = markdown(sheets, [], [])
    assert r"b\|c" in table
    cells = {
        len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines() if line.startswith("|")
    }
    assert cells == {10}
