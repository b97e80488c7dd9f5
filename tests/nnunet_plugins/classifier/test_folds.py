"""Folds in one evaluation: each patient once, at the threshold of the own fold; external sets by the mean."""

from dataclasses import replace

import numpy as np
import pytest

from nnunet_plugins.classifier.folds import pooled, read_classified
from nnunet_plugins.classifier.measures import evaluate
from nnunet_plugins.classifier.paired import compare
from nnunet_plugins.classifier.predict import (
    Predictions,
    Scored,
    cross_validation,
    write_predictions,
)
from nnunet_plugins.classifier.report import Evaluation, as_json, page, tables
from nnunet_plugins.classifier.settings import Settings
from nnunet_plugins.classifier.splits import with_splits
from nnunet_plugins.classifier.table import Row, Table
from nnunet_plugins.errors import UserError

THRESHOLDS = (0.2, 0.5, 0.8)
ROWS = tuple(Row(f"c{n}", n, n % 2, fold=n // 8) for n in range(24))


def fold(number, *, external=False):
    """Fold k calls its own patients with 0.2, 0.5 or 0.8; scores are around the threshold."""
    rows = with_splits(Table(ROWS, ("other", "axSpA")), fold=number)
    random, threshold = np.random.default_rng(number), THRESHOLDS[number]
    cases = []
    for row in rows:
        if row.split == "train":
            continue
        p = float(
            np.clip(threshold + 0.1 * (2 * row.label - 1) + random.normal(0, 0.1), 0.01, 0.99)
        )
        cases.append(
            Scored(
                row.case,
                row.patient,
                row.label,
                row.split,
                p,
                int(p >= threshold),
                (p,),
                5,
                threshold,
            )
        )
    if external:
        cases = [
            Scored(f"e{n}", n, n % 2, "external", p, int(p >= threshold), (p,), 5, threshold)
            for n, p in enumerate((0.1 * (number + 1), 0.3 * (number + 1)))
        ]
    training = {
        "threshold": threshold,
        "threshold_from": "validation",
        "cases": {"train": 8, "validation": 8},
        "settings": Settings().as_json(),
        "cross_validation": cross_validation(rows, {"c0": "sha"}),
    }
    return Predictions(
        ("other", "axSpA"), threshold, tuple(cases), "resnet18", (0,), "SEG", (), training
    )


def test_every_patient_is_tested_once_at_the_threshold_of_its_fold():
    parts = [fold(number) for number in range(3)]
    found = evaluate(pooled(parts[::-1]), "test", resamples=20)
    assert [one.case for one in found.predictions.of("test")] == [row.case for row in ROWS]
    calls = np.concatenate([evaluate(one, "test", resamples=20).calls for one in parts])
    np.testing.assert_array_equal(found.calls, calls)
    at_one_threshold = (found.probabilities >= 0.5).astype(int)
    assert (found.calls != at_one_threshold).any()  # a common threshold would call others
    assert len(found.of_folds) == 3
    for part, auc in zip(parts, found.of_folds, strict=True):
        assert auc == evaluate(part, "test", resamples=20).measure("auc").value
    names = [row[0] for one in tables(Evaluation("cv", (found,))) for row in one.rows]
    assert {"fold 0", "fold 2", "mean of the folds", "patients of all folds together"} <= {*names}
    assert as_json(Evaluation("cv", (found,)))["thresholds"] == list(THRESHOLDS)
    assert "of each fold (0.2000 to 0.8000" in page(Evaluation("cv", (found,)))


def test_recalibration_of_a_fold_does_not_see_its_test_patients():
    """A patient who is tested in fold 0 is validated in fold 2: one recalibration of all would have its diagnosis."""
    parts = [fold(number) for number in range(3)]
    found = evaluate(pooled(parts), "test", resamples=20).calibration
    assert len(found.recalibrations) == 3
    each = [evaluate(one, "test", resamples=20).calibration for one in parts]
    assert found.recalibrations == tuple(one.recalibrations[0] for one in each)
    np.testing.assert_allclose(
        found.recalibrated, np.concatenate([one.recalibrated for one in each])
    )


def test_an_external_set_has_the_mean_of_the_folds():
    parts = [fold(number, external=True) for number in range(3)]
    found = evaluate(pooled(parts), "external", resamples=20)
    assert found.probabilities == pytest.approx([0.2, 0.6])
    assert [one.threshold for one in found.predictions.of("external")] == pytest.approx([0.5] * 2)
    assert (found.calls.tolist(), found.calibration.recalibrations) == ([0, 1], ())
    other = replace(parts[1], cases=parts[1].cases[:1])
    with pytest.raises(UserError, match="different external cases"):
        pooled([parts[0], other, parts[2]])


def test_folds_that_do_not_belong_together_are_refused():
    parts = [fold(number) for number in range(3)]

    def changed(**entries):
        return replace(parts[1], training={**parts[1].training, **entries})

    record = parts[1].training["cross_validation"]
    for wrong, match in (
        (parts[:2], r"the folds are 0, 1, 2, the predictions are of 0, 1;"),
        ([parts[0], *parts], "predictions are of 0, 0, 1, 2"),
        ([parts[0], changed(cross_validation=None), parts[2]], "trained without --fold"),
        (
            [parts[0], changed(cross_validation={**record, "table": "x"}), parts[2]],
            "table of cases",
        ),
        (
            [parts[0], changed(cross_validation={**record, "files": "x"}), parts[2]],
            "differ in images or masks",
        ),
        ([parts[0], changed(settings={}), parts[2]], "differ in settings"),
        ([parts[0], replace(parts[1], segmenter=""), parts[2]], "differ in segmenter"),
        ([parts[0], replace(parts[1], cases=()), parts[2]], "1 of 3 folds have no test cases"),
    ):
        with pytest.raises(UserError, match=match):
            pooled(wrong)
    moved = tuple(replace(one, patient=0) for one in parts[1].cases)
    with pytest.raises(UserError, match="tested in two folds"):
        pooled([parts[0], replace(parts[1], cases=moved), parts[2]])


def test_a_folder_of_folds_is_read_and_two_are_compared(tmp_path):
    for number in range(3):
        write_predictions(tmp_path / "cv" / f"fold_{number}", fold(number))
    found = evaluate(read_classified(tmp_path / "cv"), "test", resamples=20)
    assert compare(found, found).areas.p == 1
    assert len(read_classified(tmp_path / "cv" / "fold_1").cases) == 16
    (tmp_path / "cv" / "fold_2" / "predictions.json").unlink()
    with pytest.raises(UserError, match=r"cv: the folds are 0, 1, 2"):
        read_classified(tmp_path / "cv")
