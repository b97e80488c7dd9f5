"""Published numbers against the papers' own texts."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from nnunet_plugins.papers.library import TABLES, find_table
from nnunet_plugins.papers.sij_fm_25d_attention_unet import CALLS, CLASSIFIER, MASKS, P_VALUES
from nnunet_plugins.papers.tables import Row, Table

ROWS = [
    pytest.param(table, row, id=f"{table.id}-{row.key}")
    for table in TABLES
    for row in table.rows
    if row.printed
]


@pytest.fixture(scope="module")
def text(papers_text: Callable[[str], str]) -> Callable[[str], str]:
    """Digits of a paper's text; layout is removed, because each text formats its tables differently."""
    return lambda paper: re.sub(r"[^0-9.]+", " ", papers_text(paper))


def _number(value: float) -> str:
    return rf"{value:g}".replace(".", r"\.") + ("0*" if value % 1 else r"(\.0+)?")


def _numbers(row: dict[str, float], names: list[str]) -> str:
    """Pattern of the numbers in order, with any separators and optional trailing zeros."""
    return r"[ .]*".join(_number(row[name]) for name in names)


def _order(table: Table, row: dict[str, float]) -> list[str]:
    """Columns in the order of one line of the paper's text."""
    if table.id == "sij-fm-25d-attention-unet.2":
        names = [
            *("DSC", "DSC.sd", "Precision", "Precision.low", "Precision.high"),
            *("Recall", "Recall.low", "Recall.high"),
        ]
        return [*names, *(f"x{name}" for name in names)]
    return [name for name in row if name not in ("Params", "HD px", "ASSD px", "s/image")]


@pytest.mark.parametrize(("table", "row"), ROWS)
def test_the_numbers_are_in_the_text_of_the_paper(text, table: Table, row: Row) -> None:
    found = row.printed
    lines = [_order(table, found)]
    if table.id == "cai2023-aspp-unet.3":
        bones = list(row.further)
        lines = [
            [*(name for name in bones if name.startswith(metric)), metric, f"{metric}.sd"]
            for metric in ("DSC", "MIoU")
        ]
        lines.append(["Params", "s/image"])
    elif table.id in ("yan2025-mag-unet.1", "yan2025-mag-unet.4") and found:
        lines[0].append("Params")
    elif table.id == "yan2025-mag-unet.3":
        lines = [["IoU"], ["Params"]]
    for names in lines:
        assert re.search(_numbers(found, names), text(table.paper)), names


def test_distances_of_the_proposed_model_are_in_the_text(text) -> None:
    row = find_table("silveira2025-inception-dual.6").row("proposed").further
    assert re.search(_numbers(row, ["HD px", "ASSD px"]), text("silveira2025-inception-dual"))


def test_all_columns_can_be_filled() -> None:
    unmeasured = {
        name
        for table in TABLES
        for row in table.rows
        for name in row.printed
        if not name.endswith((".sd", ".low", ".high")) and table.column(name) is None
    }
    assert unmeasured == set()


def test_all_numbers_of_the_classification_model_and_the_readers_are_in_the_text(text) -> None:
    digits = text("sij-fm-25d-attention-unet")
    for found in (*CLASSIFIER.values(), *CALLS.values(), *MASKS.values()):
        for name, value in found.items():
            assert re.search(rf"(?<![0-9]){_number(value)}(?![0-9])", digits), name
    for value in P_VALUES.values():
        assert re.search(_number(value), digits)


@pytest.mark.parametrize(
    ("paper", "phrase"),
    [
        ("jing2025-se-unet", r"six mainstream segmentation models .{0,40}including 3D-Unet,3D V-Net"),
        ("jing2025-se-unet", r"Dice coefficient is improved by 5\.1%"),
        ("jing2025-se-unet", r"superior performance, achieving a 91\.4% Dice"),
        ("yan2025-mag-unet", "远低于 TransUNet 和 ResUNet"),
        ("yan2025-mag-unet", "多尺度组合的表现优于单一卷积核"),
        ("yan2025-mag-unet", r"参数量\(23\.14 M\)方面表现最佳"),
        ("yan2025-mag-unet", "应用不同注意力机制后,模型的性能普遍有所提升"),
        ("yan2025-mag-unet", r"10 414 张高分辨率切片"),
        ("yan2025-mag-unet", "150~200 层连续断层图像"),
        ("sij-fm-25d-attention-unet", r"76\.42–80\.05% for segmentation of FM on internal"),
        ("sij-fm-25d-attention-unet", r"p value of < 0\.05 in CRP concentration .{0,90}but others were not"),
        ("sij-fm-25d-attention-unet", "sensitivity, and specificity of the classifi.{0,30}were superior to"),
        ("sij-fm-25d-attention-unet", r"57\.20% and 61\.51%"),
        ("sij-fm-25d-attention-unet", "bootstrap technique was used to calculate 95% confidence intervals"),
        ("sij-fm-25d-attention-unet", r"internal test sets \(n = 129\)"),
        ("sij-fm-25d-attention-unet", r"2D-based CNNs \(including 2D UNet, ResUNet, Attention UNet\)"),
        ("silveira2025-inception-dual", r"1\.72% in mIoU, 0\.48% in accuracy, 1\.75% in precision, and 0\.97%"),
        ("silveira2025-inception-dual", "different random seeds with a fixed data split"),
        ("silveira2025-inception-dual", "validation set re-sampled from the training data in each run"),
        ("silveira2025-inception-dual", r"highest precision \(0\.9474\) among all models"),
        ("cai2023-aspp-unet", "three MIoU evaluation metrics, S, L3 and L2"),
        ("cai2023-aspp-unet", "only slightly higher than that in the U-Net-2D network"),
        ("cai2023-aspp-unet", "only 42 cases of images in the test set"),
        ("cai2023-aspp-unet", "34 pieces of data in the test set"),
    ],
)  # fmt: skip
def test_the_text_has_what_a_footnote_quotes(
    papers_text: Callable[[str], str], paper: str, phrase: str
) -> None:
    assert re.search(phrase, papers_text(paper))
