"""Label maps from the mean of several models' probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.probabilities import classes, shape_of


def averaged_labels(files: Sequence[Path], order: Sequence[int] | None = None) -> NDArray[Any]:
    """Label map (z, y, x) of the mean of the probabilities in several .npz files.

    The files are read side by side, one class at a time: memory is that of a few maps, whatever the number of
    classes and models. The result is that of nnUNetv2_ensemble.

    Args:
        files: one per model, with the same shape.
        order: values of the regions (regions_class_order), the later over the earlier, where the mean is above 0.5;
            without it, the label is the first class of the largest mean.

    Raises:
        UserError: the files have different shapes, or cannot be read.
    """
    shapes = [shape_of(path) for path in files]
    for path, shape in zip(files, shapes, strict=True):
        if shape != shapes[0] or (order is not None and len(order) != shape[0]):
            raise UserError(
                f"{path}: probabilities of shape {shape}; expected {shapes[0]} as in {files[0].parent}"
                + (f" with {len(order)} regions" if order is not None else "")
            )
    labels = np.zeros(shapes[0][1:], np.uint16)
    best: NDArray[Any] | None = None
    for index, maps in enumerate(zip(*map(classes, files), strict=True)):
        mean = maps[0]
        for one in maps[1:]:
            mean += one
        mean /= len(files)
        if order is not None:
            labels[mean > 0.5] = order[index]
        elif best is None:
            best = mean
        else:
            larger = mean > best
            labels[larger] = index
            np.copyto(best, mean, where=larger)
    return labels
