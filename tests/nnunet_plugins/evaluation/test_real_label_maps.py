"""The two label maps of a real pelvis CT against each other: vertebral bodies inside vertebrae."""

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_plugins.evaluation import evaluate
from tests.nnunet_plugins.evaluation.monai_scores import monai

VERTEBRAE = (*range(25, 34),)  # sacrum, S1, L5 to T11 in the reference
BODY = 1  # in the other label map


@pytest.fixture
def maps(shared_data, tmp_path, declare):
    """Bodies as a prediction, vertebrae as the reference: 1 in both, on the grid of the CT."""
    folder = shared_data / "ct_pelvis"
    files = [
        folder / "totalseg_vertebrae_body.nii.gz",
        folder / "example_seg_fast_force_split.nii.gz",
    ]
    if not all(file.exists() for file in files):
        pytest.skip("the real CT is not available")
    found = []
    for name, file, values in zip("pr", files, ((BODY,), VERTEBRAE), strict=True):
        image = sitk.ReadImage(str(file))
        mask = np.isin(sitk.GetArrayFromImage(image), values)
        chosen = sitk.GetImageFromArray(mask.astype(np.uint8))
        chosen.CopyInformation(image)
        sitk.WriteImage(chosen, str(tmp_path / f"{name}.nii.gz"))
        found.append(mask)
    declare(tmp_path, {"background": 0, "vertebrae": 1})
    return tmp_path, found


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_bodies_are_inside_their_vertebrae(maps):
    folder, (bodies, vertebrae) = maps
    case = evaluate(folder / "p.nii.gz", folder / "r.nii.gz", pixels=True).cases[0]
    found = case.labels["vertebrae"]
    common = int((bodies & vertebrae).sum())
    assert found.precision == common / bodies.sum() > 0.95
    assert found.recall == common / vertebrae.sum() < 0.7
    assert found.dice == 2 * common / (bodies.sum() + vertebrae.sum())
    assert found.volume_error_ml == pytest.approx(
        (int(bodies.sum()) - int(vertebrae.sum())) * 27 / 1000, rel=1e-4
    )  # voxels of 3 mm
    assert found.hd_mm == pytest.approx(3 * found.hd_px, rel=1e-4)
    for name, value in monai(bodies, vertebrae, case.spacing).items():
        assert getattr(found, name) == pytest.approx(value, abs=1e-4), name


def test_swapping_the_maps_swaps_precision_and_recall(maps):
    folder, _ = maps
    there, back = (
        evaluate(folder / f"{a}.nii.gz", folder / f"{b}.nii.gz").cases[0].labels["vertebrae"]
        for a, b in ("pr", "rp")
    )
    assert (there.precision, there.recall) == (back.recall, back.precision)
    assert (there.hd95_mm, there.nsd) == (back.hd95_mm, pytest.approx(back.nsd))
    assert there.volume_error_ml == -back.volume_error_ml < 0


def test_the_map_against_itself(shared_data):
    file = shared_data / "ct_pelvis" / "example_seg_fast_force_split.nii.gz"
    if not file.exists():
        pytest.skip("the real CT is not available")
    scores = evaluate(file, file)
    assert len(scores.labels.values) > 50
    assert scores.mean_foreground_dice == scores.aggregates["voxel_accuracy"] == 1
    assert all(one.hd_mm == 0 and one.nsd == 1 for one in scores.cases[0].labels.values())
