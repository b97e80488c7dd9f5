import itertools

import numpy as np
import pytest

from dataset_conversion.cases.case import Case
from dataset_conversion.errors import DatasetError
from dataset_conversion.raw_format.splits import Splits, confirm_apart, grouped_folds


def random_groups(seed: int) -> dict[str, str]:
    rng = np.random.default_rng(seed)
    return {f"c{i:02d}": f"g{rng.integers(1, 13)}" for i in range(int(rng.integers(2, 40)))}


def cases(groups, subsets=None, unlabelled=()):
    """Cases without files; `subsets` maps a case or a group to a subset of the dataset."""
    subsets = subsets or {}
    return [
        Case(n, g, f"/{n}", {}, n not in unlabelled, 1, lambda: None,  # type: ignore[arg-type, return-value]
             subsets.get(n, subsets.get(g, "")))
        for n, g in groups.items()
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_every_case_is_held_out_once_and_groups_stay_together(seed):
    groups = random_groups(seed)
    count = len(set(groups.values()))
    folds = grouped_folds(groups)
    assert len(folds) == (0 if count == 1 else min(5, count))
    if folds:
        assert sorted(itertools.chain(*(f["val"] for f in folds))) == sorted(groups)
    for fold in folds:
        assert fold["val"]
        assert sorted(fold["train"] + fold["val"]) == sorted(groups)
        assert not {groups[c] for c in fold["train"]} & {groups[c] for c in fold["val"]}


@pytest.mark.parametrize("seed", range(10))
def test_neither_order_nor_the_names_of_groups_matter(seed):
    groups = random_groups(seed)
    mixed = dict(sorted(groups.items(), reverse=True))
    renamed = {case: f"x{group}y" for case, group in groups.items()}
    assert grouped_folds(mixed) == grouped_folds(groups) == grouped_folds(renamed)


def test_folds_are_even():
    folds = grouped_folds({f"c{i}": f"g{i}" for i in range(23)})
    assert sorted(len(f["val"]) for f in folds) == [4, 4, 5, 5, 5]


def test_one_group_has_no_folds_and_three_leave_one_out():
    assert grouped_folds({"a": "p", "b": "p"}) == []
    assert sorted(f["val"] for f in grouped_folds({"a": "1", "b": "2", "c": "3", "d": "3"})) == [
        ["a"],
        ["b"],
        ["c", "d"],
    ]


@pytest.mark.parametrize("split", ["5-fold", "3-fold", "7:3", "80/20"])
@pytest.mark.parametrize("test", ["", "80/20"])
@pytest.mark.parametrize("seed", range(6))
def test_no_patient_is_on_two_sides_of_any_split(split, test, seed):
    groups = random_groups(100 + seed)
    if len(set(groups.values())) < 4:
        pytest.skip("too few patients were drawn")
    splits = Splits(split, test, seed)
    held = splits.test_set(cases(groups))
    rest = {case: group for case, group in groups.items() if case not in held}
    assert bool(held) == bool(test)
    assert not {groups[c] for c in held} & set(rest.values())
    for fold in splits.folds(cases(rest)):
        assert sorted(fold["train"] + fold["val"]) == sorted(rest)
        assert not {groups[c] for c in fold["train"]} & {groups[c] for c in fold["val"]}


@pytest.mark.parametrize(("text", "train", "val"), [("7:3", 7, 3), ("80/20", 8, 2), ("1:1", 5, 5)])
def test_a_ratio_counts_patients_and_makes_one_fold(text, train, val):
    groups = {f"p{i}_{s}": f"p{i}" for i in range(10) for s in range(1 + i % 3)}
    (fold,) = Splits(text).folds(cases(groups))
    assert len({groups[c] for c in fold["train"]}) == train
    assert len({groups[c] for c in fold["val"]}) == val


@pytest.mark.parametrize("split", ["5-fold", "7:3"])
def test_the_same_seed_gives_the_same_split_and_another_seed_another(split):
    groups = {f"c{i}": f"g{i}" for i in range(20)}
    drawn = [Splits(split, "80/20", seed) for seed in (0, 0, 1)]
    folds = [one.folds(cases(groups)) for one in drawn]
    tests = [one.test_set(cases(groups)) for one in drawn]
    assert folds[0] == folds[1] != folds[2]
    assert tests[0] == tests[1] != tests[2]
    assert len(tests[0]) == 4


def test_subsets_of_the_dataset_are_used_unchanged():
    groups = {"a1": "a", "a2": "a", "b1": "b", "c1": "c", "d1": "d"}
    own = {"a": "train", "b": "val", "c": "train", "d": "test"}
    found = cases(groups, own)
    assert Splits("own").test_set(found) == {"d1"}
    training = [case for case in found if case.name != "d1"]
    assert Splits("own").folds(training) == [{"train": ["a1", "a2", "c1"], "val": ["b1"]}]
    assert Splits("5-fold").test_set(found) == {
        "d1"
    }  # test cases stay in the test set with any split
    assert Splits("5-fold", "val").test_set(found) == {"b1", "d1"}


def test_subsets_that_separate_a_patient_stop_and_name_cases_only():
    groups = {"a1": "Doe^Jane", "a2": "Doe^Jane", "b1": "b", "c1": "c"}
    torn = cases(groups, {"a1": "train", "a2": "val", "b": "train", "c": "val"})
    with pytest.raises(
        DatasetError, match="validation set separates cases of the same patient: a1 belong"
    ) as told:
        Splits("own").folds(torn)
    assert "Doe" not in str(told.value)
    torn = cases(groups, {"a1": "test"})
    with pytest.raises(DatasetError, match="test set separates cases of the same patient: a2"):
        Splits().test_set(torn)


def test_cases_without_a_subset_stop_own():
    with pytest.raises(DatasetError, match=r"1 cases have no subset .*\(b\)"):
        Splits("own").folds(cases({"a": "a", "b": "b"}, {"a": "train"}))


def test_a_case_without_a_mask_is_not_drawn_for_testing():
    groups = {f"c{i}": f"g{i}" for i in range(10)}
    found = cases(groups, unlabelled=("c3",))
    assert "c3" not in Splits(test="1:9").test_set(found)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"split": "five"}, "--split 'five': allowed are K-fold"),
        ({"split": "1-fold"}, "--split '1-fold'"),
        ({"split": "7:0"}, "--split '7:0'"),
        ({"test": "some"}, "--test 'some': allowed are"),
    ],
)
def test_invalid_options_stop(how, message):
    with pytest.raises(DatasetError, match=message):
        Splits(**how)


def test_a_test_set_never_contains_everyone():
    with pytest.raises(DatasetError, match="--test val: no case is in this subset"):
        Splits(test="val").test_set(cases({"a": "a"}))
    with pytest.raises(DatasetError, match="nothing is left to train on"):
        Splits().test_set(cases({"a": "a"}, {"a": "test"}))
    with pytest.raises(
        DatasetError, match="--test: 1 patients with a mask; at least 2 are required"
    ):
        Splits(test="80/20").test_set(cases({"a": "p", "b": "p"}))


def test_the_safeguard_refuses_a_patient_on_both_sides():
    with pytest.raises(RuntimeError, match="fold 0 has 1 patients on both sides"):
        confirm_apart([{"train": ["a"], "val": ["b"]}], {"a": "p", "b": "p"})
