"""Measures for thin structures: IoU of the boundaries, and Dice of the centre lines."""

from __future__ import annotations

import numpy as np

from nnunet_plugins.evaluation.surfaces import Mask, surface


def boundary_iou(a: Mask, b: Mask) -> float:
    """IoU of the surface voxels of two masks that are not empty.

    Boundary IoU (Cheng et al. 2021, https://arxiv.org/abs/2103.16562) at a distance of one voxel, as Metrics Reloaded
    computes it.

    >>> a, b = np.zeros((2, 6, 6), dtype=bool)
    >>> a[1:5, 1:5] = b[1:5, 1:4] = True  # 12 and 10 surface voxels, 8 of both
    >>> round(boundary_iou(a, b), 3)
    0.571
    """
    ours, theirs = surface(a), surface(b)
    return float(np.count_nonzero(ours & theirs) / np.count_nonzero(ours | theirs))


def centre_line_dice(prediction: Mask, reference: Mask) -> float:
    """ClDice of two masks that are not empty (Shit et al. 2021, https://arxiv.org/abs/2003.07311).

    Harmonic mean of the share of the prediction's centre line within the reference, and of the reference's within
    the prediction. Centre lines are scikit-image's skeletons (Zhang in two dimensions, Lee in three), which are
    independent of the voxel size.

    >>> a, b = np.zeros((2, 5, 20), dtype=bool)
    >>> a[1:4, 1:19] = b[1:4, 1:10] = True
    >>> 0.6 < centre_line_dice(b, a) < 0.7
    True
    """
    from skimage.morphology import skeletonize

    predicted, true = (skeletonize(np.pad(mask, 1)) for mask in (prediction, reference))
    predicted, true = (one[(slice(1, -1),) * one.ndim] != 0 for one in (predicted, true))
    precision = np.count_nonzero(predicted & reference) / max(1, np.count_nonzero(predicted))
    recall = np.count_nonzero(true & prediction) / max(1, np.count_nonzero(true))
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0
