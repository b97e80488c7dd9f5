"""Lesions and vertebrae are counted; wrong numbers of vertebrae are an error of their own."""

import csv

import numpy as np
import pytest

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation import evaluate, score_table
from nnunet_plugins.evaluation.instance_groups import read_instances
from nnunet_plugins.evaluation.instance_table import numbering_table, quality_table
from nnunet_plugins.evaluation.instances import Group, find_instances
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.evaluation.saved import read_scores

LEVELS = ("L1", "L2", "L3", "L4", "L5")
DECLARED = {"background": 0, **{name: 20 + n for n, name in enumerate(LEVELS)}, "lesion": 30}


def spine(first=20, count=5, start=0):
    """(24, 16, 16): vertebrae from head to feet, numbered from `first`, the first `start` of five are not there."""
    found = np.zeros((24, 16, 16), dtype=np.uint8)
    for level in range(start, count):
        found[1 + 4 * level : 4 + 4 * level, 4:10, 4:10] = first + level
    return found


@pytest.fixture
def shifted(tmp_path, save, declare):
    """Three cases: correct, numbered one too high (L1 is L2, L5 is not found), and one vertebra that is wrong."""
    declare(tmp_path / "r", DECLARED)
    off = spine(21)
    off[off > 24] = 0
    one = spine()
    one[one == 22] = 24
    one[17:20] = 0
    for name, prediction in (("a", spine()), ("b", off), ("c", one)):
        save(tmp_path / "r" / f"{name}.nii.gz", spine())
        save(tmp_path / "p" / f"{name}.nii.gz", prediction)
    return tmp_path / "p", tmp_path / "r"


def test_wrong_numbers_are_separate_from_detection(shifted):
    scores = evaluate(*shifted, instances=["vertebrae=20-24"])
    found = scores.to_dict()["instances"]["summary"]["vertebrae"]
    pooled = found["pooled"]
    assert (pooled["tp"], pooled["fp"], pooled["fn"]) == (13, 0, 2)  # L5 is missed in b and in c
    assert pooled["segmentation_quality"] == pytest.approx(1.0)
    assert pooled["panoptic_quality"] == pytest.approx(2 * 13 / (2 * 13 + 2))
    numbers = found["numbering"]
    assert (numbers["identified"], numbers["wrongly_numbered"]) == (8, 5)
    assert numbers["identification_rate"] == pytest.approx(8 / 15)
    assert numbers["cases_with_constant_offset"] == {"b": 1}
    cases = scores.to_dict()["cases"]
    b = cases["b"]["instances"]["vertebrae"]
    assert b["numbering"]["dice"] == pytest.approx(0.0)
    assert b["numbering"]["best_offset"] == 1
    assert b["numbering"]["shifted_dice"] == pytest.approx(4 / 5)  # L5 is missing
    assert b["pairs"][0]["prediction"] == "L2"
    assert b["pairs"][0]["reference"] == "L1"
    c = cases["c"]["instances"]["vertebrae"]["numbering"]
    assert (c["offset"], c["best_offset"], c["identified"]) == (None, 0, 3)
    assert c["dice"] == c["shifted_dice"]


def test_offset_in_both_directions_and_numbers_that_leave_the_group():
    group = Group("vertebrae", tuple(range(20, 25)), LEVELS, components=False)
    low = spine(19)
    low[low == 19] = 0  # the first is another label
    found = find_instances(low, spine(), (3.0, 0.5, 0.8), group)
    assert (found.numbering.offset, found.numbering.best_offset) == (-1, -1)
    # The prediction names one vertebra above the reference L1, which is not L1's error.
    high = spine()
    reference = spine()
    reference = np.where(reference == 20, 0, reference) - (reference > 20)
    found = find_instances(high, reference.astype(np.uint8), (3.0, 0.5, 0.8), group)
    assert (found.numbering.offset, found.numbering.best_offset) == (1, 1)
    assert found.numbering.shifted_dice == pytest.approx(1.0)


def test_a_single_vertebra_has_no_constant_offset():
    group = Group("vertebrae", tuple(range(20, 25)), LEVELS, components=False)
    found = find_instances(spine(21, count=1), spine(20, count=1), (1.0,) * 3, group)
    assert found.numbering.offset is None
    assert found.numbering.best_offset == 1


def test_lesions_are_components(tmp_path, pair, declare):
    declare(tmp_path, DECLARED)
    reference, prediction = np.zeros((2, 12, 20, 20), dtype=np.uint8)
    reference[1:4, 2:5, 2:5] = reference[1:4, 12:15, 2:5] = reference[8, 10, 10] = 30
    prediction[1:4, 2:5, 2:5] = prediction[2:5, 12:15, 2:5] = prediction[8:10, 16, 16] = 30
    prediction[4, 2, 2] = 30
    files = pair(prediction, reference)
    scores = evaluate(*files, instances="lesion", instance_iou=0.4)
    found = scores.to_dict()["cases"]["r"]["instances"]["lesion"]
    assert (found["tp"], found["fp"], found["fn"]) == (2, 1, 1)
    assert (found["precision"], found["recall"], found["f1"]) == pytest.approx((2 / 3,) * 3)
    first, second = found["pairs"]
    assert (first["iou"], second["iou"]) == pytest.approx((27 / 28, 0.5))
    assert second["hd95_mm"] == pytest.approx(3.0)  # one slice
    assert (found["true"], found["predicted"]) == ([1, 2, 3], [1, 2, 3])
    strict = evaluate(*files, instances="lesion").to_dict()["cases"]["r"]["instances"]["lesion"]
    assert (strict["tp"], strict["fp"], strict["fn"]) == (
        1,
        2,
        2,
    )  # an IoU of 0.5 does not exceed 0.5


@pytest.mark.parametrize(("connectivity", "count"), [("faces", 3), ("edges", 2), ("corners", 1)])
def test_connectivity(connectivity, count):
    voxels = np.zeros((4, 4, 4), dtype=np.uint8)
    voxels[0, 0, 0] = voxels[0, 1, 1] = voxels[1, 2, 2] = 1
    group = Group("lesion", (1,), ("lesion",), components=True)
    found = find_instances(voxels, voxels, (1.0,) * 3, group, connectivity=connectivity)
    assert len(found.true) == len(found.matches) == count


def test_the_sum_of_the_overlaps_is_largest():
    # One prediction overlaps two lesions; the other only the first of them.
    reference, prediction = np.zeros((2, 1, 40), dtype=np.uint8)
    reference[0, 0:10], reference[0, 10:18] = 1, 2
    prediction[0, 4:18], prediction[0, 0:4] = 1, 2
    group = Group("x", (1, 2), ("a", "b"), components=False)
    found = find_instances(prediction, reference, (1.0, 1.0), group, threshold=0.1)
    assert {(match.prediction, match.reference) for match in found.matches} == {(0, 1), (1, 0)}


def test_thousands_of_components_need_little_memory():
    noise = np.random.default_rng(0).random((40, 80, 80)) < 0.05
    group = Group("lesion", (1,), ("lesion",), components=True)
    voxels = noise.astype(np.uint8)
    moved = np.roll(voxels, 1, axis=0)
    found = find_instances(moved, voxels, (1.0,) * 3, group, connectivity="faces")
    assert len(found.true) > 5000


def test_empty_cases(tmp_path, save, declare):
    declare(tmp_path / "r", DECLARED)
    empty = np.zeros((4, 8, 8), dtype=np.uint8)
    save(tmp_path / "p" / "a.nii.gz", empty)
    save(tmp_path / "r" / "a.nii.gz", empty)
    scores = evaluate(tmp_path / "p", tmp_path / "r", instances=["lesion", "vertebrae=20-24"])
    for found in scores.to_dict()["cases"]["a"]["instances"].values():
        assert (found["tp"], found["precision"], found["panoptic_quality"]) == (0, None, None)
    assert "vertebrae" in score_table(scores)


def test_an_image_of_one_slice(tmp_path, pair, declare):
    declare(tmp_path, DECLARED)
    flat = np.zeros((1, 20, 20), dtype=np.uint8)
    flat[0, 2:5, 2:5] = 30
    other = flat.copy()
    other[0, 5, 2:5] = 30
    scores = evaluate(*pair(other, flat), instances="lesion")
    (match,) = scores.cases[0].instances["lesion"].matches
    assert match.hd95_mm == pytest.approx(0.5)  # the in-plane voxel size


def test_scores_are_read_back(tmp_path, shifted):
    file = tmp_path / "s.json"
    scores = evaluate(
        *shifted, instances=["vertebrae=20-24", "lesion"], metrics=["nsd_area"], tolerance="L1=1", output=file
    )  # fmt: skip
    again = read_scores(file)
    assert again.to_json() == file.read_text(encoding="utf-8")
    assert quality_table(again) == quality_table(scores)
    assert numbering_table(again)[1][0][:5] == ["vertebrae", "8", "5", "0.533", "1 of 3"]


def test_the_csv_file_has_the_instances_of_each_case(tmp_path, shifted):
    file = tmp_path / "s.csv"
    scores = evaluate(*shifted, instances=["vertebrae=20-24", "lesion"], output=file)
    with file.open(encoding="utf-8", newline="") as stream:
        rows = {(row["case"], row["label"]): row for row in csv.DictReader(stream)}
    assert list(rows)[5:7] == [("a", "lesion"), ("a", "vertebrae")]
    for (case, label), row in rows.items():
        own = scores.to_dict()["cases"][case]["instances"].get(label, {})
        for key, value in own.items():
            if not isinstance(value, list | dict):
                assert row[f"instances_{key}"] == ("" if value is None else str(value))
        for key, value in own.get("numbering", {}).items():
            assert row[f"numbering_{key}"] == ("" if value is None else str(value))
    assert (rows["b", "vertebrae"]["instances_tp"], rows["b", "vertebrae"]["dice"]) == ("4", "")
    assert rows["b", "vertebrae"]["numbering_offset"] == "1"
    assert (rows["b", "L1"]["instances_tp"], rows["b", "L1"]["dice"]) == ("", "0.0")
    assert (rows["b", "lesion"]["instances_tp"], rows["b", "lesion"]["state"]) == (
        "0",
        "both empty",
    )


def test_table(shifted):
    shown = score_table(evaluate(*shifted, instances=["vertebrae=20-24", "lesion"]))
    assert "all vertebrae numbered too high (+) or too low (-): b +1" in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_default_scores_have_no_instances(shifted):
    content = evaluate(*shifted).to_dict()
    assert "instances" not in content
    assert "instances" not in content["cases"]["a"]


LABELS = Labels(
    {name: (20 + n,) for n, name in enumerate(LEVELS)} | {"bones": (20, 21)}, None, "dataset.json"
)


def test_groups():
    groups = read_instances(["vertebrae=24,20-22", "bones"], LABELS).groups
    assert groups[0] == Group(
        "vertebrae", (24, 20, 21, 22), ("L5", "L1", "L2", "L3"), components=False
    )
    assert groups[1] == Group("bones", (20, 21), ("bones",), components=True)
    assert read_instances("vertebrae=1-25", LABELS).groups[0].values == (20, 21, 22, 23, 24)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (
            "lesoin",
            {},
            "--instances lesoin: no label of this name; labels are L1, L2, L3, L4, L5, bones; pass one",
        ),
        ("v=1", {}, "--instances v=1: no label has the value 1; labels are L1 = 20, L2 = 21"),
        ("v=1-3", {}, "--instances v=1-3: no label has the value 1-3"),
        ("v=20-", {}, "--instances v=20-: '20-' is neither a value nor a range of values"),
        ("v=24-20", {}, "'24-20' is neither a value nor a range"),
        ("v=20,20", {}, "a value is given more than once"),
        ("=20", {}, "no label of this name"),
        (["v=20", "v=21"], {}, "--instances v: given more than once"),
        ("v=20", {"threshold": 1.0}, "--instance-iou 1.0: expected an IoU from 0 to below 1"),
        ("v=20", {"connectivity": "6"}, "--connectivity 6: allowed are faces, edges, corners"),
    ],
)
def test_messages(given, options, message):
    with pytest.raises(UserError) as error:
        read_instances(given, LABELS, **options)
    assert message in str(error.value)
