import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms.sij_anatomy import LEFT, RIGHT, SACRUM, scan
from dataset_conversion.phantoms.sij_ct import write_patients

TINY = {"shape": (8, 32, 32), "spacing": (11.84, 11.84, 12.0)}


@pytest.fixture(scope="module")
def person():
    shape, spacing = (24, 256, 256), (1.48, 1.48, 4.0)
    return (*scan(shape, spacing, np.random.default_rng(5)), spacing)


def test_intensities_are_those_of_the_tissues(person):
    hu, labels, _ = person
    sacrum = hu[labels == SACRUM]
    assert 150 < np.median(sacrum) < 300
    assert np.percentile(sacrum, 98) > 750
    assert hu[12, 0, 0] == -1024
    air = hu[12, 20, 128].astype(int)  # in the field of view, in front of the body
    assert abs(air + 1000) < 150


def test_noise_has_its_sd_and_is_correlated(person):
    hu, _, _ = person
    air = hu[:, 10:30, 110:146].astype(float)
    assert np.std(hu[:, 226:236, 120:136]) < 60
    pairs = np.corrcoef(air[..., :-1].ravel(), air[..., 1:].ravel())[0, 1]
    assert pairs > 0.4


def test_left_is_left_and_the_sides_mirror_each_other(person):
    _, labels, _ = person
    columns = np.arange(labels.shape[2]) - (labels.shape[2] - 1) / 2
    mean = {v: (labels == v).sum((0, 1)) @ columns / (labels == v).sum() for v in (1, 2, 3)}
    assert mean[LEFT] > 20 > abs(mean[SACRUM])  # x grows to the left
    assert mean[RIGHT] == pytest.approx(-mean[LEFT], abs=12)
    left, right = (labels == LEFT).sum(), (labels == RIGHT).sum()
    assert left == pytest.approx(right, rel=0.1)


def test_the_joint_keeps_the_bones_apart(person):
    _, labels, _ = person
    sacrum = labels == SACRUM
    grown = sacrum.copy()
    for axis in (1, 2):
        grown |= np.roll(sacrum, 1, axis) | np.roll(sacrum, -1, axis)
    assert not (grown & (labels >= LEFT)).any()  # 2 mm at least, with pixels of 1.5 mm
    for _ in range(3):
        step = grown.copy()
        for axis in (1, 2):
            step |= np.roll(grown, 1, axis) | np.roll(grown, -1, axis)
        grown = step
    for side in (LEFT, RIGHT):
        assert (grown & (labels == side)).sum() > 100  # but they meet


def test_files_are_like_those_of_a_scanner(tmp_path):
    (truth,) = write_patients(tmp_path, 1, **TINY)
    files = sorted(truth.image.iterdir())
    headers = [pydicom.dcmread(path) for path in files]
    heights = [float(h.ImagePositionPatient[2]) for h in headers]
    assert heights == sorted(heights, reverse=True)
    first = headers[0]
    assert (first.RescaleSlope, first.RescaleIntercept, first.PixelRepresentation) == (1, -1024, 0)
    assert first.BitsAllocated == 16
    uids = [h.SOPInstanceUID for h in headers]
    assert len(set(uids)) == len(files)
    assert all(uid.is_valid for uid in uids)
    assert first.PatientName
    mask = sitk.ReadImage(str(truth.mask))
    assert mask.GetOrigin() == pytest.approx([float(v) for v in headers[-1].ImagePositionPatient])
    assert mask.GetSpacing() == pytest.approx(TINY["spacing"])


def test_an_unknown_mask_format_stops(tmp_path):
    with pytest.raises(DatasetError, match="'stl'; allowed: nifti"):
        write_patients(tmp_path, 1, masks="stl", **TINY)
