"""Label maps of other tools against references."""

import json
import pickle

import numpy as np
import pytest

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation import evaluate
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.evaluation.measuring import Measuring
from nnunet_plugins.evaluation.numberings import SOURCES, key, match, read_numbering
from nnunet_plugins.evaluation.value_map import plan_map

PELVIS = {"background": 0, "sacrum": 1, "left hip": 2, "right hip": 3, "L5": 4, "L4-L5": 5}
#: The reference's value -> TotalSegmentator's.
THEIRS = {1: 25, 2: 77, 3: 78, 4: 27}


def pelvis():
    found = np.zeros((8, 20, 20), dtype=np.uint8)
    for value, place in enumerate([(4, 4), (4, 12), (12, 4), (12, 12)], 1):
        found[2:6, place[0] : place[0] + 5, place[1] : place[1] + 5] = value
    return found


def totalsegmentator():
    mine = pelvis()
    found = np.zeros_like(mine)
    for value, theirs in THEIRS.items():
        found[mine == value] = theirs
    found[2:3][found[2:3] == 25] = 26  # S1 is the upper part of their sacrum
    found[0, 0] = 52  # the aorta
    return found


@pytest.fixture
def folders(tmp_path, save, declare):
    disc = pelvis()
    disc[7, 1, 1] = 5
    declare(tmp_path / "r", PELVIS)
    save(tmp_path / "r" / "a.nii.gz", disc)
    save(tmp_path / "p" / "a.nii.gz", totalsegmentator())
    return tmp_path / "p", tmp_path / "r"


def dice(scores):
    return {name: one.dice for name, one in scores.cases[0].labels.items()}


@pytest.mark.parametrize(
    "given",
    [
        "totalsegmentator",
        ["TotalSegmentator"],
        ["25=sacrum", "26=Sacrum", "77=left hip", "78=right_hip", "27=4"],
        {25: "sacrum", 26: 1, 77: "left hip", 78: "right hip", 27: "L5"},
    ],
    ids=["tool", "spelling", "pairs", "mapping"],
)
def test_values_of_another_tool(folders, given):
    scores = evaluate(*folders, map=given)
    assert dice(scores) == dict.fromkeys(("sacrum", "left hip", "right hip", "L5"), 1.0)
    assert "left out: nothing is mapped to L4-L5" in scores.notes
    assert any("25 = sacrum, 26 = sacrum, 27 = L5" in note for note in scores.notes)
    assert scores.labels.source == "dataset.json next to the references"
    assert scores.aggregates["voxel_accuracy"] == 1.0


def test_pairs_have_priority_over_the_table(folders):
    scores = evaluate(*folders, map=["totalsegmentator", "26=L5"])
    assert scores.cases[0].labels["sacrum"].dice == pytest.approx(2 * 3 / (3 + 4))


def test_a_dataset_json_of_the_tool(tmp_path, folders):
    theirs = {
        "background": 0,
        "sacrum": [25, 26],
        "hip_left": 77,
        "hip_right": 78,
        "vertebrae_L5": 27,
    }
    file = tmp_path / "their.json"
    file.write_text(json.dumps({"labels": theirs}))
    scores = evaluate(*folders, map=file)
    assert dice(scores) == dict.fromkeys(("left hip", "right hip", "L5"), 1.0)


def test_workers_receive_the_map():
    found, _, _ = plan_map("totalsegmentator", LABELS)
    assert pickle.loads(pickle.dumps(Measuring(values=found))).values == found


def test_instances_after_the_map(folders):
    scores = evaluate(*folders, map="totalsegmentator", instances="bones=1-4")
    assert (
        scores.to_dict()["instances"]["summary"]["bones"]["numbering"]["identification_rate"] == 1.0
    )


def test_without_a_dataset_json_labels_are_the_reference_s(pair):
    files = pair(totalsegmentator(), pelvis())
    found = dice(evaluate(*files, map=["25=1", "26=1", "77=2", "78=3", "27=label 4"]))
    assert found == {f"label {n}": 1.0 for n in range(1, 5)}


def test_no_value_in_common_names_the_option(pair):
    files = pair(totalsegmentator(), pelvis())
    with pytest.raises(UserError) as error:
        evaluate(*files)
    assert (
        "the predictions hold the values 25-27, 52, 77, 78, the references 1-4: none is in both"
        in str(error.value)
    )
    assert "--map" in str(error.value)
    assert "totalsegmentator" in str(error.value)


def test_undeclared_values_name_the_option(folders):
    with pytest.raises(
        UserError, match=r"values of another tool are mapped with --map, e.g. --map 25=sacrum"
    ):
        evaluate(*folders)


def test_zeros_everywhere_name_the_option(tmp_path, save, declare):
    # Both numberings use 1 to 4, for other structures.
    declare(tmp_path / "r", PELVIS)
    save(tmp_path / "r" / "a.nii.gz", pelvis())
    other = pelvis()
    save(tmp_path / "p" / "a.nii.gz", np.where(other > 0, other % 4 + 1, 0))
    note, sides = evaluate(tmp_path / "p", tmp_path / "r").notes
    assert "left and right are most likely exchanged" in sides
    assert "no label has a voxel in common with its reference" in note
    assert "--map" in note
    save(tmp_path / "p" / "a.nii.gz", pelvis())
    assert evaluate(tmp_path / "p", tmp_path / "r").notes == ()


LABELS = Labels({"sacrum": (1,), "left hip": (2,), "right hip": (3,)}, None, "dataset.json")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "totalsegmentater",
            "--map totalsegmentater: expected VALUE=LABEL, a tool's dataset.json, or one of totals",
        ),
        (
            "25=sacrom",
            "--map ...=sacrom: the reference has no such label; labels are sacrum, left hip, right hip",
        ),
        ("25=9", "--map ...=9: the reference has no such label"),
        ("x=sacrum", "--map x=...: expected a value from 1 to 65535"),
        ("0=sacrum", "--map 0=...: expected a value from 1 to 65535"),
        (["25=sacrum", "25=left hip"], "25 is mapped to 'sacrum' as well; keep one"),
        ("missing.json", "missing.json: cannot be read as JSON"),
    ],
)
def test_messages(given, message):
    with pytest.raises(UserError) as error:
        plan_map(given, LABELS)
    assert message in str(error.value)


def test_a_tool_without_any_of_the_labels():
    with pytest.raises(
        UserError,
        match="--map verse: none of its structures is a label of the reference",
    ):
        plan_map("verse", LABELS)


def test_regions():
    labels = Labels({"pelvis": (1, 2), "sacrum": (2,), "disc": (3,)}, None, "dataset.json")
    found, kept, _ = plan_map(["5=pelvis", "6=sacrum"], labels)
    assert (found.values, list(kept.values), found.dropped) == (
        {5: 1, 6: 2},
        ["pelvis", "sacrum"],
        (3,),
    )
    found, kept, _ = plan_map(["5=pelvis"], labels)
    assert (list(kept.values), found.dropped) == (
        ["pelvis"],
        (3,),
    )  # the sacrum's voxels are in the pelvis
    parts = Labels({"pelvis": (1, 2), "left": (1,), "right": (2,)}, None, "dataset.json")
    with pytest.raises(UserError, match="pelvis consists of left; map values to these instead"):
        plan_map(["5=pelvis"], parts)


def test_sides_are_never_guessed():
    assert match({77: "hip_left"}, ["hip", "right hip", "left ilium"]) == {}
    assert match({77: "hip_left"}, ["Hip_LEFT"]) == {77: "Hip_LEFT"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("vertebrae_L5", "L5"), ("vertebrae_T12", "Th12 vertebra"), ("disc_L5_S", "L5-S1"),
        ("disc_T12_L1", "T12/L1 IVD"), ("hip_left", "left hip bone"), ("hip_right", "os coxae right"),
        ("spinal_canal", "canal"), ("hip_left", "hipLeft"),
    ],
)  # fmt: skip
def test_same_structures(one, other):
    assert key(one) == key(other)


@pytest.mark.parametrize(("one", "other"), [
    ("hip_left", "femur_left"), ("vertebrae_L5", "disc_L4_L5"), ("spinal_cord", "spinal_canal"),
    ("vertebrae_T1", "T11"),
])  # fmt: skip
def test_other_structures(one, other):
    assert key(one) != key(other)


def test_all_vertebrae_are_one_label():
    found = match(read_numbering("totalspineseg"), ["vertebrae", "discs", "canal"])
    assert found[45] == "vertebrae"
    assert found[95] == "discs"
    assert found[2] == "canal"
    assert 1 not in found  # the cord
    assert match(read_numbering("totalsegmentator-mr"), ["vertebrae"]) == {19: "vertebrae"}


@pytest.mark.parametrize(
    ("tool", "count", "some"),
    [
        ("totalsegmentator", 117, {25: "sacrum", 26: "vertebrae_S1", 27: "vertebrae_L5", 77: "hip_left"}),
        ("totalsegmentator-v1", 104, {18: "vertebrae_L5", 41: "vertebrae_C1", 92: "sacrum", 90: "hip_left"}),
        ("totalsegmentator-mr", 50, {18: "sacrum", 38: "hip_left", 39: "hip_right"}),
        ("totalsegmentator-vertebrae-mr", 25, {1: "sacrum", 2: "vertebrae_L5", 25: "vertebrae_C1"}),
        ("totalspineseg", 52, {2: "spinal_canal", 45: "vertebrae_L5", 50: "sacrum", 100: "disc_L5_S"}),
        ("totalspineseg-2024", 50, {18: "vertebrae_L5", 201: "spinal_canal", 202: "disc_L5_S", 224: "disc_C2_C3"}),
        ("verse", 26, {1: "vertebrae_C1", 20: "vertebrae_L1", 25: "vertebrae_L6", 28: "vertebrae_T13"}),
    ],
)  # fmt: skip
def test_tables(tool, count, some):
    numbering = read_numbering(tool)
    assert len(numbering) == count
    assert {value: numbering[value] for value in some} == some
    assert len(set(numbering.values())) == count


def test_every_table_has_a_source():
    assert all(read_numbering(tool) for tool in SOURCES)
