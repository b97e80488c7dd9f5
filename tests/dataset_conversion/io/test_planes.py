import numpy as np
import pytest

from dataset_conversion.io.planes import PLANES

# Edge of the array (z, y, x) in LPS order for each letter: its axis and end.
EDGES = {"I": (0, 0), "S": (0, -1), "A": (1, 0), "P": (1, -1), "R": (2, 0), "L": (2, -1)}


@pytest.mark.parametrize("plane", PLANES, ids=lambda plane: plane.name)
def test_each_edge_of_a_plane_is_the_one_its_letter_names(plane):
    at = (2, 3, 4)
    sides = (np.s_[:, 0], np.s_[:, -1], np.s_[0], np.s_[-1])
    for letter, side in zip(plane.letters, sides, strict=True):
        volume = np.zeros((5, 6, 7), bool)
        axis, end = EDGES[letter]
        volume[(slice(None),) * axis + (end,)] = True
        cut = plane.cut(volume, at)
        assert cut.shape == tuple(volume.shape[axis] for axis in plane.axes)
        assert cut[side].all()
        assert cut.sum() == cut[side].size


def test_a_box_crops_the_plane_but_not_the_axis_across_it():
    volume = np.arange(5 * 6 * 7).reshape(5, 6, 7)
    box = (slice(1, 4), slice(2, 5), slice(0, 2))
    axial, coronal, sagittal = (plane.cut(volume, (0, 5, 6), box) for plane in PLANES)
    assert (axial == volume[0, 2:5, 0:2]).all()
    assert (coronal == volume[3:0:-1, 5, 0:2]).all()
    assert (sagittal == volume[3:0:-1, 2:5, 6]).all()
