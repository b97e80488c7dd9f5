"""A paper's table with our numbers next to the published ones."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnunet_plugins.cli import main
from nnunet_plugins.comparison.paper import match, paper_sheet
from nnunet_plugins.comparison.paper_cells import Given, read_given
from nnunet_plugins.comparison.runs import Options, Run, load
from nnunet_plugins.comparison.tables import Sheet
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation import evaluate
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.papers.library import find_table

from .compared import BETTER, FIRST, row_of, run
from .model_folders import references, save, write_model

EXTERNAL = find_table("sij-fm-25d-attention-unet.2")


def cells(sheet: Sheet, row: str) -> dict[str, str]:
    return {r[0]: dict(zip(sheet.head, r, strict=True)) for r in sheet.rows}[row]


def test_rows_are_matched_by_name_or_configuration() -> None:
    table = find_table("yan2025-mag-unet.4")
    plain, both = run("unet", FIRST, FIRST), run("x", FIRST, FIRST)
    both = replace(both, configuration="3d_fullres_da-mff")
    assert {key: one.name for key, one in match([plain, both], table).items()} == {
        "unet": "unet",
        "da-mff": "x",
    }
    with pytest.raises(UserError, match=r"y is not one of its rows; pass ROW=RUN, with ROW one of"):
        match([run("y", FIRST, FIRST)], table)
    with pytest.raises(UserError, match="are both row da-mff"):
        match([both, replace(both, name="z")], table)


def test_published_numbers_are_next_to_ours() -> None:
    ours = run("da", FIRST, FIRST, parameters=23_100_000)
    sheet = paper_sheet(find_table("yan2025-mag-unet.4"), [ours], ["da"])
    rows = {row[0]: dict(zip(sheet.head, row, strict=True)) for row in sheet.rows}
    dice = [200 * n / (10 + n) for n in FIRST]
    assert rows["da"]["run"] == "da !"
    assert rows["da"]["Dice paper"] == "91.5"
    assert rows["da"]["Dice ours (± cases)"] == f"{np.mean(dice):.1f} ± {np.std(dice, ddof=1):.1f}"
    assert (rows["da"]["Params paper"], rows["da"]["Params ours"]) == ("23.01", "23.10")
    assert (rows["mff"]["run"], rows["mff"]["Dice ours (± cases)"]) == ("not run", "-")
    assert rows["mff-lgag"]["Dice paper"] == "-"
    assert rows["da-mff-lgag"]["Dice paper"] == "92.4 †1"
    assert any(note.startswith("†1: Dice of the same network is 92.5") for note in sheet.notes)
    assert any("2 classes, background included; ours have 3" in note for note in sheet.notes)


def test_silveira2025_is_pooled_with_background() -> None:
    ours = run("proposed", FIRST, FIRST)
    sheet = paper_sheet(find_table("silveira2025-inception-dual.6"), [ours])
    row = {r[0]: dict(zip(sheet.head, r, strict=True)) for r in sheet.rows}["proposed"]
    hits, true = sum(FIRST), 10 * len(FIRST)
    label = hits / true  # IoU of either label: no false positives
    background = 200 / 208
    assert float(row["mIoU ours"]) == pytest.approx((2 * label + background) / 3, abs=1e-4)
    assert row["mIoU paper"] == "0.8974 †1,2"
    assert (row["HD px paper"], row["HD px ours (± cases)"]) == ("8.5621", "-")


def test_bones_of_cai2023_where_our_labels_have_their_names() -> None:
    labels = Labels({"S": (1,), "L5": (2,)}, None, "test")
    ours = run("aspp", FIRST, FIRST)
    cases = tuple(
        replace(case, labels=dict(zip(labels.values, case.labels.values(), strict=True)))
        for case in ours.scores.cases
    )
    ours = replace(ours, scores=replace(ours.scores, labels=labels, cases=cases))
    sheet = paper_sheet(find_table("cai2023-aspp-unet.3"), [ours])
    row = {r[0]: dict(zip(sheet.head, r, strict=True)) for r in sheet.rows}["aspp"]
    assert row["DSC S paper (± folds)"] == "88.4 ± 1.5"
    assert row["DSC S ours (± cases)"].startswith(
        f"{np.mean([200 * n / (10 + n) for n in FIRST]):.1f}"
    )
    assert not any("DSC L4" in name for name in row)
    assert row["DSC paper (± folds)"] == "86.60 ± 2.19 †3"


# external test sets, seconds, folds


def elsewhere(found: list[int]) -> Run:
    """A run on other cases than those of `run`."""
    other = run("net25d", found, found)
    renamed = tuple(replace(case, name=f"other {case.name}") for case in other.scores.cases)
    return replace(other, scores=replace(other.scores, cases=renamed))


def test_an_external_test_set_fills_its_own_columns() -> None:
    inside, outside = run("net25d", FIRST, FIRST), elsewhere(BETTER)
    sheet = paper_sheet(EXTERNAL, [inside])
    row = cells(sheet, "net25d")
    assert row["xDSC paper (± cases)"] == "85.44 ± 6.09"
    assert not any(name.startswith("x") and "ours" in name for name in row)
    assert "without ours: xDSC, xPrecision, xRecall; pass --external ROW=FILE.json" in sheet.notes
    given = Given({"net25d": outside.scores}, spread="folds")
    row = cells(paper_sheet(EXTERNAL, [inside], given=given), "net25d")
    dice = [200 * n / (10 + n) for n in BETTER]
    expected = f"{statistics.fmean(dice):.2f} ± {statistics.stdev(dice):.2f}"
    assert row["xDSC ours (± cases)"] == expected
    recall = [10.0 * n for n in BETTER]
    assert row["xRecall ours (± cases)"].startswith(f"{statistics.fmean(recall):.2f}")
    inner = statistics.fmean(200 * n / (10 + n) for n in FIRST)
    assert row["DSC ours (± folds)"].startswith(f"{inner:.2f}")


def test_an_external_test_set_has_other_cases_and_the_same_labels() -> None:
    inside = run("net25d", FIRST, FIRST)
    same = Given({"net25d": inside.scores})
    with pytest.raises(UserError, match="case0 is also a case of net25d, by its name; an external"):
        paper_sheet(EXTERNAL, [inside], given=same)
    other = elsewhere(BETTER).scores
    labels = Labels({"sacrum": (1,), "hip": (3,)}, None, "test")
    with pytest.raises(UserError, match="--external net25d: has other labels than net25d"):
        paper_sheet(EXTERNAL, [inside], given=Given({"net25d": replace(other, labels=labels)}))
    with pytest.raises(UserError, match="no run for row unetr; pass unetr=RUN"):
        paper_sheet(EXTERNAL, [inside], given=Given({"unetr": other}))


def test_a_renamed_case_is_known_by_its_reference(tmp_path: Path) -> None:
    for folder, case in (("in", "a"), ("out", "b")):
        save(tmp_path / folder / "references" / f"{case}.nii.gz", row_of(10))
        save(tmp_path / folder / "found" / f"{case}.nii.gz", row_of(8))
    inside, outside = (
        evaluate(tmp_path / folder / "found", tmp_path / folder / "references")
        for folder in ("in", "out")
    )
    with pytest.raises(UserError, match="b is also a case of net25d, by its reference"):
        paper_sheet(EXTERNAL, [Run("net25d", inside)], given=Given({"net25d": outside}))


def test_seconds_are_those_that_are_given() -> None:
    table = find_table("cai2023-aspp-unet.3")
    given = read_given(table, [], ["aspp=0.25"], "cases")
    runs = [run("aspp", FIRST, FIRST), run("segnet", FIRST, FIRST)]
    sheet = paper_sheet(table, runs, given=given)
    row = cells(sheet, "aspp")
    assert (row["s/image paper"], row["s/image ours"]) == ("0.171", "0.250")
    assert cells(sheet, "segnet")["s/image ours"] == "-"
    without = paper_sheet(table, runs)
    assert "s/image ours" not in without.head
    assert "without ours: s/image; pass --seconds ROW=S" in without.notes


@pytest.mark.parametrize(
    ("table", "external", "seconds", "message"),
    [
        ("yan2025-mag-unet.4", ["da=x.json"], [], "has no external test set; sij-fm"),
        ("yan2025-mag-unet.4", [], ["da=1"], r"has no time of an image; cai2023-aspp-unet\.3 has it"),
        ("cai2023-aspp-unet.3", [], ["aspp=-1"], "aspp=-1: pass the seconds of an image, a number above 0"),
        ("cai2023-aspp-unet.3", [], ["aspp=inf"], "a number above 0"),
        ("cai2023-aspp-unet.3", [], ["aspp=fast"], "a number above 0"),
        ("cai2023-aspp-unet.3", [], ["0.2"], "0.2: pass ROW=SECONDS, once for each row"),
        ("cai2023-aspp-unet.3", [], ["aspp=1", "aspp=2"], "aspp=2: pass ROW=SECONDS, once for each row"),
        ("cai2023-aspp-unet.3", [], ["asp=1"], "no row called 'asp'; known, the nearest first: aspp"),
        ("sij-fm-25d-attention-unet.2", ["net25d=x.json"], [], "x.json: cannot be read as JSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_given_is_named(
    table: str, external: list[str], seconds: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read_given(find_table(table), external, seconds, "cases")


def test_spread_over_folds_is_that_of_their_means() -> None:
    table, given = find_table("yan2025-mag-unet.4"), Given(spread="folds")
    folds = dict(zip(("case0", "case1", "case2", "case3"), ("f0", "f0", "f1", "f2"), strict=True))
    ours = replace(run("da", [6, 8, 10, 2], [6, 8, 10, 2]), folds=folds)
    sheet = paper_sheet(table, [ours], given=given)
    dice = [200 * n / (10 + n) for n in (6, 8, 10, 2)]
    means = [(dice[0] + dice[1]) / 2, dice[2], dice[3]]
    expected = f"{statistics.fmean(means):.1f} ± {statistics.stdev(means):.1f}"
    assert cells(sheet, "da")["Dice ours (± folds)"] == expected
    assert "then mean and standard deviation of the folds" in sheet.notes[0]
    unknown = paper_sheet(table, [replace(ours, folds={})], given=given)
    assert cells(unknown, "da")["Dice ours (± folds)"] == f"{statistics.fmean(dice):.1f}"
    assert any("folds of da are not recorded: means over cases" in one for one in unknown.notes)


def test_pooled_numbers_have_a_spread_over_folds_only() -> None:
    ours = replace(run("proposed", [6, 8], [6, 8]), folds={"case0": "fold_0", "case1": "fold_1"})
    table = find_table("silveira2025-inception-dual.6")
    over_cases = cells(paper_sheet(table, [ours]), "proposed")
    assert "±" not in over_cases["mIoU ours"]
    row = cells(paper_sheet(table, [ours], given=Given(spread="folds")), "proposed")
    # Of one case: 10 voxels of each label, 280 in all, of which 200 are true background; no false alarm elsewhere.
    folds = [(2 * n / 10 + 200 / 208) / 3 for n in (6, 8)]
    expected = f"{statistics.fmean(folds):.4f} ± {statistics.stdev(folds):.4f}"
    assert row["mIoU ours (± folds)"] == expected


def test_the_folds_of_a_model_folder_are_known(tmp_path: Path) -> None:
    model = write_model(tmp_path / "T__P__2d_da", {"0": {"a": 5, "b": 6}, "1": {"c": 9}})
    (loaded,) = load([str(model)], Options(reference=references(tmp_path / "ref", *"abc")))
    assert loaded.folds == {"a": "fold_0", "b": "fold_0", "c": "fold_1"}


def test_the_command_with_folds_seconds_and_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "T__P__2d", {"0": {"a": 5, "b": 6}, "1": {"c": 9}})
    reference = str(references(tmp_path / "ref", *"abc"))
    command = ["compare", f"aspp={model}", "--reference", reference, "-j", "1"]
    table = ["--table", "004.3", "--seconds", "aspp=0.2", "--spread", "folds"]
    pictures = ["--panels", str(tmp_path / "p.png"), "--curves", str(tmp_path / "l.svg")]
    assert main([*command, *table, *pictures, "--fold", "1"]) == 0
    shown = capsys.readouterr().out
    assert "0.200" in shown
    assert f"written: {tmp_path / 'p.png'} (c)" in shown  # the case of fold 1
    assert (tmp_path / "p.png").stat().st_size > 5000
    assert "validation" in (tmp_path / "l.svg").read_text()
    scores = str(tmp_path / "s.json")
    evaluate(model / "fold_1" / "validation", Path(reference), output=Path(scores), chill=True)
    assert main(["compare", f"aspp={scores}", *table, "--panels", "p.png"]) == 2
    assert "s.json is a file of scores; pass the folder of its pred" in capsys.readouterr().err
    assert main(["compare", f"aspp={reference}", *table, "--curves", "p.png"]) == 2
    assert "ref is not a model folder of nnU-Net, so it has no train" in capsys.readouterr().err
    assert main([*command, "--spread", "folds"]) == 2
    assert "belong to a paper's table; pass --table T" in capsys.readouterr().err
    assert main([*command, *table, "--panels", "p.jpg"]) == 2
    assert "a figure is a .png, .pdf or .svg file; pass p.png" in capsys.readouterr().err
