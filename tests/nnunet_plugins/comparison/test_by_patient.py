"""`compare` with patients: tables, CSV and JSON state how numbers were computed."""

import csv
import json
from dataclasses import replace

import pytest

from nnunet_plugins.comparison.as_json import comparison_json
from nnunet_plugins.comparison.compare import compare
from nnunet_plugins.comparison.runs import Options, load
from nnunet_plugins.comparison.statistics import interval, median_interval, paired
from nnunet_plugins.comparison.table_formats import comparison_csv, text
from nnunet_plugins.comparison.tables import legend, sheets_of
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.patients import with_patients

from .compared import BETTER, FIRST, lines, run

PATIENTS = {f"case{number}": number % 6 for number in range(14)}


def runs(patients=PATIENTS, other=PATIENTS):
    first, better = [*FIRST, *FIRST], [*BETTER, *BETTER]
    found = run("a", first, first), run("b", better, first)
    return [
        replace(one, scores=with_patients(one.scores, groups))
        for one, groups in zip(found, (patients, other), strict=True)
    ]


def dice(hits):
    return 2 * hits / (10 + hits)


def test_intervals_and_tests_are_by_patient():
    found = compare(runs(), ["dice"])
    assert found.by_patient
    b = lines(found, "sacrum")["b"]
    gains = [dice(y) - dice(x) for x, y in zip(FIRST * 2, BETTER * 2, strict=True)]
    assert b.against == paired(gains, list(PATIENTS.values()))
    assert (b.n, b.patients, b.against.n) == (14, 6, 6)
    assert b.ci == interval([dice(x) for x in BETTER * 2], list(PATIENTS.values()))
    assert b.median_ci == median_interval([dice(x) for x in BETTER * 2], list(PATIENTS.values()))
    assert b.mean == pytest.approx(sum(map(dice, BETTER)) / 7)  # over cases, as without patients
    shown = text(sheets_of(found), [], legend(found))
    assert "14 (6)" in shown
    assert "By patient (6 patients, 14 cases)" in shown
    assert "* fewer than 10 patients" in shown


@pytest.mark.parametrize(
    "patients", [{}, {f"case{n}": n for n in range(14)}], ids=["unknown", "one case each"]
)
def test_one_case_per_patient_is_as_without_patients(patients):
    found, plain = compare(runs(patients, patients), ["dice"]), compare(runs({}, {}), ["dice"])
    assert not found.by_patient
    assert found.tables == plain.tables
    assert "patient" not in text(sheets_of(found), [], legend(found))


def test_one_run_that_knows_the_patients_is_enough_and_two_must_agree():
    assert compare(runs(PATIENTS, {}), ["dice"]).by_patient
    assert compare(runs({}, PATIENTS), ["dice"]).by_patient
    with pytest.raises(UserError, match=r"a, b have different patients .* pass --groups"):
        compare(runs(PATIENTS, PATIENTS | {"case13": 99}), ["dice"])


def test_a_table_groups_scores_that_do_not_know_the_patients(tmp_path):
    for one in runs({}, {}):
        one.scores.write(tmp_path / f"{one.name}.json")
    rows = [f"{case},Patient {number}" for case, number in PATIENTS.items()]
    (tmp_path / "g.csv").write_text("\n".join(["case,patient", *rows]))
    files = [str(tmp_path / f"{name}.json") for name in "ab"]
    found = compare(load(files, Options(groups=tmp_path / "g.csv")), ["dice"])
    assert found.tables == compare(runs(), ["dice"]).tables


@pytest.mark.parametrize(("cases", "few"), [(9, True), (10, False)])
def test_intervals_of_fewer_than_ten_are_marked(cases, few):
    hits = (FIRST * 2)[:cases]
    found = compare([run("a", hits, hits), run("b", hits, hits)], ["dice"])
    assert {line.few for line in found.tables[0].lines} == {few}
    shown = text(sheets_of(found), [], [])
    assert (" *  " in shown) == ("* fewer than 10 cases: the interval is too short" in shown) == few
    rows = list(csv.DictReader(comparison_csv(found).splitlines()))
    assert {row["ci_of_few"] for row in rows} == {str(few)}


def test_too_many_ties_are_noted():
    first = [*range(1, 11)] * 2
    found = compare([run("a", first, first), run("b", [2, 3, *first[2:]], first)], ["dice"])
    assert lines(found, "sacrum")["b"].against.least_p == 0.5
    (note,) = (note for note in found.notes if note.startswith("too few cases"))
    assert "n = 20, of which 2 differ, gives p = 0.5 at best" in note
    assert note.endswith("(Dice, mean of labels, b); the same holds for 1 more of the tests")


def test_the_legend_states_how_p_was_computed():
    (note,) = [one for one in legend(compare(runs({}, {}), ["dice"])) if "Wilcoxon" in one]
    assert "two-sided, exact, with Holm's correction" in note
    many = [*range(1, 11)] * 21
    found = compare([run("a", many, many), run("b", [n % 10 + 1 for n in many], many)], ["dice"])
    (note,) = [one for one in legend(found) if "Wilcoxon" in one]
    assert "by the normal approximation where more than 200 pairs differ, else exact" in note
    methods = {row["p_method"] for row in csv.DictReader(comparison_csv(found).splitlines())}
    assert methods == {"", "exact", "normal approximation"}


def test_the_json_has_every_number_and_its_method(tmp_path):
    found = compare(runs(), ["dice", "hd95_mm"])
    content = json.loads(comparison_json(found))
    assert (content["cases"], content["patients"], content["by_patient"]) == (14, 6, True)
    lines_found = content["metrics"]["dice"]["lines"]
    (b,) = [one for one in lines_found if (one["label"], one["run"]) == ("sacrum", "b")]
    line = lines(found, "sacrum")["b"]
    assert b["ci"] == list(line.ci)
    assert b["median_ci"] == list(line.median_ci)
    assert b["against_first"]["method"] == "exact"
    assert (b["against_first"]["p"], b["p_holm"]) == (line.against.p, line.p)
    assert b["ci_of_few"] is True
    volumes = content["volumes"]["b"]["sacrum"]
    assert (volumes["n"], volumes["patients"]) == (14, 6)
    assert volumes["low"] < volumes["bias"] < volumes["high"]
    assert comparison_json(found) == comparison_json(compare(runs(), ["dice", "hd95_mm"]))
    assert json.loads(comparison_json(compare(runs({}, {}), ["dice"])))["patients"] is None
