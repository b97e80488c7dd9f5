"""Phantoms of the MRI datasets, and what the phantoms of all datasets have in common."""

import csv

import numpy as np
import pydicom
import pytest

from dataset_conversion.datasets import csig as csig_converter
from dataset_conversion.datasets import hospital_ct, pengwin, verse
from dataset_conversion.datasets import sij_mri as sij_mri_converter
from dataset_conversion.datasets import spider as spider_converter
from dataset_conversion.phantoms import csig, sij_ct, sij_mri, spider
from dataset_conversion.phantoms.catalogue import WRITERS
from dataset_conversion.phantoms.spine_anatomy import ARCH, CANAL, DISC, SACRUM, T1, T2, Spine, scan
from dataset_conversion.phantoms.texture import clouds, rician, softened
from dataset_conversion.phantoms.writer import Grid
from tests.dataset_conversion.making import tree
from tests.dataset_conversion.world import check_labels, count, orientation, points, stored


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Four small patients per dataset (two of hospital-ct); read only."""
    folder = tmp_path_factory.mktemp("all")
    counts = {"hospital-ct": 2}
    return folder, {
        name: write(folder / name, counts.get(name, 4)) for name, write in WRITERS.items()
    }


@pytest.mark.parametrize("dataset", list(WRITERS))
def test_the_truth_equals_the_mask_at_every_voxel(written, dataset):
    for truth in written[1][dataset]:
        mask, matrix = stored(truth.mask)
        known = truth.labels(points(mask.shape, matrix))
        np.testing.assert_array_equal(known, mask)
        assert stored(truth.image)[1] == pytest.approx(matrix, abs=1e-3)
        # Outside the field of view nothing is labelled.
        beyond = points((3, 3, 3), matrix) + 500
        assert not truth.labels(beyond).any()


@pytest.mark.parametrize("dataset", list(WRITERS))
def test_a_seed_gives_the_same_bytes_and_more_patients_change_none(written, tmp_path, dataset):
    again = WRITERS[dataset](tmp_path / "again", 1)
    WRITERS[dataset](tmp_path / "other", 1, seed=1)
    few, all_, other = (
        {n: c for n, c in tree(folder).items() if not n.endswith((".csv", "dataset.json"))}
        for folder in (tmp_path / "again", written[0] / dataset, tmp_path / "other")
    )
    assert few.items() <= all_.items()
    written_images = {str(truth.image.relative_to(tmp_path / "again")) for truth in again}
    images = [name for name in few if name.startswith(tuple(written_images))]
    assert images
    assert all(few[name] != other.get(name) for name in images)


def test_full_size_is_that_of_the_scanner():
    assert spider.SIZES["full"] == Grid((420, 280, 17), (4.0, 0.6, 0.6))
    assert csig.SIZES["full"] == Grid((880, 880, 12), (4.4, 0.34, 0.34))
    assert sij_ct.SIZES["full"] == Grid((60, 512, 512), (0.74, 0.74, 1.5))
    assert sij_mri.SIZES["full"] == Grid((16, 320, 320), (0.8, 0.8, 7.0))


def test_spider_s_files(written):
    folder, truths = written[0] / "spider", written[1]["spider"]
    assert sorted(p.name for p in folder.iterdir()) == [
        "images", "masks", "overview.csv", "radiological_gradings.csv"]  # fmt: skip
    names = [truth.name for truth in truths]
    assert names == ["1_t1", "1_t2", "2_t1", "2_t2", "2_t2_SPACE", "4_t2", "5_t1", "5_t2"]
    for truth in truths:
        image, matrix = stored(truth.image)
        directions = np.sign(np.round(matrix[:3, :3], 6)).tolist()
        if "SPACE" in truth.name:  # x to the back, y to the feet, z to the right
            assert directions == [[0, 0, -1], [1, 0, 0], [0, -1, 0]]
            assert image.min() >= 0
        else:
            assert directions == np.eye(3).tolist()
            assert (image[:, 0] == -1000).all()
            assert (image[:, :, -1] == -1000).all()
            assert (image[image != -1000] >= 0).all()
        assert image.dtype == np.int16
        assert set(np.unique(stored(truth.mask)[0])) == {0, *range(1, 9), 100, *range(201, 209)}
    with (folder / "overview.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert len(rows[0]) == 39
    assert [row[0] for row in rows[1:]] == names
    assert {row[1] for row in rows[1:]} == {"training", "validation"}
    assert "F " in {row[4] for row in rows}


def test_csig_s_files(written):
    truths = written[1]["csig"]
    for number, truth in enumerate(truths, 1):
        assert truth.image.parts[-3:] == ("train", "MR", f"Case{number}.nii.gz")
        assert truth.mask.parts[-3:] == ("train", "Mask", f"mask_case{number}.nii.gz")
        assert orientation(truth.image) == "PIR"
        image, mask = stored(truth.image)[0], stored(truth.mask)[0]
        assert image.max() <= 2650
        missing = {10, 19} if number == 3 else set()
        assert set(np.unique(mask)) == set(range(20)) - missing
        assert not image[: len(image) // 5].any()  # black in front of the body
    assert stored(truths[3].image)[0].shape[0] > stored(truths[0].image)[0].shape[0]


def test_the_mri_s_slices_are_tilted_and_one_patient_is_negative(written):
    truths = written[1]["sij-mri"]
    header = pydicom.dcmread(next(truths[0].image.iterdir()))
    assert header.Modality == "MR"
    assert "RescaleIntercept" not in header
    rows = np.array(header.ImageOrientationPatient, float)
    normal = np.cross(rows[:3], rows[3:])
    assert np.degrees(np.arccos(abs(normal[1]))) == pytest.approx(25, abs=0.01)
    labelled = [bool(stored(truth.mask)[0].any()) for truth in truths]
    assert labelled == [True, False, True, True]


def test_fat_metaplasia_is_brighter_than_the_marrow_around(written):
    for truth in (written[1]["sij-mri"][0], written[1]["sij-mri"][2]):
        image, matrix = stored(truth.image)
        mask = stored(truth.mask)[0]
        bright, _, bone = truth.labels.__self__.tissue(points(image.shape, matrix))
        assert set(np.unique(bone[mask > 0])) == {1.0}
        assert bright[mask > 0].min() >= 550
        assert bright[mask > 0].max() <= 650
        marrow = np.median(image[bright == 350])
        assert marrow == pytest.approx(330, abs=50)
        assert np.median(image[mask > 0]) > 1.25 * marrow


@pytest.mark.parametrize(
    ("contrast", "bright", "dark"), [(T1, "fat", "canal"), (T2, "canal", "muscle")]
)
def test_tissues_have_their_brightness(contrast, bright, dark):
    spine = Spine.random(np.random.default_rng(4), levels=8, tall=240.0)
    axes = [np.arange(-20, 21, 5.0), np.arange(-80, 81, 2.0), np.arange(-118, 119, 2.0)]
    image, parts = scan(spine, axes, contrast, np.random.default_rng(5))
    median = {
        "fat": np.median(image[parts == -3]),
        "canal": np.median(image[parts == CANAL]),
        "muscle": np.median(image[parts == -2]),
        "bone": np.median(image[(parts > 0) & (parts < SACRUM)]),
    }
    assert median[bright] > 2.5 * median[dark]
    assert median["bone"] > median["muscle"]
    assert image.min() >= 0


def test_parts_of_the_spine_are_in_order():
    """Bodies one above the other with discs between, the canal behind, arches behind the canal."""
    spine = Spine.random(np.random.default_rng(2), levels=8, tall=240.0)
    grid = np.stack(np.meshgrid(np.arange(-24, 25, 3.0), np.arange(-90, 91, 1.5),
                                np.arange(-120, 121, 1.5), indexing="ij"), axis=-1)  # fmt: skip
    parts = spine.at(grid)
    centre = {int(code): grid[parts == code].mean(0) for code in np.unique(parts) if code > 0}
    heights = [centre[SACRUM][2]]
    for level in range(1, 9):
        heights += [centre[DISC + level][2], centre[level][2]]
        assert centre[ARCH + level][1] > centre[level][1] + 20  # to the back
        assert abs(centre[level][0] - spine.origin[0]) < 6
    assert heights == sorted(heights)
    assert centre[CANAL][1] > np.mean([centre[level][1] for level in range(1, 9)]) + 10


def test_rician_noise_and_clouds():
    rng = np.random.default_rng(0)
    still = rician(np.zeros((40, 40, 40), np.float32), 14.0, rng)
    assert still.mean() == pytest.approx(14 * np.sqrt(np.pi / 2), rel=0.02)  # Rayleigh
    loud = rician(np.full((40, 40, 40), 500, np.float32), 14.0, rng)
    assert loud.std() == pytest.approx(14, rel=0.03)
    field = clouds((30, 40, 50), rng, (4, 5, 6))
    assert field.std() == pytest.approx(1, abs=0.15)
    assert np.corrcoef(field[:, :, :-1].ravel(), field[:, :, 1:].ravel())[0, 1] > 0.9
    assert softened(np.full((5, 6, 7), 3.0, np.float32), (0, 2)) == pytest.approx(3.0)


def test_a_finer_grid_shows_the_same_patient(tmp_path):
    """The truth of a small phantom also holds for the demo size, as it is independent of voxels."""
    small = spider.write_patients(tmp_path / "small", 1)[0]
    finer = spider.write_patients(tmp_path / "finer", 1, size="demo")[0]
    mask, matrix = stored(finer.mask)
    where = points(mask.shape, matrix)
    both = (small.labels(where) > 0) & (mask > 0)
    agree = (small.labels(where) == mask)[both].mean()
    assert both.sum() > 0.85 * (mask > 0).sum()
    assert agree > 0.9


# The others have the volumes of hospital-ct.
@pytest.mark.integration
@pytest.mark.parametrize(
    "dataset", ["spider", "csig", "hospital-ct", "sij-mri", "verse", "pengwin"]
)
def test_full_size_arrives_voxel_for_voxel(tmp_path, no_picture, dataset):
    """`test_every_voxel_...` of each dataset does the same on small phantoms."""
    truths = WRITERS[dataset](tmp_path / "src", 1, size="full")
    module, options, table = {
        "spider": (spider_converter, {}, {**dict.fromkeys(range(1, 26), 1), 100: 2,
                                          **dict.fromkeys(range(201, 226), 3)}),
        "csig": (csig_converter, {}, {v: v for v in range(1, 20)}),
        "hospital-ct": (hospital_ct, {"keep_names": True, "labels": tmp_path / "src" / "labels.json"},
                        {v: v for v in range(1, 4)}),
        "sij-mri": (sij_mri_converter, {"keep_names": True, "allow_empty": True}, {1: 1}),
        "verse": (verse, {}, {**{v: v for v in range(1, 26)}, 28: 26}),
        "pengwin": (pengwin, {}, {1: 1, 11: 2, 12: 2, 21: 3, 22: 3}),
    }[dataset]  # fmt: skip
    report = module.convert(
        tmp_path / "src", tmp_path / "raw", 9, options=module.Options(**options)
    )
    for truth in truths:
        name = truth.name.lower() if dataset == "csig" else truth.name
        mask = report.dataset / "labelsTr" / f"{name}.nii.gz"
        assert check_labels(mask, truth.labels, table) == count(truth.mask)
