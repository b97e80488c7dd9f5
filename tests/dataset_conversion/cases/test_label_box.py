"""The box around labels, also of arrays that are not contiguous."""

import numpy as np
import pytest

from dataset_conversion.cases.label_box import label_box


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_box_holds_all_labels_and_no_empty_plane(axes):
    rng = np.random.default_rng(0)
    mask = np.zeros((7, 8, 9), np.uint16)
    mask[2:5, 1:4, 6:9] = rng.integers(0, 3, (3, 3, 3))
    turned = mask.transpose(axes)
    box = label_box(turned)
    held = turned[box]
    assert np.count_nonzero(held) == np.count_nonzero(mask)
    assert all(np.moveaxis(held, a, 0)[[0, -1]].any(axis=(1, 2)).all() for a in range(3))


def test_no_label_has_no_box():
    assert label_box(np.zeros((3, 4, 5), np.uint8)) is None
