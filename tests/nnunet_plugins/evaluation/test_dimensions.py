"""The image's dimension decides how a label is measured; empty space around the labels does not matter."""

import json
from dataclasses import replace

import numpy as np
import pytest

from nnunet_plugins.evaluation import evaluate, score_table
from nnunet_plugins.evaluation.definitions import METRICS
from nnunet_plugins.evaluation.metrics import compare
from nnunet_plugins.evaluation.saved import read_scores
from tests.nnunet_plugins.evaluation.monai_scores import monai

SPACING = (7.0, 1.0, 1.0)  # mm, z y x
SIZE = (8, 20, 22)
DISTANCES = ("hd_mm", "hd95_mm", "assd_mm", "nsd")


def plate(axis, *, shrink=0):
    """A rectangle in one slice along an axis, smaller on one side by some voxels."""
    mask = np.zeros(SIZE, dtype=np.uint8)
    place = [slice(2, 7), slice(4, 16), slice(5, 17)]
    place[axis] = slice(4, 5)
    other = 2 if axis != 2 else 1
    place[other] = slice(place[other].start, place[other].stop - shrink)
    mask[tuple(place)] = 1
    return mask


def scored(folder, save, prediction, reference):
    files = [
        save(folder / f"{name}.nii.gz", voxels, spacing=SPACING)
        for name, voxels in (("p", prediction), ("r", reference))
    ]
    return evaluate(*files).cases[0]


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("extra", [False, True], ids=["one slice", "and a false voxel"])
def test_a_label_in_one_slice_of_a_volume_is_measured_in_three_dimensions(
    tmp_path, save, axis, extra
):
    prediction, reference = plate(axis, shrink=3), plate(axis)
    if extra:
        prediction[tuple(7 if here == axis else 5 for here in range(3))] = 1
    case = scored(tmp_path, save, prediction, reference)
    assert case.dimensions == 3
    for name, value in monai(prediction, reference, SPACING).items():
        assert getattr(case.labels["label 1"], name) == pytest.approx(value, abs=1e-4), name


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 5), (1, 4, 5), (3, 1, 1)], ids=str)
def test_thin_masks_at_the_border_of_the_image(tmp_path, save, shape):
    prediction, reference = (np.zeros(SIZE, dtype=np.uint8) for _ in range(2))
    prediction[tuple(slice(n) for n in shape)] = 1
    reference[tuple(slice(1, n + 1) for n in shape)] = 1
    found = scored(tmp_path, save, prediction, reference).labels["label 1"]
    for name, value in monai(prediction, reference, SPACING).items():
        assert getattr(found, name) == pytest.approx(value, abs=1e-4), name


def test_single_labels_and_their_region_follow_the_same_rule(tmp_path, save, declare):
    declare(tmp_path, {"background": 0, "oedema": 1, "fat": 2, "lesion": [1, 2], "ignore": 3})
    reference = plate(0)
    reference[reference > 0] = 1
    reference[4, 4:10, 5:17] = 2
    prediction = np.roll(reference, 1, axis=2)
    reference[7] = 3
    case = scored(tmp_path, save, prediction, reference)
    for name, values in (("oedema", [1]), ("fat", [2]), ("lesion", [1, 2])):
        masks = (np.isin(one, values) for one in (prediction, reference))
        whole = compare(*masks, SPACING)
        assert case.labels[name].assd_mm == pytest.approx(whole.assd_mm), name
        assert case.labels[name].nsd == pytest.approx(whole.nsd), name


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_image_of_one_slice_is_two_dimensional(tmp_path, save, axis):
    a, b = np.zeros((2, 20, 22), dtype=np.uint8)
    a[4:14, 4:14] = b[5:16, 4:16] = 1
    in_plane = tuple(size for here, size in enumerate(SPACING) if here != axis)
    case = scored(tmp_path, save, *(np.expand_dims(one, axis) for one in (a, b)))
    assert case.dimensions == 2
    for name, value in monai(a, b, in_plane).items():
        assert getattr(case.labels["label 1"], name) == pytest.approx(value, abs=1e-4), name
    volume = (int(a.sum()) - int(b.sum())) * np.prod(SPACING) / 1000
    assert case.labels["label 1"].volume_error_ml == pytest.approx(
        volume
    )  # a slice has a thickness


def test_a_dataset_of_slices_and_volumes_says_which_is_which(tmp_path, save):
    for folder in "pr":
        save(tmp_path / folder / "a.nii.gz", plate(0), spacing=SPACING)
        save(tmp_path / folder / "b.nii.gz", plate(0)[4:5], spacing=SPACING)
    scores = evaluate(tmp_path / "p", tmp_path / "r", output=tmp_path / "s.json")
    note = "1 of 2 images have one slice and are measured in two dimensions, the others in three: b"
    assert scores.notes == (note,)
    assert note in score_table(scores)
    content = json.loads((tmp_path / "s.json").read_text())
    assert [case["dimensions"] for case in content["cases"].values()] == [3, 2]
    alone = evaluate(tmp_path / "p" / "b.nii.gz", tmp_path / "r" / "b.nii.gz")
    assert alone.notes == ()


def test_scores_of_an_earlier_version_are_marked_when_read(tmp_path, save):
    file = save(tmp_path / "a.nii.gz", plate(0), spacing=SPACING)
    scores = evaluate(file, file, output=tmp_path / "now.json")
    assert read_scores(tmp_path / "now.json") == scores
    old = replace(scores, cases=tuple(replace(one, dimensions=None) for one in scores.cases))
    old.write(tmp_path / "old.json")
    assert "by an earlier version" in read_scores(tmp_path / "old.json").notes[-1]


def blob(seed):
    """A ragged mask in the middle of an image, thin in a third of all cases."""
    random = np.random.default_rng(seed)
    mask = np.zeros(SIZE, dtype=bool)
    thick = 1 if seed % 3 == 0 else 3
    mask[3 : 3 + thick, 6:14, 7:16] = random.random((thick, 8, 9)) > 0.4
    return mask


def worse(before, after, name):
    change = getattr(after, name) - getattr(before, name)
    return change <= 1e-12 if METRICS[name].better == "higher" else change >= -1e-12


@pytest.mark.parametrize("seed", range(12))
def test_a_false_voxel_never_improves_a_score(seed):
    prediction, reference = blob(seed), blob(seed + 100)
    before = compare(prediction, reference, SPACING)
    random = np.random.default_rng(seed)
    background = np.argwhere(~prediction & ~reference)
    for place in random.permutation(background)[:40]:
        false = prediction.copy()
        false[tuple(place)] = True
        after = compare(false, reference, SPACING)
        for name in ("dice", "iou", "precision", "recall", "accuracy", "specificity"):
            assert worse(before, after, name), (name, place)


@pytest.mark.parametrize("seed", range(12))
def test_a_false_voxel_that_is_farther_than_all_others_never_improves_a_distance(seed):
    # A nearer one may, by any definition: it lowers the mean, or is near a part that was missed.
    prediction, reference = blob(seed), blob(seed + 100)
    before = compare(prediction, reference, SPACING)
    points = np.argwhere(reference) * SPACING
    tried = 0
    for place in np.argwhere(~(prediction | reference)):
        around = tuple(slice(max(0, at - 1), at + 2) for at in place)
        far = np.linalg.norm(points - place * SPACING, axis=1).min() >= before.hd_mm
        if not far or prediction[around].any() or (place % 2).any():
            continue
        tried += 1
        false = prediction.copy()
        false[tuple(place)] = True
        after = compare(false, reference, SPACING)
        for name in DISTANCES:
            assert worse(before, after, name), (name, place)
    assert tried > 5


@pytest.mark.parametrize("seed", range(6))
def test_empty_space_around_the_labels_does_not_matter(tmp_path, save, seed):
    prediction, reference = (blob(seed + more).astype(np.uint8) for more in (0, 100))
    used = np.argwhere(prediction | reference)
    low, high = used.min(0), used.max(0)
    if high[0] == low[0]:
        high[0] += 1  # a volume of one slice would be another dimension
    cropped = tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))
    wide = tuple(np.random.default_rng(seed).integers(0, 5, (3, 2)))
    found = []
    for number, change in enumerate(
        (lambda one: one, lambda one: one[cropped], lambda one: np.pad(one, wide))
    ):
        case = scored(tmp_path / str(number), save, change(prediction), change(reference))
        found.append([getattr(case.labels["label 1"], name) for name in (*DISTANCES, "dice")])
    assert found[0] == pytest.approx(found[1])
    assert found[0] == pytest.approx(found[2])
