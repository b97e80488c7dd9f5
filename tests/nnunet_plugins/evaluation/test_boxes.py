"""Boxes, codes and joint counts are those of the plain definitions, whatever the values and shapes."""

import numpy as np
import pytest
from scipy.ndimage import find_objects

from nnunet_plugins.evaluation.boxes import around, box_of_both, boxes_of
from nnunet_plugins.evaluation.overlap import encode, joint_counts

SHAPES = [(1,), (7,), (1, 5), (6, 5), (4, 1, 3), (5, 6, 7), (3, 4, 1)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(5))
def test_boxes_are_scipys(shape, seed):
    image = (
        np.random.default_rng(seed).choice(6, shape, p=[0.6, 0.1, 0.1, 0.1, 0.1, 0]).astype("u1")
    )
    assert boxes_of(image, 6)[1:] == find_objects(image, 5)
    assert boxes_of(np.asfortranarray(image), 6)[1:] == find_objects(image, 5)


def test_a_box_holds_whole_lines():
    image = np.zeros((4, 4), dtype=np.uint8)
    image.ravel()[6:10] = 1  # from the middle of one line to the middle of the next
    assert boxes_of(image, 2)[1] == (slice(1, 3), slice(0, 4))


@pytest.mark.parametrize("seed", range(5))
def test_the_box_of_both_is_the_smallest(seed):
    random = np.random.default_rng(seed)
    a, b = (random.random((2, 6, 7, 8)) < 0.01).astype("u1")
    together = boxes_of((a | b).astype(int), 2)[1]
    assert box_of_both(a, b) == (together or (slice(0, 1),) * 3)


def test_no_box_is_around_nothing():
    assert around([None, None], 3) == (slice(0, 0),) * 3
    assert box_of_both(*np.zeros((2, 4, 5), dtype=int)) == (slice(0, 1),) * 2


@pytest.mark.parametrize("values", [[0, 1, 2], [0, 1, 7], [0, 9, 3], list(range(301))])
@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i8", "u8"])
def test_codes_are_places_in_the_list(values, kind):
    largest = min(np.iinfo(kind).max, 2**40)
    voxels = np.array([[0, 1, 2, 3], [7, 9, 100, largest]], dtype=kind)
    expected = [
        [values.index(v) if v in values else len(values) for v in row] for row in voxels.tolist()
    ]
    assert encode(voxels, values).tolist() == expected


@pytest.mark.parametrize("codes", [2, 15, 16, 17, 255, 300])
def test_joint_counts_do_not_overflow(codes):
    kind = np.min_scalar_type(codes)
    a = np.full((2, 3), codes - 1, dtype=kind)
    b = np.array([[0, codes - 1, codes - 1]] * 2, dtype=kind)
    joint = joint_counts(a, b, codes)
    assert joint[codes - 1, codes - 1] == 4
    assert joint[codes - 1, 0] == 2
    assert joint.sum() == 6
