import json

import numpy as np
import pytest

from dataset_conversion.errors import DatasetError
from dataset_conversion.labels import Labels, read_labels, template
from dataset_conversion.side_words import has_side
from tests.dataset_conversion.making import label_file


def test_gaps_close_and_ignore_comes_last():
    labels = Labels({"sacrum": 25, "hip left": 77, "ignore": 5})
    assert labels.remap == {0: 0, 25: 1, 77: 2, 5: 3}
    assert labels.for_nnunet() == {
        "labels": {"background": 0, "sacrum": 1, "hip left": 2, "ignore": 3}
    }
    assert "25 -> 1" in labels.notes()[0]
    assert Labels({"a": 1, "b": 2}).notes() == []


def test_renumber_moves_each_voxel_and_drops_only_what_is_named():
    labels = Labels({"a": 7, "b": 3}, drop=(9,))
    array = np.array([[0, 3], [7, 9]], np.uint16)
    np.testing.assert_array_equal(labels.renumber(array, "p"), [[0, 1], [2, 0]])
    with pytest.raises(
        DatasetError, match=r"p: label values \[8\] are not listed \(known: 0, 3, 7\).*--drop 8"
    ):
        labels.renumber(np.array([8]), "p")


def test_regions_are_renumbered_with_their_order(tmp_path):
    path = tmp_path / "l.json"
    path.write_text(
        json.dumps({"labels": {"bone": [10, 20], "joint": 20}, "regions_class_order": [10, 20]})
    )
    assert read_labels(path).for_nnunet() == {
        "labels": {"background": 0, "bone": [1, 2], "joint": 2},
        "regions_class_order": [1, 2],
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"background": 1, "a": 2}', "background has the value 1"),
        ('{"a": 1, "b": 1}', r"\['a', 'b'\] have the same value"),
        ('{"a": 1, "a": 2}', "are given more than once"),
        ('{"a": 1.5}', r"'a' has the value 1.5"),
        ('{"a": true}', "'a' has the value True"),
        ('{"a": -1}', "'a' has the value -1"),
        ('{"a": [1, 2]}', "nnU-Net needs one listed value for each"),
        ('{"a": [0, 1]}', "value 0 is background"),
        ('{"A": 1, "a": 2}', "must be unique"),
        ('{"background": 0}', "only background"),
        ('{"a": 1, "ignore": [2]}', "ignore cannot be a region"),
        ("[1]", "JSON object"),
        ("{", "cannot be read as labels"),
    ],
)
def test_invalid_label_files_stop(tmp_path, content, message):
    path = tmp_path / "l.json"
    path.write_text(content)
    with pytest.raises(DatasetError, match=message):
        read_labels(path)


def test_a_value_cannot_be_listed_and_dropped(tmp_path):
    with pytest.raises(DatasetError, match=r"values \[1\] are listed as labels and dropped"):
        read_labels(label_file(tmp_path / "l.json", a=1), drop=(1,))


@pytest.mark.parametrize(
    "name",
    ["hip_left (TS 77)", "Right ilium", "ilium-L", "R_SI", "leftIlium", "Darmbein links", "左髂骨",
     "ilium dex.", "left2"],
)  # fmt: skip
def test_sides_are_detected(name):
    assert has_side(name)


@pytest.mark.parametrize("name", ["L5", "S1", "sacrum", "cleft", "bright", "L4/L5", "relief", "R1"])
def test_names_without_a_side(name):
    assert not has_side(name)


def test_the_template_can_be_read_back(tmp_path):
    path = tmp_path / "l.json"
    path.write_text(template([0, 4, 9]))
    assert dict(read_labels(path).remap) == {0: 0, 4: 1, 9: 2}
