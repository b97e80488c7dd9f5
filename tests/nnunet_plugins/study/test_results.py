"""Tables and report of a study whose scores can be computed by hand."""

from __future__ import annotations

import json
import re
import statistics
from xml.etree import ElementTree

import pytest

from nnunet_plugins.comparison.case_values import MEAN
from nnunet_plugins.comparison.compare import compare
from nnunet_plugins.study.costs import cost_table, training_table
from nnunet_plugins.study.folder import Study
from nnunet_plugins.study.forest import forest, gains_of
from nnunet_plugins.study.results import runs_of, write_results
from tests.nnunet_plugins.study.finished_study import CASES, MISSED, ROWS, make

pytest.importorskip("yaml")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("nnUNet_raw", str(root / "raw"))
        yield make(root)


def dice(missed, case):
    """Of the bone: 288 voxels, of which some are missed and none is added."""
    found = 288 - missed - case % 6
    return 2 * found / (found + 288)


def test_runs_are_rows_with_their_seeds_cases_folds_and_patients(study):
    runs = runs_of(study, "validation")
    assert [(run.name, run.seed) for run in runs] == [
        ("nnUNetPlain", 0),
        ("MAGUNet", 0),
        ("MAGUNet", 1),
        ("SEUNet", 0),
    ]
    for run in runs:
        assert len(run.scores.cases) == CASES
        assert len({case.patient for case in run.scores.cases}) == 6
        # Patients are numbered over all folds, not within each.
        assert [case.patient for case in run.scores.cases] == [1 + i // 2 for i in range(CASES)]
        assert run.folds["case05"] == "fold_0"
        assert run.folds["case06"] == "fold_1"
    assert runs_of(study, "test") == []


def test_the_gain_is_the_mean_paired_difference_over_the_seeds(study):
    found = compare(runs_of(study, "validation"), ["dice"])
    mag, se = gains_of(found, "dice", "bone")
    each = [
        statistics.fmean(dice(MISSED["MAGUNet", seed], case) for seed in (0, 1))
        - dice(MISSED["nnUNetPlain", 0], case)
        for case in range(CASES)
    ]
    assert mag.mean == pytest.approx(statistics.fmean(each))
    assert mag.ci[0] < mag.mean < mag.ci[1]
    # The mean of labels halves it, as the disc is the same in all rows.
    assert gains_of(found, "dice", MEAN)[0].mean == pytest.approx(mag.mean / 2)
    assert mag.line.spread is not None
    assert not mag.survives  # p of six patients cannot be significant after Holm
    assert se.mean == pytest.approx(
        statistics.fmean(dice(22, case) - dice(24, case) for case in range(CASES))
    )


def test_a_point_is_filled_only_if_it_survives_holm_and_the_seeds(study):
    from dataclasses import replace

    found = compare(runs_of(study, "validation"), ["dice"])
    mag = gains_of(found, "dice", MEAN)[0]
    significant = replace(mag, line=replace(mag.line, p=0.01))
    small = replace(mag, line=replace(mag.line, p=0.01, spread=1.0))
    assert significant.survives
    assert not small.survives
    hollow, filled = (forest([one], "dice", "nnUNetPlain") for one in (small, significant))
    assert "fill: #ffffff" in hollow
    assert "fill: #ffffff" not in filled
    assert forest([replace(mag, mean=None)], "dice", "x") is None


def test_costs_are_those_of_the_records(study):
    head, rows = cost_table(study)
    assert dict(zip(head, rows[1], strict=True)) == {
        "row": "MAGUNet",
        "trainings": "4",
        "parameters": "1,234,574",
        "s/epoch": "12",
        "GPU hours": "6.00",  # four times 1 h, and 0.5 h of an earlier attempt
        "GPU memory": "2.50 GiB",
        "main memory": "3.5 GB",
    }
    _, trainings = training_table(study)
    assert len(trainings) == 8
    assert trainings[0][:3] == ["nnUNetPlain_seed0_fold0", "node1", "Some GPU, 550.1, 8192 MiB"]


def test_tables_and_report_are_written_and_the_page_loads_nothing(study):
    written = write_results(study)
    assert written["report"] == "report.html"
    for name in written["tables"]:
        assert (study.folder / name).stat().st_size
    content = json.loads((study.folder / "tables" / "validation.json").read_text())
    assert "MAGUNet" in json.dumps(content)
    page = (study.folder / "report.html").read_text()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    for text in (*ROWS, "SD of seeds", "6.00", "12 of 6 patients", "bone"):
        assert text in page
    assert page.count('src="data:image/') == 2  # curves and panels
    figures = {file.name for file in (study.folder / "figures").iterdir()}
    forests = {"validation_dice.svg", "validation_hd95_mm.svg"}
    assert figures == {"loss.svg", "validation_cases.png", *forests}
    drawn = ElementTree.parse(study.folder / "figures" / "validation_dice.svg")
    assert drawn.getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_rows_of_a_paper_get_its_table_and_others_are_left_out_of_it(study):
    file = study.folder / "study.yaml"
    text = file.read_text()
    table = 'table: "yan2025-mag-unet.1"\n'
    try:
        file.write_text(table + text)
        write_results(Study.read(study.folder))
        assert "Table 1" not in (study.folder / "tables" / "validation.md").read_text()
    finally:
        file.write_text(text)
