"""Calibration against MONAI, on probabilities whose error is known, and what is left out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from matplotlib.figure import Figure
from monai import metrics

from dataset_conversion.io.orientation import oriented_to
from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.calibration import BINS, bins_of, calibrate, write_calibration
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.evaluation.pairs import Pair

LABELS = Labels({"bone": (1,), "disc": (2,)}, None, "test")
REGIONS = Labels({"spine": (1, 2), "disc": (2,)}, None, "test")


def case(
    folder: Path, name: str, probabilities: np.ndarray, true: np.ndarray, code: str = "LPS"
) -> Pair:
    """Files of one case; prediction and probabilities are stored in an orientation."""
    for part in ("pred", "ref"):
        (folder / part).mkdir(exist_ok=True)
    labels = probabilities.argmax(0) if len(probabilities) == 3 else np.zeros(true.shape)
    image = oriented_to(sitk.GetImageFromArray(labels.astype(np.uint8)), code)
    turned = [
        sitk.GetArrayFromImage(oriented_to(sitk.GetImageFromArray(p), code)) for p in probabilities
    ]
    sitk.WriteImage(image, str(folder / "pred" / f"{name}.nii.gz"))
    np.savez_compressed(folder / "pred" / f"{name}.npz", probabilities=np.stack(turned))
    sitk.WriteImage(
        sitk.GetImageFromArray(true.astype(np.uint8)), str(folder / "ref" / f"{name}.nii.gz")
    )
    return Pair(name, folder / "pred" / f"{name}.nii.gz", folder / "ref" / f"{name}.nii.gz")


def random(seed: int, shape: tuple[int, ...] = (6, 7, 8)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = rng.dirichlet((1, 1, 1), shape).astype(np.float32)
    return np.moveaxis(values, -1, 0).copy(), rng.integers(0, 3, shape)


@pytest.mark.skipif(
    not hasattr(metrics, "CalibrationErrorMetric"), reason="MONAI is older than 1.6"
)
def test_the_error_is_that_of_monai(tmp_path):
    probabilities, true = random(0)
    curves = calibrate([case(tmp_path, "a", probabilities, true, "PIR")], LABELS)
    metric = metrics.CalibrationErrorMetric(
        num_bins=BINS, include_background=True, metric_reduction="none"
    )
    one_hot = np.stack([true == k for k in range(3)])
    metric(torch.from_numpy(probabilities)[None], torch.from_numpy(one_hot)[None].float())
    expected = metric.aggregate()
    expected = (expected[0] if isinstance(expected, list | tuple) else expected)[0]
    for value, name in ((1, "bone"), (2, "disc")):
        assert curves[name][0].ece == pytest.approx(float(expected[value]), abs=1e-5)
        assert curves[name][0].voxels.sum() == true.size


def test_a_constant_probability_is_wrong_by_its_distance_from_the_share():
    true = np.arange(100) < 30
    assert bins_of(np.full(100, 0.3), true).ece == pytest.approx(0)
    assert bins_of(np.full(100, 0.8), true).ece == pytest.approx(0.5)
    assert bins_of(np.ones(4), np.ones(4, bool)).voxels[-1] == 4  # 1 belongs to the last bin


def test_cases_are_pooled_and_far_background_is_left_out(tmp_path):
    true = np.zeros((40, 40, 40), int)
    true[:2, :2, :2] = 1
    sure = np.stack([(true != 1) * 1.0, (true == 1) * 1.0, true * 0.0])
    sure[:2, :4, :4, :4] = 0.5
    pairs = [case(tmp_path, name, sure, true) for name in ("a", "b")]
    far, near = calibrate(pairs, LABELS)["bone"]
    # 64 voxels of 0.5, of which 8 have the label: each half a voxel wrong on average.
    assert far.ece == pytest.approx(2 * 24 / (2 * 40**3))
    assert 2 * 12**3 <= near.voxels.sum() <= 2 * 14**3
    assert near.ece * near.voxels.sum() == pytest.approx(far.ece * far.voxels.sum())
    absent = calibrate(pairs, LABELS)["disc"]
    assert absent[1].ece is None
    assert absent[0].ece == 0


def test_regions_have_a_channel_each_and_ignored_voxels_do_not_count(tmp_path):
    probabilities, true = random(1)
    pair = case(tmp_path, "a", probabilities[1:], true)
    found = calibrate([pair], REGIONS)
    assert found["spine"][0].ece == pytest.approx(bins_of(probabilities[1], true > 0).ece)
    ignoring = Labels({"spine": (1,), "disc": (1, 1)}, 2, "test")
    kept = true != 2
    expected = bins_of(probabilities[1][kept], (true == 1)[kept])
    assert calibrate([pair], ignoring)["spine"][0].ece == pytest.approx(expected.ece)


def test_the_command_writes_curves_and_a_figure(tmp_path, capsys):
    for name in ("a", "b"):
        case(tmp_path, name, *random(ord(name)))
    (tmp_path / "pred" / "dataset.json").write_text(
        '{"labels": {"background": 0, "bone": 1, "disc": 2}}'
    )
    use = ["evaluate", str(tmp_path / "pred"), str(tmp_path / "ref"), "-j", "1"]
    assert main([*use, "--calibration", str(tmp_path / "out")]) == 0
    assert "ECE near" in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "calibration.json").read_text())
    assert found["cases"] == 2
    assert sum(found["labels"]["disc"]["all"]["voxels"]) == 2 * 6 * 7 * 8
    assert (tmp_path / "out" / "calibration.png").stat().st_size > 5000
    (tmp_path / "pred" / "b.npz").unlink()
    assert main([*use, "--calibration", str(tmp_path / "out")]) == 2
    assert "1 of 2 cases have none" in capsys.readouterr().err


def test_the_figure_names_its_error_and_shows_the_voxels_of_each_bin(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        Figure, "savefig", lambda self, path, **_: (drawn.append(self), path.touch())
    )
    sure = bins_of(np.repeat((0.25, 1.0), (10, 1000)), np.arange(1010) > 4)
    nothing = bins_of(np.zeros(0), np.zeros(0, bool))
    write_calibration({"bone": (nothing, sure), "absent": (nothing, nothing)}, 1, tmp_path)
    curves, counts = drawn[0].axes
    line = curves.get_lines()[1]
    assert line.get_label() == "bone (ECE near 0.0025)"
    assert not line.get_clip_on()  # the marker at 1 is whole
    assert line.get_xdata().tolist() == [0.25, 1]
    assert [text.get_text() for text in curves.get_legend().get_texts()] == [line.get_label()]
    assert sorted({*counts.patches[0].get_data().values}) == [0, 10, 1000]


def test_other_probabilities_are_refused(tmp_path):
    probabilities, true = random(2)
    pair = case(tmp_path, "a", probabilities, true)
    with pytest.raises(UserError, match="3 channels; the labels spine, disc"):
        calibrate([pair], REGIONS)
    np.savez(pair.prediction.with_name("a.npz"), probabilities=probabilities[:, 1:])
    with pytest.raises(UserError, match="the label map has"):
        calibrate([pair], LABELS)
    np.savez(pair.prediction.with_name("a.npz"), probabilities=probabilities * 20)
    with pytest.raises(UserError, match="outside of 0 to 1"):
        calibrate([pair], LABELS)
