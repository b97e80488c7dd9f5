"""Candidates for images that share slices."""

import numpy as np
import pytest

from dataset_conversion.cases.intensities import intensities
from dataset_conversion.cases.planes import shared_planes, sketch
from tests.dataset_conversion.making import ct


@pytest.mark.parametrize("kind", [np.int16, np.float32])
@pytest.mark.parametrize("crop", [np.s_[1:], np.s_[:-3], np.s_[:, 2:], np.s_[:, :, :-4]])
def test_a_part_shares_numbers_with_the_whole(kind, crop):
    whole = ct(1).astype(kind)
    part = whole[crop]
    assert len(set(sketch(whole)) & set(sketch(part))) >= 2
    count = max(size for size, of in zip(part.shape, whole.shape, strict=True) if size < of)
    assert shared_planes(whole, part) == count


def test_other_images_share_none():
    assert not set(sketch(ct(1))) & set(sketch(ct(2)))
    assert shared_planes(ct(1), ct(2)) == 0


def test_planes_of_air_and_flat_images_do_not_count():
    air = ct(1)
    air[:3] = -1000
    other = ct(2)
    other[:3] = -1000
    assert shared_planes(air, other) == 0
    assert sketch(np.zeros((4, 5, 6), np.int16)) == ()
    assert sketch(ct(1)[:1]) == sketch(ct(1)[0]) == ()


def test_label_maps_as_images_have_no_planes():
    assert intensities(np.arange(60).reshape(3, 4, 5) % 9).planes == ()
