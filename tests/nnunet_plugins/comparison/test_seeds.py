"""Trainings that differ in their seed are one row: means, spread and tests by hand, and what is refused."""

from __future__ import annotations

import csv
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nnunet_plugins.comparison.as_json import comparison_json
from nnunet_plugins.comparison.compare import Comparison, compare
from nnunet_plugins.comparison.paper import paper_sheet
from nnunet_plugins.comparison.plan_diff import compare as plan_diff
from nnunet_plugins.comparison.plan_diff import read_source
from nnunet_plugins.comparison.runs import Options, Run, load
from nnunet_plugins.comparison.table_formats import comparison_csv, latex, markdown, text
from nnunet_plugins.comparison.tables import legend, notes_of, sheets_of, warnings_of
from nnunet_plugins.errors import UserError
from nnunet_plugins.papers.library import find_table

from .compared import BETTER, FIRST, lines, run
from .model_folders import change_debug, references, write_model

TEN = [10] * 4


def trained(name: str, seed: int, sacrum: list[int], **facts: Any) -> Run:
    """One training: of the ten voxels of each label, 6 give a Dice of 0.75 and 10 one of 1."""
    return replace(run(name, sacrum, [10] * len(sacrum), **facts), seed=seed, recipe=name)


def two_rows() -> Comparison:
    runs = [
        trained("a", 1, [6, 6, 6, 6]),
        trained("b", 1, [10, 10, 10, 6]),
        trained("a", 2, TEN),
        trained("b", 2, TEN),
    ]
    return compare(runs, ["dice"])


def test_means_spread_and_test_by_hand() -> None:
    found = two_rows()
    assert [one.name for one in found.runs] == ["a", "b"]
    a, b = lines(found, "sacrum").values()
    # Cases of a: (0.75 + 1) / 2 each. Its trainings: 0.75 and 1.
    assert (a.n, a.trainings, a.mean, a.sd) == (4, 2, 0.875, 0.0)
    assert a.sd_of_trainings == pytest.approx(0.25 / math.sqrt(2))
    # Cases of b: 1, 1, 1 and 0.875. Its trainings: 0.9375 and 1.
    assert b.mean == pytest.approx(0.96875)
    assert b.sd == pytest.approx(0.0625)
    assert b.sd_of_trainings == pytest.approx(0.0625 / math.sqrt(2))
    # Three cases are better by 0.125 and one is equal: p = 2 / 2^3.
    assert (b.against.wins, b.against.ties, b.against.losses) == (3, 1, 0)
    assert b.against.p == 0.25
    assert b.gain == pytest.approx(0.09375)
    assert b.spread == pytest.approx(math.sqrt(0.03125 + 0.001953125))
    assert b.within_spread
    assert not a.within_spread


def test_a_gain_above_the_spread_is_not_marked() -> None:
    runs = [trained("a", 1, [6, 6, 6, 7]), trained("a", 2, [6, 6, 6, 6]), trained("b", 1, TEN)]
    b = lines(compare(runs, ["dice"]), "sacrum")["b"]
    sd = (2 * 7 / 17 - 0.75) / 4 / math.sqrt(2)
    assert b.sd_of_trainings is None
    assert b.spread == pytest.approx(math.sqrt(2) * sd)  # b is taken to vary like a
    assert not b.within_spread


def test_one_training_each_has_no_spread() -> None:
    found = compare([run("a", FIRST, FIRST), run("b", BETTER, FIRST)], ["dice"])
    b = lines(found, "sacrum")["b"]
    assert (b.trainings, b.spread, b.within_spread) == (1, None, False)
    assert "SD of seeds" not in sheets_of(found)[0].head


def test_a_case_that_one_training_missed_is_lost() -> None:
    runs = [trained("a", 1, TEN), trained("a", 2, [10, 10, 10, 0]), trained("b", 1, [9] * 4)]
    found = lines(compare(runs, ["hd95_mm"]), "sacrum")
    assert (found["a"].n, found["a"].lost) == (3, 1)
    assert (found["b"].against.wins, found["b"].against.losses) == (1, 3)


def test_errors_of_opposite_sign_do_not_cancel_in_the_test() -> None:
    runs = [trained("a", 1, [8] * 4), trained("a", 2, [12] * 4), trained("b", 1, [9] * 4)]
    found = lines(compare(runs, ["volume_error"]), "sacrum")
    assert found["a"].mean == pytest.approx(0.0)
    assert found["b"].against.wins == 4  # 0.1 against 0.2 and 0.2
    assert found["b"].gain == pytest.approx(0.1)


def test_a_training_with_fewer_cases_counts_where_it_has_them() -> None:
    runs = [trained("a", 1, [6, 6, 6, 6]), trained("a", 2, [10, 10]), trained("b", 1, TEN)]
    found = compare(runs, ["dice"])
    a = lines(found, "sacrum")["a"]
    assert (a.n, a.mean) == (4, (0.875 + 0.875 + 0.75 + 0.75) / 4)
    assert a.sd_of_trainings == pytest.approx(0.25 / math.sqrt(2))
    assert any("a: its 2 trainings have 4, 2 cases" in note for note in found.notes)


def test_every_format_has_the_spread_and_the_mark() -> None:
    found = two_rows()
    sheet = sheets_of(found)[0]
    rows = [dict(zip(sheet.head, row, strict=True)) for row in sheet.rows]
    b = next(row for row in rows if row["run"] == "b" and row["SD of seeds"].startswith("0.0442"))
    assert b["SD of seeds"] == "0.0442 (2)"
    assert b["p"].endswith(" †")
    assert any(
        "† the mean difference" in n and "b, sacrum: 0.0938 against 0.1822" in n
        for n in sheet.notes
    )
    assert any("SD of seeds: between the trainings" in line for line in legend(found))
    for form in (text, markdown, latex):
        assert "0.0442 (2)" in form(sheets_of(found), [], [])
    (line,) = (
        one
        for one in csv.DictReader(comparison_csv(found).splitlines())
        if (one["run"], one["label"]) == ("b", "sacrum")
    )
    assert (line["trainings"], line["within_spread"]) == ("2", "True")
    assert float(line["spread"]) == pytest.approx(math.sqrt(0.03125 + 0.001953125))
    content = json.loads(comparison_json(found))
    entry = next(
        one
        for one in content["metrics"]["dice"]["lines"]
        if (one["run"], one["label"]) == ("b", "sacrum")
    )
    assert entry["within_spread"] is True
    assert entry["sd_of_trainings"] == pytest.approx(0.0625 / math.sqrt(2))


def test_a_papers_table_has_means_over_trainings() -> None:
    table = find_table("silveira2025-inception-dual.6")
    runs = [
        replace(one, configuration="2d_proposed")
        for one in (trained("x", 1, FIRST), trained("x", 2, BETTER))
    ]
    sheet = paper_sheet(table, compare(runs, ["dice"]).runs)
    row = {one[0]: one for one in sheet.rows}
    cells = dict(zip(sheet.head, row["proposed"], strict=True))
    hits, pixels = sum(FIRST) + sum(BETTER), 10 * 2 * len(FIRST)
    # Pooled over both trainings: the sacrum, the hip (all found), and the background.
    expected = (hits / pixels + 1 + 200 / (200 + 8)) / 3
    assert float(next(v for k, v in cells.items() if k.startswith("mIoU ours"))) == pytest.approx(
        expected, abs=1e-4
    )


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (trained("a", 1, [7] * 4), "called 'a' have the same seed"),
        (replace(trained("a", 2, [7] * 4), recipe="other"), "differ in more than the seed"),
    ],
)
def test_runs_of_one_name_that_do_not_belong_together_are_refused(
    second: Run, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        compare([trained("a", 1, TEN), second, trained("b", 1, TEN)], ["dice"])


def test_the_same_scores_twice_are_refused() -> None:
    with pytest.raises(UserError, match="called 'a' have the same scores"):
        compare([run("a", FIRST, FIRST), run("a", FIRST, FIRST)], ["dice"])


def test_an_unlike_training_marks_its_row() -> None:
    facts = {"epochs": 3, "network": "X"}
    runs = [
        trained("a", 1, [6] * 4, **facts),
        trained("a", 2, [7] * 4, **facts | {"epochs": 2}),
        trained("b", 1, TEN, **facts),
    ]
    warnings = warnings_of(compare(runs, ["dice"]))
    assert warnings == [
        "NOT A FAIR COMPARISON: trainings of a against a: epochs 2 against 3 (another training budget)"
    ]


# model folders


def model(folder: Path, network: str, seed: int | None, voxels: int) -> Path:
    """A fold of one row; its configuration states the seed."""
    name = "2d" if seed is None else f"2d_seed{seed}"
    made = write_model(
        folder / f"{network}Trainer__P__{name}", {"0": {"case0": voxels, "case1": 6}}
    )
    plans = json.loads((made / "plans.json").read_text())
    base = plans["configurations"]["2d"]
    base["architecture"]["network_class_name"] = f"nnunet_plugins.networks.{network}"
    base["training"] = {"epochs": 2}
    if seed is not None:
        plans["configurations"][name] = {
            "inherits_from": "2d",
            "training": {"epochs": 2, "seed": seed},
        }
    (made / "plans.json").write_text(json.dumps(plans))
    return made


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(reference=references(tmp_path / "ref", "case0", "case1"))


def test_model_folders_of_several_seeds_are_grouped(tmp_path: Path, options: Options) -> None:
    folders = [model(tmp_path, n, s, 5 + s) for n in ("UNet", "SegNet") for s in (1, 2)]
    runs = load([str(folder) for folder in folders], options)
    assert [one.name for one in runs] == ["UNetTrainer 2d"] * 2 + ["SegNetTrainer 2d"] * 2
    assert [one.seed for one in runs] == [1, 2, 1, 2]
    assert {one.configuration for one in runs} == {"2d"}
    found = compare(runs, ["dice"])
    assert [len(one.trainings) for one in found.runs] == [2, 2]
    assert warnings_of(found) == []
    assert "seed" not in " ".join(notes_of(found))
    named = load([f"x={folders[0]}", f"x={folders[1]}", f"y={folders[2]}"], options)
    assert [one.name for one in named] == ["x", "x", "y"]
    apart = load([f"x={folders[0]}", f"y={folders[1]}"], options)
    assert [one.name for one in compare(apart, ["dice"]).runs] == ["x", "y"]


def test_other_trainings_are_not_grouped(tmp_path: Path, options: Options) -> None:
    one, other = model(tmp_path, "UNet", 1, 6), model(tmp_path, "UNet", 2, 7)
    plans = json.loads((other / "plans.json").read_text())
    plans["configurations"]["2d"]["architecture"]["arch_kwargs"] = {"skip": "se"}
    (other / "plans.json").write_text(json.dumps(plans))
    assert [r.name for r in load([str(one), str(other)], options)] == ["2d_seed1", "2d_seed2"]
    with pytest.raises(UserError, match="called 'x' differ in more than the seed"):
        compare(load([f"x={one}", f"x={other}"], options))
    unseeded = model(tmp_path, "UNet", None, 8)
    shutil.rmtree(other)
    assert [r.name for r in load([str(one), str(unseeded)], options)] == ["2d_seed1", "2d"]


def test_an_unfinished_training_of_a_row_is_marked(tmp_path: Path, options: Options) -> None:
    folders = [model(tmp_path, "UNet", seed, 6 + seed) for seed in (1, 2)]
    change_debug(folders[1] / "fold_0", num_epochs="3")
    found = compare(load([str(one) for one in folders], options), ["dice"])
    assert any("trainings of" in warning and "epochs" in warning for warning in warnings_of(found))


def test_plan_diff_does_not_report_the_seed(tmp_path: Path) -> None:
    first, other = (read_source(str(model(tmp_path, "UNet", seed, 6))) for seed in (1, 2))
    (diff,) = plan_diff(first, other)
    assert diff.same
    assert diff.fair
