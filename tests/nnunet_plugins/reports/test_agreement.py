"""The report's intervals and limits of agreement."""

import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from nnunet_plugins.comparison.agreement import agreement as measured
from nnunet_plugins.comparison.runs import Options
from nnunet_plugins.evaluation.patients import with_patients
from nnunet_plugins.reports import agreement, charts
from nnunet_plugins.reports.report import PageOptions, page
from nnunet_plugins.reports.sources import read_source
from tests.nnunet_plugins.comparison.compared import BETTER, FIRST, run


def scores(patients=None):
    found = run("a", FIRST * 2, BETTER * 2).scores
    return with_patients(found, patients or {})


HALVES = {f"case{number}": number % 7 for number in range(14)}


def test_means_and_medians_have_intervals():
    head, rows = agreement.interval_table(scores())
    assert head[1:3] == ["Dice mean (95 % CI)", "Dice median (95 % CI)"]
    cells = dict(zip(head, rows[0], strict=True))
    mean, low, high = map(float, re.findall(r"\d\.\d+", cells["Dice mean (95 % CI)"]))
    assert low < mean < high
    assert cells["Dice median (95 % CI)"] == "0.824 (0.750 to 0.889)"
    assert "*" not in "".join(rows[0])
    assert "order statistics" in agreement.interval_note(scores())


def test_intervals_of_few_patients_are_marked():
    _, rows = agreement.interval_table(scores(HALVES))
    assert rows[0][1].endswith(") *")
    note = agreement.interval_note(scores(HALVES))
    assert "14 cases of 7 patients" in note
    assert "* fewer than 10 patients" in note


def test_limits_are_listed_and_drawn():
    head, rows = agreement.agreement_table(scores(HALVES))
    assert head[2] == "bias ml (95 % CI)"
    assert [row[:2] for row in rows] == [
        ["sacrum", "14 (7 patients)"],
        ["hip", "14 (7 patients)"],
    ]
    charts = agreement.agreement_charts(scores())
    assert [name for name, _ in charts] == ["volume of sacrum", "volume of hip"]
    assert all("predicted - true, ml" in svg for _, svg in charts)
    assert charts == agreement.agreement_charts(scores())


def test_the_points_and_limits_set_the_axis_of_the_differences(monkeypatch):
    monkeypatch.setattr(charts, "svg", lambda draw, *_: draw)
    volumes = [(1.0, 2.0), (2.0, 2.5), (3.0, 3.25)]
    found = measured([-1.0, -0.5, -0.25])
    axes = Figure().add_subplot()
    charts.differences(volumes, found, "sacrum")(axes)
    low, high = axes.get_ylim()
    assert found.low_ci[0] < low < found.low < -1
    assert -0.25 < found.high < high < found.high_ci[1]


def test_the_widest_limits_are_drawn(monkeypatch):
    monkeypatch.setattr(agreement, "MOST_CHARTS", 1)
    (only,) = agreement.agreement_charts(scores())
    # SD of 1.1 voxels against 0.95 of the other label, whose bias is smaller.
    assert only[0] == "volume of sacrum"
    assert "Charts: the 1 labels" in agreement.agreement_note(scores())


def test_the_page_has_them_and_takes_a_table_of_patients(model: Path, tmp_path: Path):
    groups = tmp_path / "groups.csv"
    groups.write_text("case,patient\ncase0,Anna\ncase1,Anna\ncase2,Bert\n")
    text = page(read_source(model, Options(groups=groups)), PageOptions(worst=0))
    assert "Confidence intervals" in text
    assert "Agreement of volumes" in text
    assert "3 cases of 2 patients" in text
    assert "Anna" not in text
    plain = page(read_source(model, Options()), PageOptions(worst=0))
    assert "order statistics" in plain


@pytest.mark.parametrize("hits", [[5], [None]])
def test_one_case_has_no_limits(hits):
    one = run("a", [5], hits).scores
    assert agreement.agreement_table(one)[1] == []
    assert agreement.agreement_charts(one) == []
    assert agreement.interval_table(one)[1][1][0] == "hip"
