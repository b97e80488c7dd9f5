"""nnU-Net's evaluation and ours give the same Dice and IoU, with labels, regions and an ignore label."""

import numpy as np
import pytest

from nnunet_plugins.evaluation import evaluate


@pytest.mark.parametrize(
    "labels",
    [
        {"background": 0, "one": 1, "two": 2, "three": 3},
        {"background": 0, "one": 1, "two": 2, "three": 3, "ignore": 4},
        {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "inner": 3},
    ],
    ids=["labels", "ignore", "regions"],
)
def test_dice_is_nnunets(tmp_path, pair, declare, labels):
    from nnunetv2.evaluation.evaluate_predictions import compute_metrics
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    random = np.random.default_rng(0)
    highest = 5 if "ignore" in labels else 4
    true = random.integers(0, highest, (6, 8, 8))
    prediction, reference = pair(random.integers(0, 4, (6, 8, 8)), true)
    declare(tmp_path, labels)
    ours = evaluate(prediction, reference).cases[0].labels

    keys = {
        name: tuple(values) if isinstance(values, list) else values
        for name, values in labels.items()
        if name not in ("background", "ignore")
    }
    theirs = compute_metrics(
        str(reference), str(prediction), SimpleITKIO(), list(keys.values()), labels.get("ignore")
    )["metrics"]
    for name, key in keys.items():
        assert ours[name].dice == pytest.approx(theirs[key]["Dice"], abs=1e-12)
        assert ours[name].iou == pytest.approx(theirs[key]["IoU"], abs=1e-12)
        assert ours[name].prediction_voxels == theirs[key]["n_pred"]
        assert ours[name].reference_voxels == theirs[key]["n_ref"]
