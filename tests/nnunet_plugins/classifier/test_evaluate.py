"""Measures of predictions that are made by hand: by patient, at the fixed threshold, and what is refused."""

import contextlib
import json
import re
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings

from nnunet_plugins.classifier.checklist import filled
from nnunet_plugins.classifier.measures import evaluate
from nnunet_plugins.classifier.paired import compare, read_readers
from nnunet_plugins.classifier.predict import (
    FORMAT,
    VERSION,
    Predictions,
    Scored,
    read_predictions,
    write_predictions,
)
from nnunet_plugins.classifier.report import Evaluation, page, tables
from nnunet_plugins.classifier.settings import Settings
from nnunet_plugins.errors import UserError
from tests.fuzzing import mutations

TRAINING = {
    "threshold": 0.5,
    "threshold_from": "validation",
    "cases": {"train": 10, "validation": 8},
    "settings": Settings().as_json(),
}


def predictions(test, *, threshold=0.5, **more):
    """Validation cases, and test cases of (patient, label, probability)."""
    cases = [
        Scored(f"v{n}", 100 + n, n % 2, "validation", p, int(p >= 0.5), (p,), 5, threshold)
        for n, p in enumerate((0.2, 0.6, 0.3, 0.9, 0.55, 0.4, 0.1, 0.8))
    ]
    cases += [
        Scored(f"t{n}", patient, label, "test", p, int(p >= threshold), (p,), 5, threshold)
        for n, (patient, label, p) in enumerate(test)
    ]
    values = {
        "network": "resnet18",
        "seeds": (0,),
        "segmenter": "SEG",
        "notes": (),
        "training": TRAINING,
    }
    return Predictions(("other", "axSpA"), threshold, tuple(cases), **{**values, **more})


TEST = [(1, 1, 0.9), (2, 1, 0.7), (3, 1, 0.4), (4, 0, 0.6), (5, 0, 0.2), (6, 0, 0.1)]


def test_measures_by_hand():
    found = evaluate(predictions(TEST), "test", resamples=200)
    assert (found.counts.tp, found.counts.fn, found.counts.tn, found.counts.fp) == (2, 1, 2, 1)
    values = {one.name: one.value for one in found.measures}
    assert values["auc"] == pytest.approx(8 / 9)
    assert values["accuracy"] == values["sensitivity"] == values["npv"] == pytest.approx(2 / 3)
    assert values["kappa"] == pytest.approx(1 / 3)
    assert values["brier"] == pytest.approx((0.01 + 0.09 + 0.36 + 0.36 + 0.04 + 0.01) / 6)
    for one in found.measures:
        low, high = one.bootstrap
        assert low <= one.value <= high
    assert found.calibration.recalibrations[0].slope > 0


def test_cases_of_a_patient_are_averaged():
    double = [(1, 1, 0.9), (1, 1, 0.3), (2, 0, 0.2), (3, 1, 0.8), (4, 0, 0.55), (4, 0, 0.35)]
    found = evaluate(predictions(double), "test", resamples=50)
    assert found.cases == 6
    assert found.probabilities == pytest.approx([0.6, 0.2, 0.8, 0.45])
    assert found.counts.tp + found.counts.tn == 4
    assert "6 cases" in tables(Evaluation("a", (found,)))[0].title


def test_the_threshold_is_that_of_the_validation_set_whatever_the_test_set():
    found = evaluate(predictions(TEST, threshold=0.65), "test", resamples=50)
    assert found.counts.fp == 0
    with pytest.raises(UserError, match="allowed are test and external"):
        evaluate(predictions(TEST), "validation")
    with pytest.raises(UserError, match="--resamples 0: expected 1 or more"):
        evaluate(predictions(TEST), "test", resamples=0)
    with pytest.raises(UserError, match="the test set has only axSpA"):
        evaluate(predictions(TEST[:3]), "test")
    with pytest.raises(UserError, match="the external set has no case"):
        evaluate(predictions(TEST), "external")


def test_predictions_are_read_back_and_a_threshold_of_the_test_set_is_refused(tmp_path):
    made = predictions(TEST)
    write_predictions(tmp_path, made)
    read = read_predictions(tmp_path)
    assert [one.probability for one in read.cases] == [one.probability for one in made.cases]
    lines = (tmp_path / "predictions.csv").read_text().splitlines()
    assert lines[-1].startswith("t5,6,test,other,0.1,0.5,other")
    content = json.loads((tmp_path / "predictions.json").read_text())
    content["training"]["threshold_from"] = "test"
    (tmp_path / "predictions.json").write_text(json.dumps(content))
    with pytest.raises(
        UserError, match="threshold was chosen on test; it must be fixed on the val"
    ):
        read_predictions(tmp_path)
    content["training"]["threshold_from"] = "validation"
    (tmp_path / "predictions.json").write_text(json.dumps({**content, "threshold": float("nan")}))
    with pytest.raises(UserError, match="damaged"):
        read_predictions(tmp_path)
    (tmp_path / "predictions.json").write_text(json.dumps({**content, "cases": [{"case": "a"}]}))
    with pytest.raises(UserError, match="damaged"):
        read_predictions(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        read_predictions(tmp_path / "nothing.json")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("cases", -1, "probability"), "0.5"),
        (("cases", -1, "probability"), 1.7),
        (("cases", -1, "label"), 2),
        (("cases", -1, "seeds"), []),
        (("cases", -1, "patient"), "P-7"),
        (("cases", -1, "patient"), 1),  # of the other class
        (("cases", -1, "patient"), 101),  # of the validation set
        (("cases", -1, "case"), "t0"),
        (("cases", -1, "split"), 1),
        (("classes",), ["axSpA"]),
        (("seeds",), [0, 1]),
        (("threshold",), "0.5"),
        (("training", "cases"), {}),
        (("training", "settings"), {}),
        (("training", "cross_validation"), {"fold": 0}),
    ],
)
def test_predictions_that_contradict_themselves_are_damaged(tmp_path, place, value):
    write_predictions(tmp_path, predictions(TEST))
    content = json.loads((tmp_path / "predictions.json").read_text())
    part = content
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    (tmp_path / "predictions.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="damaged"):
        read_predictions(tmp_path)


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(text=mutations(json.loads(json.dumps(asdict(predictions(TEST))))))
def test_any_predictions_give_a_page_or_a_message(tmp_path_factory, text):
    content = json.loads(text) if text.endswith("}") else text
    if isinstance(content, dict):
        content = {"format": FORMAT, "format_version": VERSION, **content}
        content.pop("folds", None)
    path = tmp_path_factory.getbasetemp() / "predictions.json"
    path.write_text(json.dumps(content))
    with contextlib.suppress(UserError):
        page(Evaluation("a", (evaluate(read_predictions(path), "test", resamples=5),)))


def test_two_classifiers_need_the_same_cases():
    first = evaluate(predictions(TEST), "test", resamples=20)
    other = [
        (n, label, p)
        for (n, label, _), p in zip(TEST, (0.9, 0.4, 0.3, 0.6, 0.2, 0.55), strict=True)
    ]
    found = compare(first, evaluate(predictions(other), "test", resamples=20))
    assert (found.calls.first, found.calls.second, found.calls.exact) == (2, 0, 0.5)
    assert found.areas.value == pytest.approx(8 / 9 - 5 / 9)
    fewer = evaluate(predictions(TEST[:5]), "test", resamples=20)
    with pytest.raises(UserError, match="different cases or diagnoses in test: t5"):
        compare(first, fewer)
    swapped = [(1, 0, 0.9), *TEST[1:3], (4, 1, 0.6), *TEST[4:]]
    with pytest.raises(UserError, match="t0, t3"):
        compare(first, evaluate(predictions(swapped), "test", resamples=20))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda rows: rows[:-1], "R has no call for t5"),
        (lambda rows: [*rows, "t5,R,other"], "R has two calls for t5"),
        (
            lambda rows: ["t0,R,sick", *rows[1:]],
            "row 2, call is 'sick'; allowed are other and axSpA",
        ),
        (lambda rows: [], "no row below the heading"),
    ],
)
def test_calls_of_readers_that_are_refused(tmp_path, change, match):
    result = evaluate(predictions(TEST), "test", resamples=20)
    rows = [f"t{n},R,{('other', 'axSpA')[label]}" for n, (_, label, _) in enumerate(TEST)]
    path = tmp_path / "calls.csv"
    path.write_text("\n".join(["case,reader,call", *rows]))
    (reader,) = read_readers(path, result)
    path.write_text("\ufeff" + path.read_text().replace(",", ";").upper().replace("T", "t"))
    assert read_readers(path, result) == [reader]
    assert (reader.counts.fn, reader.counts.fp, reader.against.second) == (0, 0, 2)
    path.write_text("\n".join(["case,reader,call", *change(rows)]))
    with pytest.raises(UserError, match=match):
        read_readers(path, result)


def test_readers_of_several_cases_per_patient_are_marked(tmp_path):
    path, calls = tmp_path / "calls.csv", [f"t{n},R,other" for n in range(6)]
    path.write_text("\n".join(["case,reader,call", *calls]))
    for test, marked in ((TEST, False), ([(1, 1, 0.9), *TEST[:1], *TEST[2:]], True)):
        result = evaluate(predictions(test), "test", resamples=20)
        found = tables(Evaluation("a", (result,), readers=tuple(read_readers(path, result))))
        (sheet,) = [one for one in found if one.title == "Readers"]
        assert sheet.rows[0][:2] == ("R", "6")
        assert any("By case, of 5 patients" in note for note in sheet.notes) is marked


def test_the_page_escapes_names_and_shows_notes_and_the_paper():
    result = evaluate(predictions(TEST, notes=("REFERENCE MASKS: <b>",)), "test", resamples=20)
    text = page(Evaluation("<script>", (result,), paper=True))
    assert "<script>" not in text
    assert "REFERENCE MASKS: &lt;b&gt;" in text
    assert "(0.811 to 0.942)" in text
    assert "not the 129 of the text" in text


def test_recalibration_with_a_reversed_score_is_reported():
    made = predictions(TEST)
    reversed_ = tuple(
        replace(one, label=1 - one.label) if one.split == "validation" else one
        for one in made.cases
    )
    values = {
        "network": "resnet18",
        "seeds": (0,),
        "segmenter": "SEG",
        "notes": (),
        "training": TRAINING,
    }
    result = evaluate(Predictions(made.classes, 0.5, reversed_, **values), "test", resamples=20)
    assert result.calibration.recalibrations[0].slope < 0
    (sheet,) = [one for one in tables(Evaluation("a", (result,))) if one.title == "Calibration"]
    assert "NOT POSITIVE" in sheet.notes[1]
    assert np.isfinite(result.calibration.brier_after)


def test_items_of_the_checklists_are_those_of_the_published_lists():
    """STARD-AI has 40 items, TRIPOD+AI 27 and CLAIM 44; the parts of an item are letters."""
    items = filled((evaluate(predictions(TEST), "test", resamples=20),))
    most, seen = {"STARD-AI": 40, "TRIPOD+AI": 27, "CLAIM": 44}, set()
    for name, about, answer in items:
        checklist, numbers = name.split(" ", 1)
        for one in re.findall(r"\d+", numbers):
            assert 1 <= int(one) <= most[checklist], name
        assert about
        assert answer
        seen.add((checklist, about.endswith("(new)")))
    assert len(seen) == 4
    assert {"STARD-AI 15c", "STARD-AI 30", "TRIPOD+AI 12a", "CLAIM 22"} <= {one[0] for one in items}
