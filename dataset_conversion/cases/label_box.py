"""The box around the labels of a label map."""

from __future__ import annotations

import numpy as np


def label_box(mask: np.ndarray) -> tuple[slice, slice, slice] | None:
    """Return the smallest box (z, y, x) that holds all voxels other than 0; None without any.

    >>> mask = np.zeros((4, 5, 6), np.uint8)
    >>> mask[1, 2:4, 5] = 1
    >>> label_box(mask)
    (slice(1, 2, None), slice(2, 4, None), slice(5, 6, None))
    """
    # Two passes along memory, as reductions over short inner axes are slow.
    plane = mask.max(axis=0)
    used = [np.flatnonzero(found) for found in
            (mask.reshape(len(mask), -1).max(axis=1), plane.max(axis=1), plane.max(axis=0))]  # fmt: skip
    if not used[0].size:
        return None
    z, y, x = (slice(int(found[0]), int(found[-1]) + 1) for found in used)
    return z, y, x
