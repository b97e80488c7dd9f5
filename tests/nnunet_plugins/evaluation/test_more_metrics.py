"""Metrics on request: weighted by area, MASD, boundary IoU, centre lines."""

import numpy as np
import pytest
import torch
from monai.metrics import compute_surface_dice

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation import evaluate
from nnunet_plugins.evaluation.area_weighted import area_distances
from nnunet_plugins.evaluation.metrics import compare
from nnunet_plugins.evaluation.more import MORE
from nnunet_plugins.evaluation.thin_structures import centre_line, centre_line_dice

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def ellipsoid(shape, centre, radius, spacing):
    grid = np.ogrid[tuple(slice(0, n) for n in shape)]
    return (
        sum(
            ((g - c) * s / r) ** 2 for g, c, r, s in zip(grid, centre, radius, spacing, strict=True)
        )
        <= 1
    )


#: spacing, shape, two ellipsoids (prediction, reference), and what DeepMind's surface-distance 0.1 gives: HD, HD95,
#: ASSD (pooled) and NSD at 1 mm.
DEEPMIND = {
    "thick slices": (
        ((4.0, 0.8, 0.8), (6, 24, 26)), ((3, 11, 12), (9, 8, 8)), ((3, 12, 13), (9, 7, 8.5)),
        (2.4, 1.6, 0.2986711702290751, 0.9059964183773388),
    ),
    "cubes": (
        ((1.0, 1.0, 1.0), (20, 20, 20)), ((9, 9, 9), (6, 5, 7)), ((10, 9, 9), (6, 6, 6)),
        (2**0.5, 1.0, 0.4944022930703564, 0.9738468248979382),
    ),
    "2D": (
        ((1.5, 0.7), (24, 30)), ((11, 14), (9, 8)), ((12, 14), (8, 8)),
        (3.0, 2.580697580112788, 0.7278560398297692, 0.6701190800668495),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DEEPMIND.values(), ids=list(DEEPMIND))
def test_deepmind(case):
    (spacing, shape), one, other, expected = case
    found = area_distances(
        ellipsoid(shape, *one, spacing), ellipsoid(shape, *other, spacing), spacing
    )
    assert (found.hd, found.hd95, found.assd, found.nsd(1.0)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("spacing", [(3.0, 0.5, 0.8), (0.7, 0.7)], ids=str)
def test_monai_subvoxels(spacing):
    size = (7, 20, 22)[-len(spacing) :]
    for seed in range(3):
        a, b = np.random.default_rng(seed).random((2, *size)) < 0.6
        x, y = (torch.from_numpy(one)[None, None] for one in (a, b))
        theirs = compute_surface_dice(
            x, y, [0.6], include_background=True, spacing=list(spacing), use_subvoxels=True
        )
        scores = compare(a, b, spacing, tolerance=0.6, more=["nsd_area"])
        assert scores.nsd_area == pytest.approx(theirs.item(), abs=1e-5)


def test_a_thick_slice_weighs_by_its_area():
    # A plate of one slice is predicted one slice too thick.
    reference, prediction = np.zeros((2, 6, 20, 20), dtype=bool)
    reference[2, 4:16, 4:16] = prediction[2:4, 4:16, 4:16] = True
    spacing = (7.0, 0.5, 0.5)
    scores = compare(prediction, reference, spacing, tolerance=1.0, more=list(MORE))
    assert scores.nsd == pytest.approx(2 / 3)
    assert scores.nsd_area != pytest.approx(scores.nsd, abs=0.05)
    assert scores.masd_mm == pytest.approx(
        7 / 4
    )  # 0 from the reference, 7 mm for half of the prediction
    assert scores.assd_mm == pytest.approx(7 / 3)
    assert scores.boundary_iou == pytest.approx(0.5)


def test_empty_masks():
    full = np.ones((3, 4, 5), dtype=bool)
    for prediction, reference in ((full, ~full), (~full, full)):
        scores = compare(prediction, reference, (1.0,) * 3, more=list(MORE))
        assert (scores.nsd_area, scores.boundary_iou, scores.cldice) == (0.0, 0.0, 0.0)
        assert (scores.masd_mm, scores.hd95_area_mm, scores.assd_area_mm) == (None, None, None)
    scores = compare(~full, ~full, (1.0,) * 3, more=list(MORE))
    assert {getattr(scores, name) for name in MORE} == {None}


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 6, 6), (2, 2, 2), (4, 12, 12), (6, 6, 40), (3, 3, 9)], ids=str
)
def test_a_perfect_prediction(shape):
    # scikit-image 0.26 deletes bars with an even number of voxels across.
    mask = np.pad(np.ones(shape, dtype=bool), 1)
    scores = compare(mask, mask, (2.0, 0.5, 0.5), more=list(MORE))
    assert (scores.cldice, scores.boundary_iou, scores.nsd_area) == pytest.approx((1.0, 1.0, 1.0))
    assert (scores.masd_mm, scores.hd_area_mm) == (0.0, 0.0)


def test_centre_line_of_a_canal():
    # Half of a canal, and a canal that is wider by a voxel all around.
    canal = np.zeros((40, 14, 14), dtype=bool)
    canal[:, 4:10, 4:10] = True
    half = canal & (np.arange(40) < 20)[:, None, None]
    wide = np.zeros_like(canal)
    wide[:, 3:11, 3:11] = True
    assert centre_line(canal).any(axis=(1, 2)).sum() > 30
    assert 0.6 < centre_line_dice(half, canal) < 0.72  # precision 1, recall about 0.5
    assert centre_line_dice(wide, canal) == 1.0


def test_each_part_keeps_a_centre_line():
    mask = np.zeros((12, 30, 30), dtype=bool)
    mask[1:5, 2:8, 2:28] = mask[6:11, 12:17, 2:28] = mask[2:4, 22:24, 2:4] = True
    line = centre_line(mask)
    assert not (line & ~mask).any()
    for part in (mask[:, :10], mask[:, 10:20], mask[:, 20:]):
        assert part.any()
    assert line[:, :10].any()
    assert line[:, 10:20].any()
    assert line[:, 20:].any()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_only_what_is_asked_for_is_measured(pair, number):
    names = ("masd_mm", "nsd_area", "cldice")
    scores = evaluate(*pair(*np.ones((2, 3, 4, 4))), metrics=[names[number]])
    content = scores.to_dict()["cases"]["r"]["labels"]["label 1"]
    assert set(MORE) & content.keys() == {names[number]}
    assert scores.metrics[-1] == names[number]


def test_unknown_metric(pair):
    with pytest.raises(UserError, match=r"--metrics hd96: not measured; known: dice, iou"):
        evaluate(*pair(*np.ones((2, 3, 4, 4))), metrics=["hd96"])


def test_a_slice_stored_as_a_volume(pair):
    a, b = np.zeros((2, 1, 12, 12))
    a[0, 2:8, 2:8] = b[0, 2:8, 3:8] = 1
    found = evaluate(*pair(a, b), metrics=tuple(MORE)).cases[0].labels["label 1"]
    flat = compare(a[0] > 0, b[0] > 0, (0.5, 0.8), more=list(MORE))
    assert all(
        getattr(found, name) == pytest.approx(getattr(flat, name), rel=1e-5) for name in MORE
    )
