import itertools

import numpy as np
import pytest

from dataset_conversion.splits import grouped_folds


def random_groups(seed: int) -> dict[str, str]:
    rng = np.random.default_rng(seed)
    return {f"c{i:02d}": f"g{rng.integers(1, 13)}" for i in range(int(rng.integers(2, 40)))}


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
