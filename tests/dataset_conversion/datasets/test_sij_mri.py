import gzip
import json

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.datasets.sij_mri import Options, convert
from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms.sij_mri import write_patients
from tests.dataset_conversion.making import tree
from tests.dataset_conversion.world import (
    check_labels,
    check_values,
    count,
    orientation,
    points,
    read,
    stored,
)

pytestmark = pytest.mark.usefixtures("no_picture")

NAME = "Dataset672_SacroiliacMRI"


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    """Three patients, the second negative; do not write here."""
    folder = tmp_path_factory.mktemp("sij_mri")
    return folder, write_patients(folder, 3)


def run(source, raw, **options):
    return convert(source, raw, 672, options=Options(**{"allow_empty": True, **options}))


@pytest.fixture(scope="module")
def converted(hospital, no_picture, tmp_path_factory):
    raw = tmp_path_factory.mktemp("raw")
    return run(hospital[0], raw, keep_names=True), raw / NAME


def test_every_voxel_is_where_it_was(hospital, converted):
    report, folder = converted
    assert report.written == 3
    for truth in hospital[1]:
        mask = folder / "labelsTr" / f"{truth.name}.nii.gz"
        image = folder / "imagesTr" / f"{truth.name}_0000.nii.gz"
        assert check_labels(mask, truth.labels, {1: 1}) == count(truth.mask)
        check_values(image, truth.image)
        assert orientation(mask) == orientation(image) == "LPS"
    assert [count(truth.mask) > 0 for truth in hospital[1]] == [True, False, True]


def test_the_tilt_of_the_slices_is_kept(hospital, converted):
    matrix = read(converted[1] / "imagesTr" / "patient001_0000.nii.gz")[1]
    normal = matrix[:3, 1] / np.linalg.norm(matrix[:3, 1])  # y runs through coronal slices
    assert np.degrees(np.arccos(abs(normal[1]))) == pytest.approx(25, abs=0.01)
    assert np.linalg.norm(matrix[:3, :3], axis=0) == pytest.approx([4, 14, 4], abs=1e-4)


def test_labels_and_channel(converted):
    entry = json.loads((converted[1] / "dataset.json").read_text())
    assert entry["labels"] == {"background": 0, "fat metaplasia": 1}
    assert entry["channel_names"] == {"0": "T1"}


def test_a_patient_without_fat_metaplasia_needs_permission(hospital, tmp_path):
    with pytest.raises(DatasetError, match=r"patient002: the mask is empty.*--allow-empty"):
        run(hospital[0], tmp_path, allow_empty=False)
    assert not (tmp_path / NAME).exists()


def test_ids_and_files_tell_nothing_of_the_person(hospital, tmp_path):
    report = run(hospital[0], tmp_path)
    assert all(name.startswith("sijmr_") for name in report.cases)
    for name, content in tree(tmp_path).items():
        whole = gzip.decompress(content) if name.endswith(".gz") else content
        for secret in (b"Ferro", b"Lindqvist", b"PHANTOM-MR", b"patient00"):
            assert secret not in whole, name
            assert secret.decode() not in name


def test_a_salt_that_is_missing_is_told_once(hospital, tmp_path):
    with pytest.raises(DatasetError) as stopped:
        run(hospital[0], tmp_path, salt=tmp_path / "none")
    assert str(stopped.value).count("the salt cannot be read") == 1


def test_the_paper_s_voxels(hospital, tmp_path):
    report = run(hospital[0], tmp_path, spacing=(2.5, 3.0, 7.0), keep_names=True)
    assert "done to each case: Resample, spacing 2.5 x 3 x 7\n" in f"{report}\n"
    for truth in hospital[1]:
        image = tmp_path / NAME / "imagesTr" / f"{truth.name}_0000.nii.gz"
        mask = tmp_path / NAME / "labelsTr" / f"{truth.name}.nii.gz"
        values, matrix = read(image)
        source, placed = stored(truth.image)
        assert np.linalg.norm(matrix[:3, :3], axis=0) == pytest.approx([2.5, 7.0, 3.0], abs=1e-4)
        # The first edges of the volume stay where they were; the last move by half a voxel at most.
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
    """Outermost corners of a volume, LPS mm; the first is the one before all voxels."""
    ends = np.array([[-0.5, n - 0.5] for n in shape])
    index = np.array([(x, y, z) for x in ends[0] for y in ends[1] for z in ends[2]])
    return index @ matrix[:3, :3].T + matrix[:3, 3]


def assert_linear(values, where, source):
    """Values at fractional indices are the weighted mean of the eight voxels around."""
    inside = ((where >= 0) & (where <= np.array(source.shape) - 1)).all(-1)
    low = np.clip(np.floor(where + 1e-9), 0, np.array(source.shape) - 2).astype(int)
    share = where - low
    expected = np.zeros(values.shape)
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(np.array(corner), share, 1 - share), axis=-1)
        expected += weight * source[tuple(low[..., a] + corner[a] for a in range(3))]
    np.testing.assert_allclose(values[inside], expected[inside], atol=0.2)


def test_voxels_that_are_right_already_stay(hospital, converted, tmp_path):
    run(hospital[0], tmp_path, spacing=(4.0, 4.0, 14.0), keep_names=True)
    for kind in ("imagesTr/patient001_0000.nii.gz", "labelsTr/patient001.nii.gz"):
        same, plain = read(tmp_path / NAME / kind), read(converted[1] / kind)
        np.testing.assert_allclose(same[0], plain[0], atol=1e-3)
        np.testing.assert_allclose(same[1], plain[1], atol=1e-3)


def test_voxels_that_cannot_be_meant():
    with pytest.raises(DatasetError, match=r"--spacing 1 1 700: 0.05 to 50 mm are allowed"):
        Options(spacing=(1.0, 1.0, 700.0))


def test_volumes_instead_of_dicom(hospital, converted, tmp_path):
    for truth in hospital[1]:
        folder = tmp_path / "src" / truth.name
        folder.mkdir(parents=True)
        values = stored(truth.image)[0]
        image = sitk.GetImageFromArray(values.T.astype(np.int16))
        mask = sitk.ReadImage(str(truth.mask))
        image.CopyInformation(mask)
        sitk.WriteImage(image, str(folder / "t1.nii.gz"))
        sitk.WriteImage(mask, str(folder / "mask.nii.gz"))
    run(tmp_path / "src", tmp_path / "raw", keep_names=True)
    for truth in hospital[1]:
        mask = tmp_path / "raw" / NAME / "labelsTr" / f"{truth.name}.nii.gz"
        assert check_labels(mask, truth.labels, {1: 1}) == count(truth.mask)
        check_values(
            tmp_path / "raw" / NAME / "imagesTr" / f"{truth.name}_0000.nii.gz", truth.image
        )


def test_a_ct_among_the_patients_stops(tmp_path):
    from dataset_conversion.phantoms.sij_ct import write_patients as write_ct

    write_patients(tmp_path / "src", 1)
    write_ct(tmp_path / "ct", 1)
    (tmp_path / "ct" / "patient001").rename(tmp_path / "src" / "patient009")
    with pytest.raises(DatasetError, match="patient009: DICOM Modality is CT, expected MR"):
        run(tmp_path / "src", tmp_path / "raw")


def test_a_value_besides_one_stops(hospital, tmp_path):
    write_patients(tmp_path / "src", 1)
    path = tmp_path / "src" / "patient001" / "mask.nii.gz"
    sitk.WriteImage(sitk.ReadImage(str(path)) * 2, str(path))
    with pytest.raises(DatasetError, match=r"patient001: label values \[2\] are not listed"):
        run(tmp_path / "src", tmp_path / "raw")
