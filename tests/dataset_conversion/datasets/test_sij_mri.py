import shutil

import numpy as np
import pytest

from dataset_conversion.datasets.sij_mri import Options, convert
from dataset_conversion.errors import DatasetError
from tests.dataset_conversion.datasets.comparing import (
    assert_absent,
    check_case,
    dataset_json,
    pair,
)
from tests.dataset_conversion.world import points, read, stored

pytestmark = pytest.mark.usefixtures("no_picture")

NAME = "Dataset672_SacroiliacMRI"


def run(source, raw, **options):
    return convert(source, raw, 672, options=Options(**{"allow_empty": True, **options}))


@pytest.fixture(scope="module")
def converted(sij_mri, no_picture, tmp_path_factory):
    raw = tmp_path_factory.mktemp("raw")
    return run(sij_mri[0], raw, keep_names=True), raw / NAME


@pytest.fixture
def one_patient(sij_mri, tmp_path):
    """A copy of the first patient that a test may change."""
    folder = tmp_path / "src"
    shutil.copytree(sij_mri[0] / "patient001", folder / "patient001")
    return folder


def test_voxels_keep_their_positions(sij_mri, converted):
    report, folder = converted
    assert report.written == 3
    labelled = [check_case(folder, truth, {1: 1}) > 0 for truth in sij_mri[1].values()]
    assert labelled == [True, False, True]


def test_the_tilt_of_the_slices_is_kept(converted):
    matrix = read(pair(converted[1], "patient001")[1])[1]
    normal = matrix[:3, 1] / np.linalg.norm(matrix[:3, 1])  # y runs through coronal slices
    assert np.degrees(np.arccos(abs(normal[1]))) == pytest.approx(25, abs=0.01)
    assert np.linalg.norm(matrix[:3, :3], axis=0) == pytest.approx([4, 14, 4], abs=1e-4)


def test_labels_and_channel(converted):
    entry = dataset_json(converted[1])
    assert entry["labels"] == {"background": 0, "fat metaplasia": 1}
    assert entry["channel_names"] == {"0": "T1"}


def test_a_patient_without_fat_metaplasia_needs_permission(sij_mri, tmp_path):
    with pytest.raises(DatasetError, match=r"patient002: the mask is empty.*--allow-empty"):
        run(sij_mri[0], tmp_path, allow_empty=False)
    assert not (tmp_path / NAME).exists()


def test_ids_and_files_do_not_identify_the_person(sij_mri, tmp_path):
    report = run(sij_mri[0], tmp_path)
    assert all(name.startswith("sijmr_") for name in report.cases)
    assert_absent((b"Ferro", b"Lindqvist", b"PHANTOM-MR", b"patient00"), tmp_path)


def test_a_missing_salt_is_reported_once(sij_mri, tmp_path):
    with pytest.raises(DatasetError) as stopped:
        run(sij_mri[0], tmp_path, salt=tmp_path / "none")
    assert str(stopped.value).count("the salt cannot be read") == 1


def test_the_voxel_size_of_the_paper(sij_mri, tmp_path):
    report = run(sij_mri[0], tmp_path, spacing=(2.5, 3.0, 7.0), keep_names=True)
    assert "done to each case: Resample, spacing 2.5 x 3 x 7\n" in f"{report}\n"
    for truth in sij_mri[1].values():
        mask, image = pair(tmp_path / NAME, truth.name)
        values, matrix = read(image)
        source, placed = stored(truth.image)
        assert np.linalg.norm(matrix[:3, :3], axis=0) == pytest.approx([2.5, 7.0, 3.0], abs=1e-4)
        # The edges at index 0 stay in place; the others move by at most half a voxel.
        first, *_, last = corners(values.shape, matrix)
        before = corners(source.shape, placed)
        assert np.linalg.norm(before - first, axis=1).min() < 1e-2
        assert np.linalg.norm(before - last, axis=1).min() < 4
        labels = read(mask)[0]
        assert read(mask)[1] == pytest.approx(matrix)
        where = points(values.shape, np.linalg.inv(placed) @ matrix)
        assert_linear(values, where, source)
        drawn, at = stored(truth.mask)
        index = points(labels.shape, np.linalg.inv(at) @ matrix)
        near = np.clip(np.rint(index), 0, np.array(drawn.shape) - 1).astype(int)
        tie = (np.abs(index - np.floor(index) - 0.5) < 1e-3).any(-1)
        expected = drawn[tuple(near[..., axis] for axis in range(3))]
        np.testing.assert_array_equal(labels[~tie], expected[~tie])
        before, after = (drawn > 0).sum() * 4 * 4 * 14, (labels > 0).sum() * 2.5 * 3.0 * 7
        assert after == pytest.approx(before, rel=0.1)


def corners(shape, matrix):
    """Outer corners of a volume, LPS mm, starting at index -0.5."""
    ends = np.array([[-0.5, n - 0.5] for n in shape])
    index = np.array([(x, y, z) for x in ends[0] for y in ends[1] for z in ends[2]])
    return index @ matrix[:3, :3].T + matrix[:3, 3]


def assert_linear(values, where, source):
    """Assert that values at fractional indices are weighted means of the eight neighbours."""
    inside = ((where >= 0) & (where <= np.array(source.shape) - 1)).all(-1)
    low = np.clip(np.floor(where + 1e-9), 0, np.array(source.shape) - 2).astype(int)
    share = where - low
    expected = np.zeros(values.shape)
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(np.array(corner), share, 1 - share), axis=-1)
        expected += weight * source[tuple(low[..., a] + corner[a] for a in range(3))]
    np.testing.assert_allclose(values[inside], expected[inside], atol=0.2)


def test_the_present_voxel_size_changes_nothing(sij_mri, converted, tmp_path):
    run(sij_mri[0], tmp_path, spacing=(4.0, 4.0, 14.0), keep_names=True)
    for kind in ("imagesTr/patient001_0000.nii.gz", "labelsTr/patient001.nii.gz"):
        same, plain = read(tmp_path / NAME / kind), read(converted[1] / kind)
        np.testing.assert_allclose(same[0], plain[0], atol=1e-3)
        np.testing.assert_allclose(same[1], plain[1], atol=1e-3)


def test_invalid_voxel_sizes_stop():
    with pytest.raises(DatasetError, match=r"--spacing 1 1 700: 0.05 to 50 mm are allowed"):
        Options(spacing=(1.0, 1.0, 700.0))


def test_a_ct_among_the_patients_stops(one_patient, phantoms, tmp_path):
    shutil.copytree(phantoms / "patient001", one_patient / "patient009")
    with pytest.raises(DatasetError, match="patient009: DICOM Modality is CT, expected MR"):
        run(one_patient, tmp_path / "raw")
