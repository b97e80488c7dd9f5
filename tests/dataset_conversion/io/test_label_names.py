import pytest

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.label_names import (
    check_drop,
    check_renames,
    labels_of,
    read_renames,
    translation,
)
from dataset_conversion.labels import Labels

LABELS = Labels({"hip left": 1, "hip right": 2})


@pytest.mark.parametrize("name", ["hip left", "Hip_Left", " hip  LEFT ", "hip_left"])
def test_case_spaces_and_underscores_do_not_count(name):
    assert translation({name: 7}, [7], LABELS, "p") == {7: 1}


@pytest.mark.parametrize("name", ["left hip", "hip-left", "hip", "hip left 2", "hipleft"])
def test_other_differences_are_never_guessed(name):
    with pytest.raises(DatasetError, match="Names decide, not numbers"):
        translation({name: 1}, [1], LABELS, "p")


def test_segments_without_voxels_need_no_label():
    assert translation({"Segment_1": 1}, [0], LABELS, "p") == {1: 0}


def test_several_names_may_denote_one_label():
    renames = read_renames(["S1=hip left", "S2=hip left"])
    assert translation({"S1": 1, "S2": 2, "hip right": 3}, [1, 2, 3], LABELS, "p", renames) == {
        1: 1, 2: 1, 3: 2}  # fmt: skip


def test_values_of_regions_without_a_name_are_renamed_to_by_number():
    regions = Labels({"whole": (1, 2), "core": 2}, (1, 2))
    renames = read_renames(["edema=1"])
    check_renames(renames, regions)
    assert translation({"edema": 9, "core": 4}, [4, 9], regions, "p", renames) == {9: 1, 4: 2}


@pytest.mark.parametrize("text", ["a", "=b", "a=", ""])
def test_a_renaming_needs_a_name_and_a_label(text):
    with pytest.raises(DatasetError, match="expected NAME=LABEL"):
        read_renames([text])


def test_contradicting_and_unknown_renamings_stop():
    with pytest.raises(DatasetError, match="is given two labels, 'x' and 'y'"):
        read_renames(["a=x", "A=y"])
    with pytest.raises(DatasetError, match=r"'spine' is not a label \(labels: .*'hip left'"):
        check_renames({"a": "spine"}, LABELS)


def test_a_dropped_value_means_one_structure_in_all_files():
    check_drop([{"a": 1, "b": 2}, {"A": 1}, None], (1,))
    with pytest.raises(DatasetError, match=r"--drop 1: .*'a', 'b'\).*--rename 'a=background'"):
        check_drop([{"a": 1, "b": 2}, {"b": 1}], (1,))
    with pytest.raises(DatasetError, match="--drop 1"):
        check_drop([{"a": 1}, {"a": 2}], (1,))


def test_labels_of_segments_are_renamed_and_removed():
    found = labels_of([{"a": 1, "b": 2}], renames=read_renames(["a=sacrum", "b=background"]))
    assert found.names == {"background": 0, "sacrum": 1}


def test_labels_that_differ_only_in_underscores_stop():
    with pytest.raises(DatasetError, match="unique"):
        Labels({"hip left": 1, "hip_left": 2})
