"""Test cases of other tools' own suites: masks, metric and expected value; facts, none of their code.

Sources, as read: MONAI tests/metrics, Metrics Reloaded test/, DeepMind surface_distance_test.py, scikit-image
test_set_metrics.py, MedPy tests/metric_, TorchMetrics tests/unittests/segmentation, nnU-Net nnunetv2/tests.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from math import hypot, sqrt
from typing import NamedTuple

import numpy as np

Masks = tuple[np.ndarray, np.ndarray]


class Case(NamedTuple):
    """One expected value.

    Attributes:
        source: tool and test.
        masks: makes prediction and reference.
        spacing: mm; None: 1 in every axis.
        metric: ours.
        expected: the tool's value; None for NaN.
        close: allowed difference, from the digits of the expected value.
        tolerance: of NSD.
        ours: our value where the definitions differ.
        reason: why they differ.
    """

    source: str
    masks: Callable[[], Masks]
    metric: str
    expected: float | None
    spacing: tuple[float, ...] | None = None
    close: float = 1e-5
    tolerance: float = 1.0
    ours: float | None = None
    reason: str = ""


def boxes(shape, prediction, reference) -> Masks:
    """Masks from lists of slices that are filled."""
    found = np.zeros((2, *shape), dtype=bool)
    for mask, parts in zip(found, (prediction, reference), strict=True):
        for part in parts:
            mask[part] = True
    return found[0], found[1]


def arrays(prediction, reference) -> Masks:
    return np.array(prediction, dtype=bool), np.array(reference, dtype=bool)


def row(prediction, reference) -> Masks:
    """Masks of one row, as (value, times) runs."""
    return tuple(np.concatenate([[value] * n for value, n in runs]).astype(bool)[None]
                 for runs in (prediction, reference))  # fmt: skip


def ball(radius=20.0, centre=(49, 49, 49), step=(1.0, 1.0, 1.0)):
    grid = np.ogrid[:99, :99, :99]
    return sum((g * s - c) ** 2 for g, s, c in zip(grid, step, centre, strict=True)) <= radius**2


def balls(one, other, step=(1.0, 1.0, 1.0)) -> Masks:
    return ball(*one, step), ball(*other, step)


def points(shape, prediction, reference) -> Masks:
    return boxes(shape, prediction, reference)


S = np.s_
STEP = (0.85, 1.2, 0.9)
EMPTY = (
    "a distance to an empty mask is null and counted as missed or false alarm, not infinite or 0"
)
AREA = "surface voxels count once each and are measured from centre to centre; nsd_area and assd_area_mm agree"

_SAME = partial(balls, (20, (49, 49, 49)), (20, (49, 49, 49)))
_DIAGONAL = partial(balls, (20, (20, 20, 20)), (20, (19, 19, 19)))
_SHIFTED = partial(balls, (33, (19, 33, 22)), (33, (20, 33, 22)))
_LARGER = partial(balls, (20, (20, 33, 22)), (40, (20, 33, 22)))
_NO_PREDICTION = partial(boxes, (9, 9, 9), [], [S[2:5, 2:5, 2:5]])
_NOTHING = partial(boxes, (9, 9, 9), [], [])

MONAI = [
    Case("MONAI hausdorff, same", _SAME, "hd_mm", 0.0),
    Case("MONAI hausdorff, diagonal", _DIAGONAL, "hd_mm", 1.7320508075688772),
    Case("MONAI hausdorff, shifted", _SHIFTED, "hd_mm", 1.0),
    Case("MONAI hausdorff, larger", _LARGER, "hd_mm", 20.223748416156685),
    Case("MONAI hausdorff, larger, 95", _LARGER, "hd95_mm", 20.09975124224178),
    Case("MONAI hausdorff, diagonal, spacing", partial(_DIAGONAL, step=STEP), "hd_mm", 2.2671568, STEP),
    Case("MONAI hausdorff, larger, spacing",
         partial(balls, (15, (20, 33, 22)), (30, (20, 33, 22)), STEP), "hd_mm", 15.62594, STEP),
    Case("MONAI hausdorff, no prediction", _NO_PREDICTION, "hd_mm", np.inf, ours=None, reason=EMPTY),
    Case("MONAI hausdorff, nothing", _NOTHING, "hd_mm", None),
    Case("MONAI surface distance, same", _SAME, "assd_mm", 0.0),
    Case("MONAI surface distance, shifted", _SHIFTED, "assd_mm", 0.350217),
    Case("MONAI surface distance, larger", _LARGER, "assd_mm", 15.117741, close=2e-4),
    Case("MONAI surface distance, spacing",
         partial(balls, (33, (42, 45, 52)), (33, (43, 45, 52)), STEP), "assd_mm", 0.4951, STEP, 1e-4),
    Case("MONAI surface distance, no prediction", _NO_PREDICTION, "assd_mm", np.inf, reason=EMPTY),
    *(
        Case(f"MONAI surface dice, 2D, {name}", partial(boxes, (480, 640), *parts), "nsd",
             1 - (478 + 480 + 9 * 2) / (480 * 4 + sides), spacing, tolerance=0.0)
        for spacing in (None, (0.85, 1.2))
        for name, parts, sides in (
            ("label", ([S[:, 50:]], [S[:, 60:]]), 588 * 2 + 578 * 2),
            ("background", ([S[:, :50]], [S[:, :60]]), 48 * 2 + 58 * 2),
        )
    ),
    *(
        Case(f"MONAI surface dice, 3D, {name}", partial(boxes, (200, 110, 80), *parts), "nsd",
             1 - (200 * 110 + 198 * 108 + 9 * 200 * 2 + 9 * 108 * 2)
             / (200 * 110 * 4 + deep * 200 * 2 + deep * 108 * 2), tolerance=0.0)
        for name, parts, deep in (
            ("label", ([S[:, :, 20:]], [S[:, :, 30:]]), 58 + 48),
            ("background", ([S[:, :, :20]], [S[:, :, :30]]), 28 + 18),
        )
    ),
    *(
        Case(f"MONAI surface dice, tolerance {at}", partial(boxes, (10, 10), [S[1:4, 1]], [S[5:8, 6]]),
             "nsd", expected, tolerance=at)
        for at, expected in ((0.0, 0.0), (5.5, 1 - 4 / 6), (6.0, 1 - 2 / 6))
    ),
    Case("MONAI dice, 1", partial(arrays, [[1, 0], [0, 1]], [[1, 0], [1, 1]]), "dice", 0.8),
    Case("MONAI dice, 2a", partial(arrays, [[0, 0], [1, 1]], [[1, 0], [1, 0]]), "dice", 0.5),
    Case("MONAI dice, 2b", partial(arrays, [[1, 0], [0, 0]], [[0, 1], [0, 0]]), "dice", 0.0),
    Case("MONAI dice, 2c", partial(arrays, [[1, 0], [0, 0]], [[1, 1], [0, 0]]), "dice", 2 / 3),
    Case("MONAI dice, 3", partial(arrays, [[0, 0], [0, 0]], [[0, 0], [0, 0]]), "dice", None),
    Case("MONAI dice, 11, ignore_empty=False", _NOTHING, "dice", 1.0,
         reason="both masks empty: null, not 1; the number of such cases is reported"),
    Case("MONAI dice, 12", partial(boxes, (3, 3), [S[:]], []), "dice", 0.0),
]  # fmt: skip

_CROSS = partial(boxes, (11, 11), [S[3:8, 3:8], S[5, 1:10], S[1:10, 5]], [S[3:8, 3:8]])
_CORNER = partial(boxes, (14, 14), [S[9:12, 9:12]], [S[1, 1], S[9:12, 9:12]])
_HOOK = [S[1:4, 1], S[3, 1:4]]
RELOADED = [
    Case("Metrics Reloaded, dsc", _CROSS, "dice", 0.862, close=1e-3),
    Case("Metrics Reloaded, iou", _CROSS, "iou", 0.76, close=1e-2),
    Case("Metrics Reloaded, assd", _CROSS, "assd_mm", 0.44, close=1e-2),
    Case("Metrics Reloaded, masd", _CROSS, "masd_mm", 0.425, close=1e-3),
    Case("Metrics Reloaded, nsd 1", _CROSS, "nsd", 0.89, close=1e-2),
    Case("Metrics Reloaded, nsd 2", _CROSS, "nsd", 1.0, tolerance=2.0),
    Case("Metrics Reloaded, fbeta",
         lambda: (_LARGE[0] & ~boxes((11, 11), [S[8, 2]], [])[0], _LARGE[1]), "dice", 0.986, close=1e-3),
    Case("Metrics Reloaded, voldiff",
         partial(boxes, (14, 14), [S[3:5, 3:5]], [S[2:4, 2:4]]), "volume_error", 0.0),
    Case("Metrics Reloaded, accuracy 1",
         partial(row, [(1, 105)], [(1, 30), (0, 75)]), "accuracy", 0.286, close=1e-3),
    Case("Metrics Reloaded, accuracy 2",
         partial(row, [(1, 20), (0, 15), (1, 60), (0, 10)], [(1, 35), (0, 70)]), "accuracy", 0.286, close=1e-3),
    Case("Metrics Reloaded, sensitivity",
         partial(row, [(1, 40), (0, 30), (1, 1)], [(1, 70), (0, 1)]), "recall", 0.57, close=1e-2),
    Case("Metrics Reloaded, ppv 1",
         partial(row, [(1, 45), (0, 5), (1, 10), (0, 40)], [(1, 50), (0, 50)]), "precision", 0.82, close=1e-2),
    Case("Metrics Reloaded, ppv 2",
         partial(row, [(1, 81), (0, 9), (1, 2), (0, 8)], [(1, 90), (0, 10)]), "precision", 0.98, close=1e-2),
    Case("Metrics Reloaded, hd", _CORNER, "hd_mm", 11.31, close=1e-2),
    Case("Metrics Reloaded, hd 95", _CORNER, "hd95_mm", 6.79, close=1e-2),
    Case("Metrics Reloaded, boundary iou",
         partial(boxes, (22, 22), [S[3:21, 2:21]], [S[2:21, 2:21]]), "boundary_iou", 0.6, close=0.05),
    Case("Metrics Reloaded, cldice small 1",
         partial(boxes, (14, 14), [S[2:4, 1], S[3, 1:4]], _HOOK), "cldice", 0.86, close=1e-2),
    Case("Metrics Reloaded, cldice small 2",
         partial(boxes, (14, 14), [S[3, 1:4]], _HOOK), "cldice", 0.67, close=1e-2),
    Case("Metrics Reloaded, nsd of the first of two labels",
         partial(boxes, (18, 18), [S[3:7, 1:3], S[3:6, 3:7], S[13:15, 13:17], S[15, 15]],
                 [S[2:7, 1:3], S[2:5, 3:6], S[6:12, 12:17]]), "nsd", 0.52, close=1e-2),
    Case("Metrics Reloaded, specificity of a full reference",
         partial(boxes, (1, 1), [S[:]], [S[:]]), "specificity", None),
    Case("Metrics Reloaded, fbeta of empty masks", _NOTHING, "dice", 1.0,
         reason="both masks empty: null, not 1; the number of such cases is reported"),
    Case("Metrics Reloaded, distance of empty masks", _NOTHING, "assd_mm", 0.0, reason=EMPTY),
]  # fmt: skip
_LARGE = boxes((11, 11), [S[2:5, 2:9], S[5:9, 2:6]], [S[2:5, 2:9], S[5:9, 2:6]])

_TWO_PIXELS = partial(boxes, (128, 128), [S[50, 72]], [S[50, 70]])
_TWO_VOXELS = partial(boxes, (60, 70, 80), [S[50, 60, 72]], [S[50, 60, 70]])
_SQUARES = partial(boxes, (6, 6), [S[1:4, 1:3]], [S[1:3, 1:3]])
_HALVES = partial(boxes, (100, 100, 100), [S[:51]], [S[:50]])
_SLANT = hypot(1, 2) / 2
_OURS, _THEIRS = 4 * _SLANT + 2 * 1 + 4 * 2, 4 * _SLANT + 2 * 1 + 2 * 2
_FAR = (
    2 * _SLANT + 1
)  # of the prediction, at a distance of 2; 1 of the reference is at a distance of 1
DEEPMIND = [
    *(
        Case(f"DeepMind, 2 pixels, {metric}", masks, metric, expected, spacing)
        for masks, spacing in ((_TWO_PIXELS, (2.0, 1.0)), (_TWO_VOXELS, (3.0, 2.0, 1.0)))
        for metric, expected in (
            ("assd_area_mm", 1.5), ("hd_area_mm", 2.0), ("hd95_area_mm", 2.0), ("nsd_area", 0.5), ("dice", 0.0),
        )
    ),
    Case("DeepMind, 2 pixels, ASSD", _TWO_PIXELS, "assd_mm", 1.5, (2.0, 1.0), ours=2.0, reason=AREA),
    Case("DeepMind, 2 pixels, NSD", _TWO_PIXELS, "nsd", 0.5, (2.0, 1.0), ours=0.0, reason=AREA),
    Case("DeepMind, squares, hd", _SQUARES, "hd_area_mm", 2.0, (2.0, 1.0)),
    Case("DeepMind, squares, average", _SQUARES, "assd_area_mm", (1 + 2 * _FAR) / (_OURS + _THEIRS), (2.0, 1.0)),
    Case("DeepMind, squares, nsd", _SQUARES, "nsd_area", 1 - _FAR / (_OURS + _THEIRS), (2.0, 1.0)),
    Case("DeepMind, halves, hd", _HALVES, "hd_area_mm", 2.0, (2.0, 1.0, 1.0)),
    Case("DeepMind, halves, hd 95", _HALVES, "hd95_area_mm", 2.0, (2.0, 1.0, 1.0)),
    Case("DeepMind, halves, average", _HALVES, "assd_area_mm", (0.322 + 0.339) / 2, (2.0, 1.0, 1.0), 1e-3),
    Case("DeepMind, halves, nsd", _HALVES, "nsd_area", 0.836, (2.0, 1.0, 1.0), 1e-3),
    Case("DeepMind, halves, dice", _HALVES, "dice", 0.990, (2.0, 1.0, 1.0), 1e-3),
    Case("DeepMind, no prediction, nsd", _NO_PREDICTION, "nsd_area", 0.0),
    Case("DeepMind, no prediction, dice", _NO_PREDICTION, "dice", 0.0),
    Case("DeepMind, no prediction, hd", _NO_PREDICTION, "hd_area_mm", np.inf, reason=EMPTY),
    Case("DeepMind, nothing, nsd", _NOTHING, "nsd_area", None),
    Case("DeepMind, nothing, dice", _NOTHING, "dice", None),
    Case("DeepMind, nothing, hd", _NOTHING, "hd_area_mm", np.inf, reason=EMPTY),
]  # fmt: skip

_FOUR = ((0, 1), (1, 0), (0, -1), (-1, 0))
SKIMAGE = [
    Case("scikit-image, simple", partial(points, (7, 1), [(3, 0)], [(6, 0)]), "hd_mm", 3.0),
    *(
        Case(f"scikit-image, {a} {b}", partial(points, (7, 7), [a], [b]), "hd_mm", hypot(a[0] - b[0], a[1] - b[1]))
        for a, b in [
            *product([(0, 0), (3, 0), (1, 4), (4, 1)], repeat=2),
            *product([(5, 4), (4, 5), (3, 4), (4, 3)], [(6, 4), (2, 6), (2, 4), (4, 0)]),
        ]
    ),
    *(
        Case(f"scikit-image, {a} {b}", partial(points, (3, 3, 3), [a], [b]), "hd_mm",
             np.linalg.norm(np.subtract(a, b)))
        for a, b in product([(0, 0, 1), (0, 1, 0), (1, 0, 0)], [(0, 0, 2), (0, 2, 0), (2, 0, 0)])
    ),
    Case("scikit-image, gallery",
         partial(points, (60, 60), [(30 + 10 * x, 30 + 10 * y) for x, y in _FOUR],
                 [(30 + 15 * x, 30 + 20 * y) for x, y in _FOUR]), "hd_mm", 10.0),
    Case("scikit-image, empty", _NO_PREDICTION, "hd_mm", 0.0, reason=EMPTY),
]  # fmt: skip

_HOLLOW = partial(boxes, (5, 5, 5), [S[2, 2, 2]], [S[1:4, 1:4, 1:4]])
MEDPY = [
    Case("MedPy, assd, identity", partial(boxes, (1, 2), [S[0, 0]], [S[0, 0]]), "assd_mm", 0.0),
    Case("MedPy, assd, distance", partial(boxes, (1, 2), [S[0, 0]], [S[0, 1]]), "assd_mm", 1.0),
    Case("MedPy, assd, spacing", partial(boxes, (1, 2), [S[0, 0]], [S[0, 1]]), "assd_mm", 2.0, (1.0, 2.0)),
    *(
        Case(f"MedPy, surface, {metric}, {name}", masks, metric, expected)
        for name, masks, hd, assd in (
            ("corners", partial(points, (2, 2, 2), [(0, 0, 0)], [(1, 1, 1)]), sqrt(3), sqrt(3)),
            ("diagonal", partial(points, (4, 4, 4), [(0,) * 3], [(n,) * 3 for n in range(4)]),
             5.196152423, 2.078460969),
            ("hollow", lambda: (_HOLLOW()[0], _HOLLOW()[1] & ~_HOLLOW()[0]), 1.73205080757, 1.40099885959),
        )
        for metric, expected in (("hd_mm", hd), ("assd_mm", assd))
    ),
]  # fmt: skip

_MOVED = partial(boxes, (8, 8), [S[2:6, 2:6]], [S[2:6, 3:7]])
TORCHMETRICS = [
    Case("TorchMetrics, dice, class 1", partial(boxes, (10, 10), [S[:3, :3]], [S[:6, :6]]), "dice", 0.4),
    Case("TorchMetrics, dice, class 3", partial(boxes, (10, 10), [S[8:, 8:]], [S[6:, 6:]]), "dice", 0.4),
    Case("TorchMetrics, dice, false alarm", partial(boxes, (10, 10), [S[:2, :2]], []), "dice", 0.0),
    Case("TorchMetrics, dice, nothing", _NOTHING, "dice", None),
    Case("TorchMetrics, surface dice, same", partial(boxes, (8, 8), [S[2:6, 2:6]], [S[2:6, 2:6]]), "nsd_area", 1.0),
    Case("TorchMetrics, surface dice, moved", _MOVED, "nsd_area", 1.0),
    Case("TorchMetrics, surface dice, false alarm", partial(boxes, (8, 8), [S[2:6, 2:6]], []), "nsd_area", 0.0),
    Case("TorchMetrics, surface dice, nothing", _NOTHING, "nsd_area", None),
]  # fmt: skip

NNUNET = [
    Case("nnU-Net, empty", _NOTHING, "dice", None),
    Case("nnU-Net, no prediction", _NO_PREDICTION, "iou", 0.0),
]

CASES = [*MONAI, *RELOADED, *DEEPMIND, *SKIMAGE, *MEDPY, *TORCHMETRICS, *NNUNET]
