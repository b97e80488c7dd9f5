import gzip

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import affine
from dataset_conversion.io.label_maps import by_name, looks_like_labels, read_mask
from dataset_conversion.io.label_names import labels_of, read_renames
from dataset_conversion.io.segments import Reading
from dataset_conversion.io.volumes import Header
from dataset_conversion.labels import Labels
from tests.dataset_conversion.making import AFFINE, ct, labels, nifti, slicer


def array_of(mask):
    return sitk.GetArrayFromImage(mask.image)


def test_floats_within_a_thousandth_are_rounded(tmp_path):
    path = nifti(tmp_path / "m.nii.gz", labels() * np.float32(0.9999))
    np.testing.assert_array_equal(array_of(read_mask(path)), labels())


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (labels() * np.float32(0.99), r"not a label map: \d+ voxels have fractions such as 0.99"),
        (ct(), "not a label map: values from -"),
        (ct().astype(np.int32) + 1000, r"not a label map: \d+ distinct values"),
        (
            np.full((2, 5, 4, 3), 7, np.uint8),
            r"2 values per voxel \(RGB, or a 4D mask\?\) of up to 7",
        ),
    ],
)
def test_what_is_not_a_label_map_stops(tmp_path, array, message):
    with pytest.raises(DatasetError, match=message):
        read_mask(nifti(tmp_path / "m.nii.gz", array), how=Reading(volumes=("a", "b")))


def test_scale_factors_and_colours_stop(tmp_path):
    content = bytearray(gzip.decompress(nifti(tmp_path / "m.nii.gz", labels()).read_bytes()))
    content[112:120] = np.array([2, 0], "<f4").tobytes()
    (tmp_path / "m.nii.gz").write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(DatasetError, match=r"stored values \[0, 1, 2\] mean \[0, 2, 4\]"):
        read_mask(tmp_path / "m.nii.gz")
    rgb = sitk.GetImageFromArray(np.full((4, 5, 6, 3), 200, np.uint8), isVector=True)
    sitk.WriteImage(rgb, str(tmp_path / "m.nrrd"))
    with pytest.raises(DatasetError, match="3 values per voxel"):
        read_mask(tmp_path / "m.nrrd")


@pytest.mark.parametrize(
    ("layers", "segments", "message"),
    [
        (np.stack([labels() == 1, labels() > 0], axis=-1), [("A", 0, 1), ("B", 1, 1)],
         f"'A' and 'B' overlap in {int((labels() == 1).sum())} voxels"),
        (labels(), [("A", 0, 1)], r"values \[2\] in layer 0 belong to no segment"),
    ],
)  # fmt: skip
def test_segments_that_overlap_or_lack_a_name_stop(tmp_path, layers, segments, message):
    with pytest.raises(DatasetError, match=message):
        read_mask(slicer(tmp_path / "m.seg.nrrd", layers, segments))


def test_content_distinguishes_labels_from_images(tmp_path):
    assert looks_like_labels(nifti(tmp_path / "a.nii.gz", labels()))
    assert not looks_like_labels(nifti(tmp_path / "b.nii.gz", ct()))


def test_one_layer_keeps_names_values_and_position(tmp_path):
    mask = read_mask(slicer(tmp_path / "m.seg.nrrd", labels(), [("A", 0, 1), ("B", 0, 2)]))
    assert mask.segments == {"A": 1, "B": 2}
    np.testing.assert_array_equal(array_of(mask), labels())
    np.testing.assert_allclose(affine(mask.image), AFFINE)


@pytest.mark.parametrize("old", [False, True], ids=["layers", "before Slicer 4.11"])
def test_layers_become_one_map(tmp_path, old):
    layers = np.stack([labels() == 1, labels() == 2], axis=-1)
    segments = [("A", None, None), ("B", None, None)] if old else [("A", 0, 1), ("B", 1, 1)]
    mask = read_mask(slicer(tmp_path / "m.seg.nrrd", layers, segments))
    assert mask.segments == {"A": 1, "B": 2}
    np.testing.assert_array_equal(array_of(mask), labels())


def test_names_take_precedence_over_values(tmp_path):
    mask = read_mask(slicer(tmp_path / "m.seg.nrrd", labels(), [("ILIUM", 0, 1), ("sacrum", 0, 2)]))
    wanted = Labels({"Sacrum": 1, "ilium": 2})
    swapped = np.array([0, 2, 1])[labels()]
    np.testing.assert_array_equal(array_of(by_name(mask, wanted, "p")), swapped)


def test_values_never_apply_if_names_do_not_match(tmp_path):
    mask = read_mask(slicer(tmp_path / "m.seg.nrrd", labels(), [("x", 0, 1), ("y", 0, 2)]))
    wanted = Labels({"sacrum": 1, "ilium": 2})
    with pytest.raises(
        DatasetError,
        match=r"p: 'x', 'y' are not labels.*in the mask: 'x', 'y'; labels: .*'sacrum', 'ilium'",
    ):
        by_name(mask, wanted, "p")
    renamed = by_name(mask, wanted, "p", read_renames(["x=ilium", "Y=sacrum"]))
    np.testing.assert_array_equal(array_of(renamed), np.array([0, 2, 1])[labels()])


def test_a_segment_that_is_not_listed_stops_or_is_dropped(tmp_path):
    mask = read_mask(slicer(tmp_path / "m.seg.nrrd", labels(), [("a", 0, 1), ("b", 0, 2)]))
    with pytest.raises(DatasetError, match=r"p: 'b' .*--rename 'b=LABEL'"):
        by_name(mask, Labels({"a": 5}), "p")
    dropped = by_name(mask, Labels({"a": 5}, drop=(2,)), "p")
    np.testing.assert_array_equal(array_of(dropped), (labels() == 1) * 5)
    removed = by_name(mask, Labels({"a": 5}), "p", read_renames(["b=background"]))
    np.testing.assert_array_equal(array_of(removed), (labels() == 1) * 5)


@pytest.mark.parametrize("segments", [[("fat", 0, 1)], []])
def test_a_segmentation_of_one_voxel_is_empty_on_the_grid_of_the_image(tmp_path, segments):
    path = slicer(tmp_path / "m.seg.nrrd", np.zeros((1, 1, 1), np.uint8), segments)
    mask = read_mask(path, Header((14, 12, 6), AFFINE))
    assert mask.values == [0]
    assert mask.image.GetSize() == (14, 12, 6)
    np.testing.assert_allclose(affine(mask.image), AFFINE)
    assert mask.segments == {name: value for name, _, value in segments}


def test_a_segmentation_without_segments_has_names_for_all_its_values(tmp_path):
    path = slicer(tmp_path / "m.seg.nrrd", np.zeros_like(labels()), [])
    assert read_mask(path).segments == {}


def one_hot(path, order=(1, 2)):
    made = nib.Nifti1Image(
        np.stack([(labels() == v).T for v in order], axis=-1).astype(np.uint8),
        np.diag([-1.0, -1, 1, 1]) @ AFFINE,
    )
    nib.save(made, path)
    return path


def test_one_label_per_volume_stops_until_the_labels_are_given(tmp_path):
    path = one_hot(tmp_path / "m.nii.gz", (2, 1))
    with pytest.raises(
        DatasetError, match=r"2 volumes of 0 and 1 .*one label per volume.*--volumes"
    ):
        read_mask(path)
    with pytest.raises(DatasetError, match=r"one label per volume, but --volumes has 1 names"):
        read_mask(path, how=Reading(volumes=("a",)))
    mask = read_mask(path, how=Reading(volumes=("B", "A")))
    table = np.zeros(3, np.uint8)
    table[[1, 2]] = mask.segments["A"], mask.segments["B"]
    np.testing.assert_array_equal(array_of(mask), table[labels()])
    np.testing.assert_allclose(affine(mask.image), AFFINE)


def test_background_as_a_volume_is_left_out(tmp_path):
    path = one_hot(tmp_path / "m.nii.gz", (0, 1, 2))
    mask = read_mask(path, how=Reading(volumes=("background", "A", "B")))
    np.testing.assert_array_equal(array_of(mask) > 0, labels() > 0)


def test_content_finds_a_mask_of_one_label_per_volume(tmp_path):
    assert looks_like_labels(one_hot(tmp_path / "a.nii.gz"))


def test_an_order_of_labels_decides_on_overlapping_layers(tmp_path):
    layers = np.stack([labels() == 1, labels() > 0], axis=-1)
    path = slicer(tmp_path / "m.seg.nrrd", layers, [("A", 0, 1), ("B", 1, 1)])
    wanted = Labels({"b": 1, "a": 2})
    first, last = (read_mask(path, how=Reading(wanted, overlaps=o)) for o in ("first", "last"))
    np.testing.assert_array_equal(array_of(first) == first.segments["B"], labels() > 0)
    np.testing.assert_array_equal(array_of(last) == last.segments["A"], labels() == 1)
    assert "structures overlap ('A', 'B'): the last label of each voxel is kept" in last.notes


def test_files_agree_by_name_in_any_order():
    files = [{"Sacrum": 1, "L": 2}, {"l": 1, "sacrum ": 2}, {"R": 3}]
    found = labels_of(files)
    assert {n.casefold(): v for n, v in found.names.items()} == {
        "background": 0, "l": 1, "sacrum": 2, "r": 3}  # fmt: skip
    assert labels_of(files[::-1]) == found


def test_a_real_slicer_file(shared_data):
    mask = read_mask(shared_data / "slicerio" / "Segmentation.seg.nrrd")
    assert mask.segments is not None
    assert mask.segments["right lung"] == 5
    assert mask.segments["left lung"] == 6
    lungs = {}
    for name in ("left lung", "right lung"):
        z, y, x = np.nonzero(array_of(mask) == mask.segments[name])
        middle = (x.mean(), y.mean(), z.mean())
        lungs[name] = mask.image.TransformContinuousIndexToPhysicalPoint(middle)[0]
    assert lungs["left lung"] > lungs["right lung"]  # LPS: x grows to the left


def test_a_real_float64_label_map(shared_data):
    mask = read_mask(shared_data / "sct" / "t2_cervical_seg_labeled_float64.nii.gz")
    assert len(mask.values) > 2
    assert mask.image.GetPixelID() == sitk.sitkUInt16


def test_volumes_of_one_label_are_its_parts(tmp_path):
    path = one_hot(tmp_path / "mask.nii.gz")
    mask = read_mask(path, how=Reading(volumes=("ilium", "ilium")))
    assert mask.segments == {"ilium": 1}
    np.testing.assert_array_equal(array_of(mask), (labels() > 0).astype(np.uint8))


def test_a_segment_without_a_name_stops(tmp_path):
    path = slicer(tmp_path / "m.seg.nrrd", labels(), [("", 0, 1), ("left ilium", 0, 2)])
    with pytest.raises(DatasetError, match=r"segments without a name \(value 1 in layer 0\)"):
        read_mask(path)
