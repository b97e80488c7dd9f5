"""Contradictions within the papers: each claim of a footnote is recomputed from the stored numbers."""

from __future__ import annotations

import math
import statistics

import pytest

from nnunet_plugins.papers.library import find_paper, find_table
from nnunet_plugins.papers.remarks import remarks
from nnunet_plugins.papers.sij_fm_25d_attention_unet import CALLS, CLASSIFIER, MASKS, P_VALUES
from nnunet_plugins.readers.calls import unpaired

BONES = ("S", "L5", "L4", "L3", "L2", "L1", "T12", "T11")


def marked(table: str, phrase: str) -> set[tuple[str, str]]:
    """The cells of the only remark with a phrase."""
    (found,) = [one for one in remarks(find_table(table)) if phrase in one.text]
    return set(found.cells)


def stated(paper: str, phrase: str) -> bool:
    return sum(phrase in one for one in find_paper(paper).footnotes) == 1


# jing2025-se-unet


def test_jing2025_gains_one_point_of_dice_and_compares_with_four_networks() -> None:
    table = find_table("jing2025-se-unet.1")
    ours, attention = table.row("se").published, table.row("attention").published
    assert ours["Dice"] - table.row("unet").published["Dice"] == pytest.approx(1.0)
    assert marked(table.id, "5.1 % in section 2.1; 91.4 - 90.4 is 1.0") == {("se", "Dice")}
    assert len(table.rows) == 4 + 1
    assert not marked(table.id, "announces six networks")
    higher = {("attention", name) for name in ("Dice", "Precision") if attention[name] > ours[name]}
    assert marked(table.id, "calls the performance superior") == higher


# yan2025-mag-unet


def test_yan2025_gains_3_4_points_of_iou() -> None:
    rows = find_table("yan2025-mag-unet.1")
    best, base = rows.row("mag").published, rows.row("unet").published
    assert best["IoU"] - base["IoU"] == pytest.approx(3.4)
    assert best["Dice"] - base["Dice"] == pytest.approx(2.1)
    assert (
        find_table("yan2025-mag-unet.4").row("da-mff-lgag").published["Dice"]
        == 92.4
        != best["Dice"]
    )
    assert "TransUNet" not in [row.name for row in rows.rows]
    assert marked(rows.id, "TransUNet, which is not in the table")


def test_scores_of_yan2025_equal_those_of_the_earlier_paper() -> None:
    earlier, later = (find_table(f"{key}.1") for key in ("jing2025-se-unet", "yan2025-mag-unet"))
    for key in ("unet", "vnet", "resunet", "attention"):
        for name in ("Dice", "IoU", "Precision", "Recall"):
            assert earlier.row(key).published[name] == later.row(key).published[name]
    assert find_table("yan2025-mag-unet.2").row("se").published["Dice"] == 90.7
    assert earlier.row("se").published["Dice"] == 91.4


def test_blocks_of_yan2025_that_do_not_help() -> None:
    attention = find_table("yan2025-mag-unet.2")
    dice = {row.key: row.published["Dice"] for row in attention.rows}
    assert {key for key in dice if dice[key] < dice["unet"]} == {"eca"}
    assert dice["unet"] - dice["eca"] == pytest.approx(2.0)
    assert marked(attention.id, "ECA lowers its Dice by 2.0") == {("eca", "Dice")}
    kernels = find_table("yan2025-mag-unet.3")
    rows = {row.key: row.published for row in kernels.rows}
    several = [key for key in rows if len(key) > 2]
    lower = {(key, "IoU") for key in several if rows[key]["IoU"] < rows["k3"]["IoU"]}
    assert len(several) == 5
    assert marked(kernels.id, "of the five sets only 1, 3, 5") == lower
    assert "k135" not in {key for key, _ in lower}
    assert max(rows, key=lambda key: rows[key]["Params"]) == "k135"
    assert marked(kernels.id, "it is the largest of the table") == {("k135", "Params")}


def test_modules_of_yan2025_do_not_add_up() -> None:
    params = {row.key: row.published.get("Params") for row in find_table("yan2025-mag-unet.4").rows}
    alone = [params[key] - params["unet"] for key in ("da", "mff", "lgag")]
    assert alone == pytest.approx([0.56, 0.69, 0.64])
    assert params["unet"] + sum(alone) == pytest.approx(24.34)
    assert params["da-mff-lgag"] == 23.98


def test_slices_of_yan2025() -> None:
    assert 70 * 150 == 10_500 > 10_414
    assert stated("yan2025-mag-unet", "70 cases of 150 to 200 slices have at least 10,500")


# sij-fm-25d-attention-unet


def test_range_of_dices_of_the_25d_paper() -> None:
    table = find_table("sij-fm-25d-attention-unet.2")
    others = {row.key: row.published["DSC"] for row in table.rows if row.key != "net25d"}
    outside = {(key, "DSC") for key, dice in others.items() if not 76.42 <= dice <= 80.05}
    assert marked(table.id, "76.42 to 80.05") == outside == {("unetr", "DSC")}
    assert (max(others.values()), others["unetr"]) == (80.05, 73.94)
    external = [row.published["xDSC"] for row in table.rows if row.key != "net25d"]
    assert (min(external), max(external)) == (57.81, 67.40)  # as the text has it


def lopsided(prefix: str) -> set[tuple[str, str]]:
    """The cells whose interval is not symmetric, beyond the rounding of its three numbers."""
    found = set()
    for row in find_table("sij-fm-25d-attention-unet.2").rows:
        for name in (f"{prefix}Precision", f"{prefix}Recall"):
            mean, low, high = (row.printed[f"{name}{part}"] for part in ("", ".low", ".high"))
            if abs(low + high - 2 * mean) > 0.02 + 1e-9:
                found.add((row.key, name))
    return found


def test_lopsided_intervals_of_the_25d_paper() -> None:
    table = find_table("sij-fm-25d-attention-unet.2")
    row = table.row("unet3d").printed
    sides = [row["Precision"] - row["Precision.low"], row["Precision.high"] - row["Precision"]]
    assert sides == pytest.approx([0.47, 1.37])
    assert marked(table.id, "80.18 - 0.47 and + 1.37") == lopsided("")
    every = {(row.key, name) for row in table.rows for name in ("xPrecision", "xRecall")}
    assert marked(table.id, "computed in different ways") == every - lopsided("x")


def test_p_values_of_the_25d_paper() -> None:
    assert P_VALUES["CRP"] == 0.158
    significant = {name for name, p in P_VALUES.items() if p < 0.05}
    assert significant == {"disease duration", "ESR"}
    assert stated(
        "sij-fm-25d-attention-unet", "its p is 0.158, and those of disease duration (0.038)"
    )


def counts_with(found: dict[str, float], most: int) -> list[tuple[int, int, int, int]]:
    """TP, FP, TN and FN that give all printed percentages, of up to ``most`` patients."""

    def fits(part: int, whole: int, name: str) -> bool:
        return whole > 0 and abs(100 * part / whole - found[name]) <= 0.005 + 1e-9

    return [
        (tp, fp, tn, fn)
        for tp in range(most + 1)
        for fn in range(most + 1 - tp)
        if fits(tp, tp + fn, "Sensitivity")
        for fp in range(most + 1 - tp - fn)
        if fits(tp, tp + fp, "PPV")
        for tn in range(most + 1 - tp - fn - fp)
        if fits(tn, tn + fp, "Specificity")
        and fits(tn, tn + fn, "NPV")
        and fits(tp + tn, tp + fp + tn + fn, "Accuracy")
    ]


def kappa(tp: int, fp: int, tn: int, fn: int) -> float:
    n = tp + fp + tn + fn
    agreed = (tp + tn) / n
    chance = ((tp + fp) * (tp + fn) + (tn + fn) * (tn + fp)) / n**2
    return (agreed - chance) / (1 - chance)


def test_the_internal_test_set_of_the_25d_paper_has_96_patients() -> None:
    internal, external = CLASSIFIER["internal"], CLASSIFIER["external"]
    assert counts_with(internal, 129) == [(54, 11, 24, 7)]
    assert (sum((54, 11, 24, 7)), internal["n"]) == (96, 129)
    assert (round(kappa(54, 11, 24, 7), 3), internal["kappa"]) == (0.585, 0.504)
    # The external numbers fit the text: 37 with and 21 without axSpA.
    assert counts_with(external, 58) == [(34, 10, 11, 3)]
    assert round(kappa(34, 10, 11, 3), 3) == external["kappa"] == 0.477
    assert stated(
        "sij-fm-25d-attention-unet", "54 true and 11 false positives, 24 true and 7 false"
    )
    assert stated(
        "sij-fm-25d-attention-unet", "not the 129 of the text; Cohen's kappa is then 0.585"
    )


@pytest.mark.parametrize(("part", "n"), [("internal", 96), ("external", 58)])
def test_intervals_of_the_25d_paper_are_walds(part: str, n: int) -> None:
    found = CLASSIFIER[part]
    for name in ("Accuracy", "Sensitivity", "Specificity", "PPV", "NPV"):
        p = found[name] / 100
        half = 196 * math.sqrt(p * (1 - p) / n)
        ends = found[f"{name}.low"], found[f"{name}.high"]
        assert ends == pytest.approx((found[name] - half, found[name] + half), abs=0.016), name
    assert stated("sij-fm-25d-attention-unet", "p ± 1.96 sqrt(p (1 - p) / n)")


def test_intervals_of_the_masks_of_the_25d_paper_are_symmetric() -> None:
    for found in MASKS.values():
        for name in ("Precision", "Recall"):
            middle = (found[f"{name}.low"] + found[f"{name}.high"]) / 2
            assert middle == pytest.approx(found[name], abs=0.011)
    assert stated("sij-fm-25d-attention-unet", "are symmetric around the means")


@pytest.mark.parametrize(
    ("reader", "arm", "counts", "exact"),
    [
        ("resident", "alone", (29, 9, 12, 8), True),
        ("expert", "alone", (33, 8, 13, 4), True),
        ("resident", "assisted", (33, 9, 12, 4), False),
        ("expert", "assisted", (35, 8, 13, 2), False),
    ],
)
def test_counts_of_the_readers_of_the_25d_paper(reader, arm, counts, exact) -> None:
    found = CALLS[reader, arm]
    assert counts_with(found, 58) == ([counts] if exact else [])
    tp, _, tn, _ = counts
    for k, n, name in ((tp + tn, 58, "Accuracy"), (tp, 37, "Sensitivity"), (tn, 21, "Specificity")):
        shares = [abs(100 * one / n - found[name]) for one in range(n + 1)]
        assert shares.index(min(shares)) == k
    assert round(kappa(*counts), 3) == pytest.approx(found["kappa"], abs=1e-9 if exact else 0.01)
    assert stated("sij-fm-25d-attention-unet", "not ratios of counts of 37 and 21 patients")


def test_limits_of_the_accuracy_of_the_readers_of_the_25d_paper() -> None:
    limits = [one[f"Accuracy.{side}"] for one in CALLS.values() for side in ("low", "high")]

    def of(n: int) -> int:
        return sum(
            min(abs(100 * k / n - one) for k in range(n + 1)) <= 0.005 + 1e-9 for one in limits
        )

    assert (of(55), of(58)) == (6, 0)
    assert stated("sij-fm-25d-attention-unet", "six are shares of 55 patients")


def test_what_the_25d_paper_calls_superior_and_improved() -> None:
    model = CLASSIFIER["external"]
    resident, expert = CALLS["resident", "alone"], CALLS["expert", "alone"]
    better = {
        name: [model[name] > one[name] for one in (resident, expert)]
        for name in ("Accuracy", "Sensitivity", "Specificity")
    }
    assert better == {
        "Accuracy": [True, False], "Sensitivity": [True, True], "Specificity": [False, False],
    }  # fmt: skip
    assert stated("sij-fm-25d-attention-unet", "52.38 % below that of both")
    assert CALLS["expert", "assisted"]["Specificity"] == 61.51 < expert["Specificity"] == 61.90
    assert stated("sij-fm-25d-attention-unet", "from 61.90 % to 61.51 %")
    gains = [
        CALLS[who, "assisted"]["Accuracy"] - CALLS[who, "alone"]["Accuracy"]
        for who in ("expert", "resident")
    ]
    assert gains == pytest.approx([3.24, 6.82])
    assert unpaired(41, 45, 58) == pytest.approx(0.396, abs=0.0005)
    assert stated("sij-fm-25d-attention-unet", "41 against 45 of 58 gives 0.396")


# silveira2025-inception-dual


def test_headline_of_silveira2025_against_its_ten_runs() -> None:
    runs = [row.published["mIoU"] for row in find_table("silveira2025-inception-dual.7").rows]
    mean, sd = statistics.fmean(runs), statistics.stdev(runs)
    assert (round(mean, 3), round(sd, 4)) == (0.889, 0.0012)
    assert 6 < (0.8974 - mean) / sd < 7


def test_gains_of_silveira2025_mix_percent_and_points() -> None:
    table = find_table("silveira2025-inception-dual.6")
    ours, base = table.row("proposed").published, table.row("unet").published
    points = {name: round(100 * (ours[name] - base[name]), 2) for name in ours}
    percent = {name: round(100 * (ours[name] / base[name] - 1), 2) for name in ours}
    assert (percent["mIoU"], percent["F1"]) == (1.72, 0.97)
    assert (points["Accuracy"], points["Precision"]) == (0.48, 1.75)
    assert (points["mIoU"], points["F1"]) == (1.52, 0.91)
    assert len(marked(table.id, "relative for mIoU (1.72 %) and F1 (0.97 %)")) == 4


def test_the_best_u_net_of_silveira2025_is_another() -> None:
    losses = find_table("silveira2025-inception-dual.2")
    unets = {row.key: row.published["mIoU"] for row in losses.rows if row.key.startswith("unet-")}
    assert max(unets, key=lambda key: unets[key]) == "unet-bce"
    assert 100 * (0.8974 - unets["unet-bce"]) == pytest.approx(1.00)
    assert 100 * (0.8892 - unets["unet-bce"]) == pytest.approx(0.18)
    assert marked("silveira2025-inception-dual.6", "is then 1.00 points, and 0.18") == {
        ("unet", "mIoU")
    }


def test_precision_of_silveira2025_with_se() -> None:
    best = find_table("silveira2025-inception-dual.4").row("proposed-se").published["Precision"]
    runs = [row.published["Precision"] for row in find_table("silveira2025-inception-dual.7").rows]
    assert best == 0.9474
    assert sum(one > best for one in runs) == 5
    assert marked("silveira2025-inception-dual.4", "five of the ten runs") == {
        ("proposed-se", "Precision")
    }


# cai2023-aspp-unet


def test_means_of_cai2023_are_those_of_its_bones() -> None:
    for row in find_table("cai2023-aspp-unet.3").rows:
        found = row.printed
        for metric in ("DSC", "MIoU"):
            bones = [found[f"{metric} {bone}"] for bone in BONES]
            if (row.key, metric) == ("nnunet2d", "MIoU"):
                assert (round(statistics.fmean(bones), 2), found[metric]) == (74.91, 74.83)
            else:
                assert statistics.fmean(bones) == pytest.approx(found[metric], abs=0.011)


def test_spreads_of_the_means_of_cai2023_are_means_of_spreads() -> None:
    table = find_table("cai2023-aspp-unet.3")
    cells = set()
    for row in table.rows:
        for metric in ("DSC", "MIoU"):
            spreads = [row.printed[f"{metric} {bone}.sd"] for bone in BONES]
            assert statistics.fmean(spreads) == pytest.approx(
                row.printed[f"{metric}.sd"], abs=0.011
            )
            cells.add((row.key, metric))
    assert marked(table.id, "mean of the eight bones' ±") == cells


def test_bones_in_which_aspp_unet_leads() -> None:
    table = find_table("cai2023-aspp-unet.3")
    for metric, stated_bones, wrong in (("DSC", "S L5 L4 L3", ""), ("MIoU", "S L3 L2", "S")):
        for bone in BONES:
            name = f"{metric} {bone}"
            best = max(table.rows, key=lambda row, name=name: row.printed[name]).key
            leads = bone in stated_bones.split() and bone != wrong
            assert (best == "aspp") == leads, name
    assert table.row("deeplab").printed["MIoU S"] == 79.2 > table.row("aspp").printed["MIoU S"]
    assert marked(table.id, "DeepLabV3 has 79.2") == {("aspp", "MIoU S"), ("deeplab", "MIoU S")}


def test_parameters_and_ablation_of_cai2023() -> None:
    table, ablation = find_table("cai2023-aspp-unet.3"), find_table("cai2023-aspp-unet.2")
    params = {row.key: row.published["Params"] for row in table.rows}
    assert round(100 * (params["aspp"] / params["unet2d"] - 1)) == 46
    assert {key for key in params if params[key] < params["aspp"]} == {"unet2d", "segnet"}
    assert marked(table.id, "they are 46 % more") == {("aspp", "Params")}
    two, three = (ablation.row(key).published for key in ("aspp34", "aspp234"))
    assert three["MIoU"] - two["MIoU"] == pytest.approx(2.00)
    assert three["DSC"] - two["DSC"] == pytest.approx(-0.96)
    assert len(marked(ablation.id, "rises by 2.00 and the DSC falls by 0.96")) == 2
