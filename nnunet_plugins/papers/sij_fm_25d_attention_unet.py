"""2.5D attention U-Net (sij-fm-25d-attention-unet): fat metaplasia on sacroiliac MRI; scores in percent.

Scores are means of a four-fold cross-validation and, prefixed with x, of the external test set.
"""

from __future__ import annotations

from typing import Any

from nnunet_plugins.papers.paper import Paper
from nnunet_plugins.papers.recipes.sij_fm_25d_attention_unet import RECIPE
from nnunet_plugins.papers.tables import CASES, Column, Footnote, Row, Table, scores
from nnunet_plugins.papers.topologies import POOLED, Topology, plan_arguments

_KEY = "sij-fm-25d-attention-unet"
_METRICS = {"DSC": "dice", "Precision": "precision", "Recall": "recall"}
_MEASURED = {name: Column(CASES, metric, spread="folds") for name, metric in _METRICS.items()} | {
    f"x{name}": Column(CASES, metric, external=True, spread="cases")
    for name, metric in _METRICS.items()
}
#: p values of Table 1: training set against external test set.
P_VALUES = {
    "age": 0.190, "disease duration": 0.038, "sex": 0.797, "HLA-B27": 0.653, "ESR": 0.027, "CRP": 0.158,
}  # fmt: skip
#: Table 4, the classification model: test set -> number of patients, scores in percent and kappa.
CLASSIFIER = {
    name: scores("n Accuracy Sensitivity Specificity PPV NPV kappa", means)
    | scores(
        " ".join(
            f"{metric}.low {metric}.high"
            for metric in ("Accuracy", "Sensitivity", "Specificity", "PPV", "NPV")
        ),
        intervals,
    )
    for name, means, intervals in (
        (
            "internal",
            "129 81.25 88.52 68.57 83.08 77.42 0.504",
            "73.44 89.06 82.15 94.89 59.28 77.86 75.58 90.58 69.06 85.78",
        ),
        (
            "external",
            "58 77.59 91.89 52.38 77.27 78.57 0.477",
            "66.85 88.32 84.87 98.92 39.53 65.23 66.49 88.06 68.01 89.13",
        ),
    )
}
#: AUC of the classification model with its interval (Results): test set -> value, lower and upper limit.
CLASSIFIER_AUC = {"internal": (0.876, 0.811, 0.942), "external": (0.799, 0.696, 0.902)}
_RATES = " ".join(
    f"{one} {one}.low {one}.high"
    for one in ["Accuracy", "Sensitivity", "Specificity", "PPV", "NPV", "kappa"]
)
_OVERLAPS = "DSC DSC.sd Precision Precision.low Precision.high Recall Recall.low Recall.high"
#: Table 5: reader and arm -> scores of 58 external patients in percent, kappa, and their intervals.
CALLS = {
    key: scores(_RATES, values)
    for key, values in {
        (
            "resident",
            "alone",
        ): "70.69 58.18 81.82 78.38 63.89 91.18 57.14 33.33 78.58 76.32 62.16 89.29 60.00 35.71 "
        "82.35 0.359 0.082 0.599",
        (
            "resident",
            "assisted",
        ): "77.51 67.27 87.32 89.22 78.79 97.44 57.20 34.99 78.57 78.27 65.00 90.24 75.34 "
        "52.93 95.00 0.484 0.238 0.725",
        (
            "expert",
            "alone",
        ): "79.31 69.09 89.14 89.19 76.92 97.30 61.90 40.72 83.33 80.49 68.42 92.50 76.47 52.94 "
        "94.44 0.533 0.299 0.766",
        (
            "expert",
            "assisted",
        ): "82.55 70.91 90.91 94.85 85.71 100.00 61.51 40.00 82.36 80.87 68.18 92.50 87.41 "
        "66.67 100.00 0.596 0.369 0.802",
    }.items()
}
#: Its p values, alone against assisted: accuracy, sensitivity, specificity.
CALLS_P = {"resident": "0.572, 0.424, 0.990", "expert": "0.152, 0.508, 0.302"}
#: Table 3: who and arm -> means over 20 external patients in percent, standard deviation, and intervals.
MASKS = {
    key: scores(_OVERLAPS, values)
    for key, values in {
        ("model", ""): "85.44 6.09 85.83 82.62 89.04 86.43 81.10 91.76",
        ("resident", "alone"): "75.70 10.87 66.18 59.69 72.68 91.13 87.71 94.55",
        ("resident", "assisted"): "82.87 6.88 76.18 72.01 80.35 92.05 88.14 95.95",
        ("expert", "alone"): "85.03 9.72 80.32 74.71 85.92 91.11 86.84 95.38",
        ("expert", "assisted"): "85.74 8.08 81.59 76.84 86.33 91.39 87.45 95.33",
    }.items()
}
#: Its p values of the DSC.
MASKS_P = {
    "model against resident": "0.001", "model against expert": "0.874", "resident alone against assisted": "< 0.001",
    "expert alone against assisted": "0.496",
}  # fmt: skip


def _row(
    key: str, name: str, network: str, means: str, folds: str, external: str, **more: Any
) -> Row:
    """A row with its means, and with standard deviation and intervals of folds and external test set."""
    return Row(
        key,
        name,
        network,
        published=scores("DSC Precision Recall xDSC xPrecision xRecall", means),
        further=scores("DSC.sd Precision.low Precision.high Recall.low Recall.high", folds)
        | scores("xDSC.sd xPrecision.low xPrecision.high xRecall.low xRecall.high", external),
        **more,
    )


_TABLE = Table(
    _KEY,
    2,
    "2.5D attention U-Net compared with others",
    "AttentionUNet25D",
    "3d_fullres",
    2,
    (
        _row(
            "net25d",
            "2.5D-AttentionUNet (ours)",
            "AttentionUNet25D",
            "81.86 80.49 85.5 85.44 85.83 86.43",
            "1.55 80.16 80.82 85.34 85.66",
            "6.09 82.62 89.04 81.10 91.76",
            topology="ours (2.5D)",
        ),
        _row(
            "unet2d",
            "2D-UNet",
            "ModularUNet",
            "76.97 78.5 78.24 66.53 69.14 68.09",
            "2.11 78.25 78.75 77.84 78.64",
            "19.37 62.20 74.04 59.71 76.50",
            configuration="2d",
        ),
        _row(
            "unet3d",
            "3D-UNet",
            "ModularUNet",
            "80.05 80.18 82.4 67.40 85.12 62.87",
            "1.57 79.71 81.55 82.00 82.80",
            "20.84 80.31 89.37 52.46 71.26",
        ),
        _row(
            "resunet",
            "ResUNet",
            "ResUNet",
            "76.42 76.49 79.56 66.41 75.74 65.66",
            "1.92 76.15 76.83 79.31 79.81",
            "17.60 69.66 79.58 57.32 72.96",
            configuration="2d",
        ),
        _row(
            "unetr",
            "UNETR",
            "UNETR",
            "73.94 79.64 72.93 57.81 68.83 55.26",
            "2.68 79.12 80.16 72.51 73.35",
            "21.58 61.45 77.27 46.22 67.42",
        ),
        _row(
            "attention",
            "Attention U-Net",
            "AttentionUNet",
            "79.73 79.95 82.47 65.54 72.29 67.95",
            "1.65 79.59 80.31 82.12 82.82",
            "24.25 63.05 76.22 56.84 76.66",
            configuration="2d",
        ),
    ),
    (
        Footnote(
            "Mean of four folds; prefixed with x: of the external test set. What ± is over is not stated: 1.55 of "
            "103 cases can only be over folds, 6.09 of 20 cases, one of which has 63.24, over cases."
        ),
        Footnote(
            "The text gives 76.42 to 80.05 as the DSC of the other five networks; UNETR has 73.94.",
            (("unetr", "DSC"),),
        ),
        Footnote(
            "The interval of the 3D-UNet's precision, 80.18 - 0.47 and + 1.37, is lopsided; all others of the folds "
            "are symmetric.",
            (("unet3d", "Precision"),),
        ),
        Footnote(
            "The external intervals of the paper's own network are symmetric, those of the other networks are not: "
            "they were computed in different ways.",
            (("net25d", "xPrecision"), ("net25d", "xRecall")),
        ),
        Footnote("The discussion counts ResUNet and Attention U-Net among the 2D networks."),
    ),
    measured=_MEASURED,
)

_TOPOLOGY = Topology(
    "ours (2.5D)",
    "AttentionUNet25D",
    # Kernels, widths, strides and dropout of the network that the authors published.
    plan_arguments(
        3,
        (32, 32, 64, 128, 256),
        None,
        [2, 2, 2, 2],
        kernel_sizes=[[1, 3, 3]] * 3 + [[3, 3, 3]] * 2,
        strides=[[1, 1, 1], [1, 2, 2], [1, 2, 2], [1, 2, 2], [2, 2, 2]],
        n_blocks_per_stage=[2, 2, 2, 2, 2],
        norm_op="torch.nn.modules.instancenorm.InstanceNorm3d",
        norm_op_kwargs={"eps": 1e-5, "affine": False},
        dropout_op="torch.nn.modules.dropout.Dropout3d",
        dropout_op_kwargs={"p": 0.2, "inplace": True},
        attention_levels=[0, 1, 2],
        squeeze_levels=[3, 4],
        **POOLED,
    ),
    {"total": 10_532_520},
    "Counted from the layers of the network that the authors published; the paper prints no count.",
    paper=_KEY,
    source="code",
    configuration="3d_fullres",
    patch=(16, 192, 192),
)

PAPER = Paper(
    key=_KEY,
    number="002",
    title="2.5D attention U-Net for fat metaplasia on sacroiliac joint MRI (description; the title is not known)",
    authors="",
    year=None,
    link="https://github.com/hust-linyi/2.5D-AttentionUNet",
    network="AttentionUNet25D",
    recipe=RECIPE,
    topologies=(_TOPOLOGY,),
    tables=(_TABLE,),
    footnotes=(
        "Table 1: the text calls CRP the only significant difference between the sets; its p is 0.158, and those of "
        "disease duration (0.038) and ESR (0.027) are below 0.05.",
        "Table 4: the internal percentages fit 96 patients and one table of counts (54 true and 11 false positives, "
        "24 true and 7 false negatives), not the 129 of the text; Cohen's kappa is then 0.585, not 0.504.",
        "Table 4: the intervals, according to the methods from the bootstrap, are p ± 1.96 sqrt(p (1 - p) / n) "
        "(Wald), with n of all patients also for the shares of a part of them.",
        "Table 3: the intervals, according to the methods from the bootstrap, are symmetric around the means, which "
        "percentiles of the bootstrap seldom are.",
        "Table 5: the shares of the assisted readers are not ratios of counts of 37 and 21 patients; the nearest "
        "counts are 33 true positives, 4 false negatives, 12 true negatives and 9 false positives (resident) and 35, "
        "2, 13 and 8 (expert).",
        "Table 5: of the eight limits of the accuracy, six are shares of 55 patients, such as 32/55 = 58.18 %, and "
        "none is one of 58.",
        "Table 5: the text calls the model superior to both readers alone in accuracy, sensitivity and specificity; "
        "its accuracy of 77.59 % is below the expert's, and its specificity of 52.38 % below that of both.",
        "Table 5: the text calls the expert's specificity improved; it falls from 61.90 % to 61.51 %.",
        "Table 5: the p of the accuracy is smaller for the expert, who gains 3.24 points (0.152), than for the "
        "resident, who gains 6.82 (0.572); the chi-square test of 41 against 45 of 58 gives 0.396.",
    ),
)
