"""Pairs of labels on the left and the right, by their names."""

import pytest

from dataset_conversion.io.label_sides import side_pairs


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["ilium_left", "ilium_right"], [("ilium_left", "ilium_right")]),
        (["iliumRight", "iliumLeft"], [("iliumLeft", "iliumRight")]),
        (["Hüfte links", "Hüfte rechts"], [("Hüfte links", "Hüfte rechts")]),
        (["左髂骨", "右髂骨"], [("左髂骨", "右髂骨")]),
        (["os iliaque gauche", "os iliaque droit"], [("os iliaque gauche", "os iliaque droit")]),
        (["R SIJ", "L SIJ"], [("L SIJ", "R SIJ")]),
        (["left ilium", "right sacrum"], []),
        (["left and right ilium", "right ilium"], []),
        (["L5", "R5"], []),
        (["left2", "right2"], [("left2", "right2")]),
        (["rib_left_1", "rib_right_1", "rib_left_2", "rib_right_2"],
         [("rib_left_1", "rib_right_1"), ("rib_left_2", "rib_right_2")]),
    ],
)  # fmt: skip
def test_pairs_differ_in_the_side_only(names, pairs):
    assert side_pairs(names) == pairs
    assert side_pairs(["sacrum", *names, "background"]) == pairs
