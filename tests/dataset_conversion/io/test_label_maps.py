import gzip

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import affine
from dataset_conversion.io.label_maps import by_name, looks_like_labels, read_mask
from dataset_conversion.io.label_names import labels_of
from dataset_conversion.labels import Labels
from tests.dataset_conversion.making import AFFINE, ct, labels, nifti


def slicer(path, array, segments):
    """Write a .seg.nrrd: array (z, y, x) or (z, y, x, layer), segments (name, layer, value)."""
    fields = []
    for i, (name, layer, value) in enumerate(segments):
        fields.append(f"Segment{i}_ID:=Segment_{i + 1}\nSegment{i}_Name:={name}")
        if layer is not None:
            fields.append(f"Segment{i}_Layer:={layer}\nSegment{i}_LabelValue:={value}")
    layers = array.shape[3] if array.ndim == 4 else None
    z, y, x = array.shape[:3]
    steps = " ".join(f"({','.join(str(v) for v in AFFINE[:3, i])})" for i in range(3))
    head = [
        "NRRD0004",
        "type: unsigned char",
        f"dimension: {4 if layers else 3}",
        "space: left-posterior-superior",
        f"sizes: {f'{layers} ' if layers else ''}{x} {y} {z}",
        f"space directions: {'none ' if layers else ''}{steps}",
        f"kinds: {'list ' if layers else ''}domain domain domain",
        "encoding: gzip",
        f"space origin: ({','.join(str(v) for v in AFFINE[:3, 3])})",
        *fields,
    ]
    body = gzip.compress(np.ascontiguousarray(array, np.uint8).tobytes())
    path.write_bytes(("\n".join(head) + "\n\n").encode() + body)
    return path


def array_of(mask):
    return sitk.GetArrayFromImage(mask.image)


def test_floats_within_a_thousandth_are_rounded(tmp_path):
    path = nifti(tmp_path / "m.nii.gz", labels() * np.float32(0.9999))
    np.testing.assert_array_equal(array_of(read_mask(path)), labels())


def test_fractions_stop(tmp_path):
    path = nifti(tmp_path / "m.nii.gz", labels() * np.float32(0.99))
    with pytest.raises(
        DatasetError, match=r"not a label map: \d+ voxels have fractions such as 0.99"
    ):
        read_mask(path)


def test_scale_factors_stop_and_show_both_readings(tmp_path):
    path = nifti(tmp_path / "m.nii.gz", labels())
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[112:120] = np.array([2, 0], "<f4").tobytes()
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(DatasetError, match=r"stored values \[0, 1, 2\] mean \[0, 2, 4\]"):
        read_mask(path)


def test_an_image_is_not_a_mask(tmp_path):
    with pytest.raises(DatasetError, match="not a label map: values from -"):
        read_mask(nifti(tmp_path / "a_mask.nii.gz", ct()))
    with pytest.raises(DatasetError, match=r"not a label map: \d+ distinct values"):
        read_mask(nifti(tmp_path / "b_mask.nii.gz", ct().astype(np.int32) + 1000))


def test_content_distinguishes_labels_from_images(tmp_path):
    assert looks_like_labels(nifti(tmp_path / "a.nii.gz", labels()))
    assert not looks_like_labels(nifti(tmp_path / "b.nii.gz", ct()))


def test_a_colour_mask_stops(tmp_path):
    rgb = sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True)
    sitk.WriteImage(rgb, str(tmp_path / "m.nrrd"))
    with pytest.raises(DatasetError, match="3 values per voxel"):
        read_mask(tmp_path / "m.nrrd")


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


def test_overlapping_segments_stop(tmp_path):
    layers = np.stack([labels() == 1, labels() > 0], axis=-1)
    path = slicer(tmp_path / "m.seg.nrrd", layers, [("A", 0, 1), ("B", 1, 1)])
    count = int((labels() == 1).sum())
    with pytest.raises(DatasetError, match=f"'A' and 'B' overlap in {count} voxels"):
        read_mask(path)


def test_a_value_without_a_segment_stops(tmp_path):
    path = slicer(tmp_path / "m.seg.nrrd", labels(), [("A", 0, 1)])
    with pytest.raises(DatasetError, match=r"values \[2\] in layer 0 belong to no segment"):
        read_mask(path)


def test_names_take_precedence_over_values(tmp_path):
    mask = read_mask(slicer(tmp_path / "m.seg.nrrd", labels(), [("ILIUM", 0, 1), ("sacrum", 0, 2)]))
    wanted = Labels({"Sacrum": 1, "ilium": 2})
    swapped = np.array([0, 2, 1])[labels()]
    np.testing.assert_array_equal(array_of(by_name(mask, wanted, "p")), swapped)


def test_values_apply_if_no_name_matches(tmp_path):
    mask = read_mask(slicer(tmp_path / "m.seg.nrrd", labels(), [("x", 0, 1), ("y", 0, 2)]))
    same = by_name(mask, Labels({"sacrum": 1, "ilium": 2}), "p")
    np.testing.assert_array_equal(array_of(same), labels())


def test_a_segment_that_is_not_listed_stops_or_is_dropped(tmp_path):
    mask = read_mask(slicer(tmp_path / "m.seg.nrrd", labels(), [("a", 0, 1), ("b", 0, 2)]))
    with pytest.raises(DatasetError, match=r"p: segments \['b'\] are not listed.*--drop 2"):
        by_name(mask, Labels({"a": 5}), "p")
    dropped = by_name(mask, Labels({"a": 5}, drop=(2,)), "p")
    np.testing.assert_array_equal(array_of(dropped), (labels() == 1) * 5)


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
