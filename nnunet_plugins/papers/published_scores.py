"""What the papers print beyond the columns of `tables`, what their columns mean here, and what contradicts itself.

Every number stands in the paper's text; where two of a paper's numbers cannot both hold, a footnote says which.
"""

from __future__ import annotations

from dataclasses import dataclass

from nnunet_plugins.papers.rows import Row, Scores, Table

#: Mean over labels of their means over cases; the papers with one label and those that leave the background out.
CASES = "macro_over_classes"
#: Pixels of all cases pooled, mean over background and labels.
POOLED = "pooled_macro_over_classes_with_background"


@dataclass(frozen=True)
class Column:
    """How a paper's column is measured here.

    Attributes:
        aggregate: of `evaluate`'s aggregates, or 'label' for one label's mean, or 'parameters'.
        metric: of `evaluate`'s metrics.
        factor: 100 where the paper prints percent.
        label: which one, for 'label'.
    """

    aggregate: str
    metric: str = ""
    factor: float = 100.0
    label: str = ""


@dataclass(frozen=True)
class Footnote:
    """A contradiction, and the cells that it is about: (row key, column); none for the whole table."""

    text: str
    cells: tuple[tuple[str, str], ...] = ()


_PERCENT = {
    "Dice": "dice",
    "DSC": "dice",
    "IoU": "iou",
    "MIoU": "iou",
    "Precision": "precision",
    "Recall": "recall",
}
_SPIDER = {
    "mIoU": Column(POOLED, "iou", 1.0),
    "Accuracy": Column("voxel_accuracy", factor=1.0),
    "Precision": Column(POOLED, "precision", 1.0),
    "Recall": Column(POOLED, "recall", 1.0),
    "F1": Column(POOLED, "dice", 1.0),
    "HD px": Column(CASES, "hd_px", 1.0),
    "ASSD px": Column(CASES, "assd_px", 1.0),
}


def column(table: Table, name: str) -> Column | None:
    """How the column ``name`` of a table is measured here; None where it cannot be."""
    if name == "Params":
        return Column("parameters", factor=1e-6)
    if table.paper == "003":
        return _SPIDER.get(name)
    metric, _, label = name.partition(" ")
    if metric not in _PERCENT:
        return None
    return Column("label" if label else CASES, _PERCENT[metric], label=label)


def printed(table: Table, row: Row) -> Scores:
    """All that the paper prints of a row: `tables`' columns and what stands here."""
    return row.published | MORE.get((table.id, row.key), {})


def footnotes(table: Table) -> list[Footnote]:
    """The table's contradictions, then what its rows do not tell."""
    rows = [Footnote(f"{row.name}: {row.note}.") for row in table.rows if row.note]
    note = [Footnote(table.note)] if table.note and table.id not in _TOLD else []
    return [*CONTRADICTIONS.get(table.id, ()), *note, *rows]


def _row(columns: str, values: str) -> Scores:
    return dict(zip(columns.split(), map(float, values.split()), strict=True))


_FOLDS = "DSC.sd Precision.low Precision.high Recall.low Recall.high"
_EXTERNAL = "xDSC.sd xPrecision.low xPrecision.high xRecall.low xRecall.high"


def _fat(folds: str, external: str) -> Scores:
    return _row(_FOLDS, folds) | _row(_EXTERNAL, external)


_BONES = ("S", "L5", "L4", "L3", "L2", "L1", "T12", "T11")


def _bones(dice: str, iou: str, seconds: float) -> Scores:
    """Mean and sd of each bone, in the paper's order, and seconds an image."""
    found: Scores = {}
    for metric, text in (("DSC", dice), ("MIoU", iou)):
        values = [float(one) for one in text.split()]
        for i, bone in enumerate(_BONES):
            found[f"{metric} {bone}"], found[f"{metric} {bone}.sd"] = values[2 * i : 2 * i + 2]
    return found | {"s/image": seconds}


#: (table, row) -> columns that `tables` leaves out.
MORE: dict[tuple[str, str], Scores] = {
    ("002.2", "net25d"): _fat("1.55 80.16 80.82 85.34 85.66", "6.09 82.62 89.04 81.10 91.76"),
    ("002.2", "unet2d"): _fat("2.11 78.25 78.75 77.84 78.64", "19.37 62.20 74.04 59.71 76.50"),
    ("002.2", "unet3d"): _fat("1.57 79.71 81.55 82.00 82.80", "20.84 80.31 89.37 52.46 71.26"),
    ("002.2", "resunet"): _fat("1.92 76.15 76.83 79.31 79.81", "17.60 69.66 79.58 57.32 72.96"),
    ("002.2", "unetr"): _fat("2.68 79.12 80.16 72.51 73.35", "21.58 61.45 77.27 46.22 67.42"),
    ("002.2", "attention"): _fat("1.65 79.59 80.31 82.12 82.82", "24.25 63.05 76.22 56.84 76.66"),
    ("003.6", "proposed"): {"HD px": 8.5621, "ASSD px": 0.7059},
    ("004.3", "unet2d"): _bones(
        "85.0 1.3 88.5 2.4 87.4 2.3 78.5 4.2 67.5 2.1 75.8 3.2 78.4 1.5 78.4 4.2",
        "73.5 0.9 78.3 1.5 76.3 2.9 64.5 1.6 54.2 2.5 60.8 2.8 66.2 3.4 64.9 2.5",
        0.163,
    ),
    ("004.3", "segnet"): _bones(
        "84.2 1.9 87.0 1.9 83.2 2.2 81.6 2.3 70.5 1.9 77.1 1.2 77.9 1.5 78.3 3.1",
        "74.7 1.5 78.5 1.7 75.6 1.4 66.7 1.9 52.0 2.9 61.7 1.4 66.0 3.9 62.9 1.8",
        0.170,
    ),
    ("004.3", "deeplab"): _bones(
        "87.5 2.1 86.5 2.2 85.0 2.5 80.5 3.2 75.3 3.5 83.4 1.5 81.5 1.2 84.0 3.1",
        "79.2 0.5 76.1 2.3 74.1 2.3 68.5 2.1 64.2 3.4 71.4 2.6 68.1 2.9 73.1 1.8",
        0.198,
    ),
    ("004.3", "unet3d"): _bones(
        "86.3 1.5 89.5 2.1 88.5 3.2 82.8 2.8 77.5 2.1 85.7 2.6 83.4 2.5 84.8 2.1",
        "78.2 0.8 81.5 2.1 81.4 2.5 71.4 1.2 64.3 2.1 74.8 2.7 73.4 2.7 74.4 2.5",
        0.221,
    ),
    ("004.3", "nnunet2d"): _bones(
        "85.2 1.2 85.5 3.2 86.7 2.4 86.4 2.1 84.4 1.9 81.8 1.5 83.7 1.6 89.0 2.4",
        "78.2 1.2 79.4 1.7 75.9 1.5 77.5 0.7 72.3 4.5 68.9 1.8 68.4 2.4 78.7 1.6",
        0.292,
    ),
    ("004.3", "aspp"): _bones(
        "88.4 1.5 91.0 2.5 89.1 2.4 87.5 2.5 84.0 2.3 82.0 2.1 82.7 1.4 88.1 2.8",
        "79.1 0.9 80.8 1.2 78.0 1.9 78.3 1.4 72.4 3.4 68.3 2.6 69.1 3.0 77.9 1.4",
        0.171,
    ),
}
_HEADLINE = (
    "0.8974 lies more than 6 standard deviations above the mean of the paper's own ten runs of this model, "
    "0.8892 ± 0.0012 (Table 7)"
)
_CONVEX = "over the same classes and cases a mean IoU cannot be below DSC / (2 - DSC): 76.4 for a DSC of 86.60"
_DICE_001 = "Dice of the same network is 92.5 in Table 1, 92.4 in Table 4 and in the abstract"

_GAIN_001 = (
    "the text calls 3.4 % the gain in Dice over the 3D U-Net; that is IoU's; Dice's is 2.0 or 2.1"
)

#: Tables whose note says nothing but what stands here.
_TOLD = ("000.1", "001.2", "001.3", "001.4", "003.3", "004.2")
#: Table -> what cannot hold as printed.
CONTRADICTIONS: dict[str, tuple[Footnote, ...]] = {
    "000.1": (
        Footnote(
            "the gain in Dice over the 3D U-Net is 1.1 in the abstract; 91.4 - 90.4 is 1.0",
            (("se", "Dice"),),
        ),
    ),
    "000.2": (
        Footnote(
            "the gain in Dice over the 3D U-Net is 1.1 in the abstract; 91.4 - 90.4 is 1.0",
            (("se", "Dice"),),
        ),
    ),
    "001.1": (
        Footnote(_DICE_001, (("mag", "Dice"),)),
        Footnote(_GAIN_001, (("mag", "IoU"),)),
    ),
    "001.2": (
        Footnote(
            "000 prints 91.4 for SE at the bottleneck of the same 3D U-Net", (("se", "Dice"),)
        ),
    ),
    "001.3": (
        Footnote(
            "parameters are printed larger for kernels of 1, 3, 5 than for 3, 5, 7, which have more",
            (("k135", "Params"), ("k357", "Params")),
        ),
        Footnote("[3] stands for the plain 3D U-Net, two convolutions of 3", (("k3", "IoU"),)),
    ),
    "001.4": (
        Footnote(_DICE_001, (("da-mff-lgag", "Dice"),)),
        Footnote(
            "modules do not add up: 22.45 + 0.56 + 0.69 + 0.64 is 24.34",
            (("da-mff", "Params"), ("da-lgag", "Params"), ("da-mff-lgag", "Params")),
        ),
        Footnote(_GAIN_001, (("da-mff-lgag", "IoU"),)),
    ),
    "003.2": (Footnote(_HEADLINE, (("proposed-dice", "mIoU"),)),),
    "003.3": (Footnote(_HEADLINE, (("proposed", "mIoU"),)),),
    "003.4": (Footnote(_HEADLINE, (("proposed", "mIoU"),)),),
    "003.5": (Footnote(_HEADLINE, (("none", "mIoU"),)),),
    "003.6": (Footnote(_HEADLINE, (("proposed", "mIoU"),)),),
    "004.2": (Footnote(_CONVEX, (("aspp1234", "MIoU"),)),),
    "004.3": (
        Footnote(_CONVEX, (("aspp", "MIoU"),)),
        Footnote("the mean of the eight bones' MIoU is 74.91", (("nnunet2d", "MIoU"),)),
        Footnote("the text has 34 test cases in its results and 42 in its discussion"),
    ),
}
