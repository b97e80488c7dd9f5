"""Files: pairing, labels, and everything that makes two files incomparable."""

import numpy as np
import pytest
import SimpleITK

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation import evaluate
from nnunet_plugins.evaluation.cases import read, values_in
from nnunet_plugins.evaluation.pairs import find_pairs

LABELS = {"background": 0, "vertebra": 1, "disc": 2, "canal": 3}


@pytest.fixture
def folders(tmp_path, save, spine, declare):
    """Two perfect cases, in nnU-Net's layout."""
    prediction, reference = tmp_path / "pred", tmp_path / "Dataset001_Spine" / "labelsTr"
    for name in ("a", "b"):
        save(prediction / f"{name}.nii.gz", spine)
        save(reference / f"{name}.nii.gz", spine)
    declare(reference.parent, LABELS)
    return prediction, reference


def test_folders_are_paired_by_name(folders, save, spine):
    prediction, reference = folders
    save(prediction / "c.nii.gz", spine)
    pairs, notes = find_pairs(prediction, reference)
    assert [pair.name for pair in pairs] == ["a", "b"]
    assert notes == ["left out: 1 prediction without reference: c"]


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_every_ending(tmp_path, save, spine, ending):
    prediction = save(tmp_path / f"p{ending}", spine)
    reference = save(tmp_path / f"r{ending}", spine)
    scores = evaluate(prediction, reference)
    assert [case.name for case in scores.cases] == ["r"]
    assert scores.mean_foreground_dice == 1
    assert scores.cases[0].spacing == pytest.approx((3.0, 0.5, 0.8))


def test_a_missing_prediction_is_listed(folders):
    prediction, reference = folders
    (prediction / "b.nii.gz").unlink()
    with pytest.raises(
        UserError, match=r"1 of 2 references .* have no prediction .*: b; .*--chill"
    ):
        evaluate(prediction, reference)
    scores = evaluate(prediction, reference, chill=True)
    assert [case.name for case in scores.cases] == ["a"]
    assert scores.notes == ("left out: 1 reference without prediction: b",)


def test_no_common_case_is_an_error_even_with_chill(folders):
    prediction, reference = folders
    for file in list(prediction.iterdir()):
        file.rename(file.with_name("x" + file.name))
    with pytest.raises(UserError, match="2 of 2 references"):
        evaluate(prediction, reference, chill=True)


def test_two_files_of_one_case_are_rejected(folders, save, spine):
    prediction, reference = folders
    save(prediction / "a.mha", spine)
    with pytest.raises(UserError, match=r"a\.mha.*have the same case name"):
        evaluate(prediction, reference)


def test_missing_and_empty_folders_are_rejected(folders, tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        evaluate(tmp_path / "nowhere", folders[1])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no label map in .*allowed endings"):
        evaluate(tmp_path / "empty", folders[1])


@pytest.mark.parametrize(
    ("first", "change", "match"),
    [
        (0, {"spacing": (3.0, 0.5, 0.9)}, r"spacing \(0\.9, 0\.5, 3\) mm .*\(0\.8, 0\.5, 3\) mm"),
        (0, {"origin": (1.0, 0.0, 0.0)}, r"origin \(1, 0, 0\) mm .*\(0, 0, 0\) mm.*resample"),
        (1, {}, r"size \(12, 12, 7\) .*\(12, 12, 8\)"),
    ],
    ids=["spacing", "origin", "size"],
)
def test_another_grid(tmp_path, save, spine, first, change, match):
    prediction = save(tmp_path / "p.mha", spine[first:], **change)
    with pytest.raises(UserError, match=match):
        evaluate(prediction, save(tmp_path / "r.mha", spine))


def test_another_direction(tmp_path, save, spine):
    reference = save(tmp_path / "r.mha", spine)
    image = SimpleITK.ReadImage(str(reference))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    SimpleITK.WriteImage(image, str(tmp_path / "p.mha"))
    with pytest.raises(UserError, match=r"direction \(-1, 0, 0"):
        evaluate(tmp_path / "p.mha", reference)


@pytest.mark.parametrize("code", ["RAS", "PIR", "ASL"])
def test_a_prediction_with_other_axes_is_compared_at_the_same_positions(
    tmp_path, save, spine, code
):
    cut = np.where(np.arange(12) < 5, 0, spine)  # one side is missing
    for name, voxels in (("a", spine), ("b", spine)):
        save(tmp_path / "r" / f"{name}.mha", voxels)
        save(tmp_path / "p" / f"{name}.mha", cut if name == "a" else voxels)
    plain = evaluate(tmp_path / "p", tmp_path / "r")
    assert plain.notes == ()
    path = str(tmp_path / "p" / "a.mha")
    SimpleITK.WriteImage(SimpleITK.DICOMOrient(SimpleITK.ReadImage(path), code), path)
    turned = evaluate(tmp_path / "p", tmp_path / "r")
    assert turned.to_dict() | {"notes": []} == plain.to_dict()
    assert 0.5 < turned.mean_foreground_dice < 1
    (note,) = turned.notes
    assert (
        f"1 of 2 predictions are stored in another orientation than their references ({code} instead of LPS)"
        in note
    )
    shifted = SimpleITK.ReadImage(path)
    shifted.SetOrigin([at + 1 for at in shifted.GetOrigin()])
    SimpleITK.WriteImage(shifted, path)
    with pytest.raises(UserError, match=r"a\.mha: .* differs from the reference's"):
        evaluate(tmp_path / "p", tmp_path / "r")


def test_rounding_of_headers_is_allowed(tmp_path, save, spine):
    prediction = save(tmp_path / "p.mha", spine, spacing=(3.0, 0.5, 0.80001), origin=(1e-4, 0, 0))
    assert evaluate(prediction, save(tmp_path / "r.mha", spine)).mean_foreground_dice == 1


@pytest.mark.parametrize("which", ["pred", "Dataset001_Spine/labelsTr"])
def test_undeclared_values_are_rejected(folders, tmp_path, save, spine, which):
    save(tmp_path / which / "a.nii.gz", np.where(spine == 3, 7, spine))
    with pytest.raises(UserError, match=r"a\.nii\.gz: holds values 7 .*known are 0, 1, 2, 3"):
        evaluate(*folders)


def test_the_ignore_label_is_allowed_in_references_only(folders, save, spine, declare):
    prediction, reference = folders
    declare(prediction, {**LABELS, "ignore": 4})
    save(prediction / "a.nii.gz", np.where(spine == 3, 4, spine))
    with pytest.raises(UserError, match="ignore label is allowed in references only"):
        evaluate(prediction, reference)


def test_a_probability_map(tmp_path, save, spine):
    prediction = save(tmp_path / "p.mha", spine * 0.3, dtype=np.float32)
    with pytest.raises(UserError, match="not integers"):
        evaluate(prediction, save(tmp_path / "r.mha", spine))
    bad = np.where(spine == 1, np.nan, spine)
    for name in ("n.mha", "n.nii.gz"):
        with pytest.raises(UserError, match=f"{name}: 108 voxels are NaN or inf"):
            evaluate(save(tmp_path / name, bad, dtype=np.float32), tmp_path / "r.mha")


def test_negative_values_and_damaged_files_are_rejected(tmp_path, save, spine):
    with pytest.raises(UserError, match="value -1"):
        read(save(tmp_path / "p.mha", spine.astype(int) - 1, dtype=np.int16))
    (tmp_path / "x.nii.gz").write_bytes(b"not an image")
    with pytest.raises(UserError, match=r"x\.nii\.gz: is truncated or damaged"):
        read(tmp_path / "x.nii.gz")


def test_labels_come_from_the_nearest_dataset_json(folders, declare, tmp_path):
    prediction, reference = folders

    def names(**options):
        scores = evaluate(prediction, reference, **options)
        return next(iter(scores.labels.values)), scores.labels.source

    assert names() == ("vertebra", "dataset.json above the references")
    declare(reference, {**LABELS, "vertebra": 2, "disc": 1})
    assert names() == ("vertebra", "dataset.json next to the references")
    declare(prediction, {"background": 0, "bone": 1, "disc": 2, "canal": 3})
    assert names() == ("bone", "dataset.json next to the predictions")
    option = declare(tmp_path / "other", {"background": 0, "os": 1, "disc": 2, "canal": 3})
    assert names(dataset_json=option) == ("os", "dataset.json")


def test_without_dataset_json_labels_are_the_values_found(tmp_path, save, spine):
    prediction = save(tmp_path / "p.mha", np.where(spine == 3, 40, spine))
    scores = evaluate(prediction, save(tmp_path / "r.mha", spine))
    assert list(scores.labels.values) == ["label 1", "label 2", "label 3", "label 40"]
    assert scores.summary["label 3"].missed == scores.summary["label 40"].false_alarm == 1


def test_empty_maps_without_declared_labels_are_rejected(tmp_path, save, spine):
    empty = save(tmp_path / "p.mha", 0 * spine)
    with pytest.raises(UserError, match=r"nothing but 0.*-djfile"):
        evaluate(empty, empty)


def test_an_image_of_integers_is_rejected(tmp_path, save):
    image = save(tmp_path / "ct.mha", np.arange(600).reshape(6, 10, 10), dtype=np.int16)
    with pytest.raises(UserError, match=r"599 different values in the files; are these images\?"):
        evaluate(image, image)


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "u4", "u8", "i8", "f8"])
@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_every_type_of_integers(tmp_path, save, spine, dtype, ending):
    prediction = save(tmp_path / f"p{ending}", spine, dtype=dtype)
    assert evaluate(prediction, save(tmp_path / "r.nrrd", spine)).mean_foreground_dice == 1


def test_large_values_keep_their_names(tmp_path, save, spine, declare):
    declare(tmp_path, {"background": 0, "vertebra": 201, "disc": 2, "canal": 40000})
    voxels = np.array([0, 201, 2, 40000])[spine]
    file = save(tmp_path / "p.nii.gz", voxels, dtype=np.uint16)
    scores = evaluate(file, file)
    assert {one.reference_voxels for one in scores.cases[0].labels.values()} == {108, 72}
    bad = save(tmp_path / "q.nii.gz", np.where(voxels == 2, 40001, voxels), dtype=np.uint16)
    with pytest.raises(UserError, match="holds values 40001 that are not declared"):
        evaluate(bad, file)


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        ({"0": "background", "1": "bone"}, "v1 used the reverse order"),
        ({"background": 0}, "no label except the background"),
        ({"background": 0, "all": [0, 1]}, "holds the background 0"),
        ({"background": 0, "x": 1.5}, r"'x' has the value 1\.5; expected an integer"),
        ({"background": 0, "x": []}, r"'x' has the value \[\]; expected"),
        ({"background": 0, "x": 1, "ignore": [2, 3]}, "ignore label must be one value"),
        ({}, 'has no "labels"'),
    ],
)
def test_a_dataset_json_that_cannot_be(folders, declare, tmp_path, labels, match):
    with pytest.raises(UserError, match=match):
        evaluate(*folders, dataset_json=declare(tmp_path / "other", labels))


def test_a_dataset_json_that_is_not_there(folders, tmp_path):
    with pytest.raises(UserError, match=r"none\.json: cannot be read"):
        evaluate(*folders, dataset_json=tmp_path / "none.json")


def test_voxels_to_ignore_are_left_out_of_both(tmp_path, save, spine, declare):
    # The prediction is wrong in the ignored half only, and the reference says nothing there.
    reference, prediction = spine.copy(), spine.copy()
    reference[:, :5] = 4
    prediction[:, :5] = 1
    declare(tmp_path, {**LABELS, "ignore": 4})
    scores = evaluate(
        save(tmp_path / "p.nii.gz", prediction), save(tmp_path / "r.nii.gz", reference)
    )
    assert scores.mean_foreground_dice == 1
    assert scores.labels.ignore == 4
    assert "ignore" not in scores.labels.values
    vertebra = scores.cases[0].labels["vertebra"]
    assert vertebra.reference_voxels == vertebra.prediction_voxels == 3 * 3 * 6
    assert vertebra.hd95_mm == 0


def test_regions_are_unions_of_their_values(tmp_path, save, spine, declare):
    # 1 and 2 confused: the region of both is still perfect, its part is not.
    declare(tmp_path, {"background": 0, "column": [1, 2], "disc": 2, "all": [1, 2, 3]})
    swapped = np.where(spine == 1, 2, np.where(spine == 2, 1, spine))
    scores = evaluate(save(tmp_path / "p.mha", swapped), save(tmp_path / "r.mha", spine))
    found = {name: scores.cases[0].labels[name].dice for name in scores.labels.values}
    assert found == {"column": 1.0, "disc": 0.0, "all": 1.0}
    assert scores.cases[0].labels["column"].reference_voxels == np.isin(spine, (1, 2)).sum()


@pytest.mark.parametrize("seed", range(3))
def test_values_in_finds_every_value(seed):
    voxels = np.random.default_rng(seed).choice([0, 3, 255], (2, 3, 4)).astype(np.uint8)
    assert values_in(voxels) == set(voxels.ravel().tolist())
    assert values_in(np.full((2, 2), 7)) == {7}


@pytest.mark.parametrize("ending", [".nii.gz", ".nii"])
def test_a_truncated_map_is_rejected(tmp_path, save, spine, ending):
    reference = save(tmp_path / f"r{ending}", spine)
    whole = reference.read_bytes()
    cut = tmp_path / f"p{ending}"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(UserError, match=f"p{ending}: is truncated or damaged"):
        evaluate(cut, reference)


def changed(path, old, new):
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("ending", "old", "new", "message"),
    [
        (".nrrd", b"sizes: 12 12 8", b"sizes: 60000 60000 60000", "its header promises"),
        (".nrrd", b"encoding: raw", b"encoding: raw\ndata file: /etc/hosts", "in another file"),
        (".nrrd", b"encoding: raw", b'encoding: raw\nspace units: "m" "m" "m"', "unit of length is m"),
        (".nrrd", b"encoding: raw", b"encoding: raw\nxx: " + 999 * b"x", "999 characters"),
        (".mha", b"DimSize = 12 12 8", b"DimSize = 60000 60000 60000", "its header promises"),
        (".mha", b"DimSize = 12 12 8", b"DimSize = 12 12 9", "truncated or damaged"),
        (".mha", b"DataFile = LOCAL", b"DataFile = /etc/hosts", "not in the folder of the header"),
        (".mha", b"DataFile = LOCAL", b"DataFile = LIST", "in several files"),
    ],
)  # fmt: skip
def test_headers_have_the_bounds_of_the_converters(
    tmp_path, save, spine, ending, old, new, message
):
    prediction = changed(save(tmp_path / f"p{ending}", spine), old, new)
    with pytest.raises(UserError, match=rf"p\{ending}: .*{message}"):
        evaluate(prediction, save(tmp_path / "r.mha", spine))


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
@pytest.mark.parametrize("rank", [2, 3])
def test_compressed_values_are_read_with_their_checksum(tmp_path, spine, ending, rank):
    voxels = spine if rank == 3 else spine[2]
    path = tmp_path / f"p{ending}"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels), str(path), True)
    np.testing.assert_array_equal(read(path).voxels, voxels)
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"p\{ending}: is truncated or damaged"):
        read(path)
