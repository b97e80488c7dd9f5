"""Published numbers against the papers' own texts, and the contradictions by arithmetic."""

from __future__ import annotations

import re
import statistics
from pathlib import Path

import pytest

from nnunet_plugins.papers.library import TABLES, find_paper, find_table
from nnunet_plugins.papers.tables import Row, Table

ROWS = [
    pytest.param(table, row, id=f"{table.id}-{row.key}")
    for table in TABLES
    for row in table.rows
    if row.printed
]


@pytest.fixture(scope="module")
def text(shared_data: Path):
    """Digits of a paper's text; layout is removed, because each text formats its tables differently."""
    folder = shared_data.parent / "papers"
    if not folder.is_dir():
        pytest.skip(f"no texts of the papers in {folder}")

    def digits(paper: str) -> str:
        (file,) = folder.glob(f"{find_paper(paper).number}_*.txt")
        return re.sub(r"[^0-9.]+", " ", file.read_text(encoding="utf-8"))

    return digits


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


def test_all_columns_can_be_measured_except_those_named() -> None:
    unmeasured = {
        name
        for table in TABLES
        for row in table.rows
        for name in row.printed
        if not name.endswith((".sd", ".low", ".high")) and table.column(name) is None
    }
    # The external test set is other data, and time per image is not a score.
    assert unmeasured == {"xDSC", "xPrecision", "xRecall", "s/image"}


def test_footnotes_name_cells_that_are_printed() -> None:
    for table in TABLES:
        for key, name in (cell for footnote in table.footnotes for cell in footnote.cells):
            assert name in table.row(key).printed


def test_remarks_are_distinct_sentences() -> None:
    for table in TABLES:
        texts = [footnote.text for footnote in table.remarks()]
        assert len(set(texts)) == len(texts)
        assert all(text.endswith(".") for text in texts)


def test_jing2025_gains_one_point_of_dice() -> None:
    rows = find_table("jing2025-se-unet.1")
    gain = rows.row("se").published["Dice"] - rows.row("unet").published["Dice"]
    assert gain == pytest.approx(1.0)


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


def test_modules_of_yan2025_do_not_add_up() -> None:
    params = {row.key: row.published.get("Params") for row in find_table("yan2025-mag-unet.4").rows}
    alone = [params[key] - params["unet"] for key in ("da", "mff", "lgag")]
    assert alone == pytest.approx([0.56, 0.69, 0.64])
    assert params["unet"] + sum(alone) == pytest.approx(24.34)
    assert params["da-mff-lgag"] == 23.98


def test_headline_of_silveira2025_against_its_ten_runs() -> None:
    runs = [row.published["mIoU"] for row in find_table("silveira2025-inception-dual.7").rows]
    mean, sd = statistics.fmean(runs), statistics.stdev(runs)
    assert (round(mean, 3), round(sd, 4)) == (0.889, 0.0012)
    assert 6 < (0.8974 - mean) / sd < 7


def test_iou_of_cai2023_is_below_its_bound() -> None:
    found = find_table("cai2023-aspp-unet.2").row("aspp1234").published
    dice, iou = found["DSC"] / 100, found["MIoU"] / 100
    assert round(100 * dice / (2 - dice), 1) == 76.4
    assert iou < dice / (2 - dice) - 0.005


def test_means_of_cai2023_are_those_of_its_bones() -> None:
    for row in find_table("cai2023-aspp-unet.3").rows:
        found = row.printed
        for metric in ("DSC", "MIoU"):
            bones = [
                found[f"{metric} {bone}"]
                for bone in ["S", "L5", "L4", "L3", "L2", "L1", "T12", "T11"]
            ]
            if (row.key, metric) == ("nnunet2d", "MIoU"):
                assert (round(statistics.fmean(bones), 2), found[metric]) == (74.91, 74.83)
            else:
                assert statistics.fmean(bones) == pytest.approx(found[metric], abs=0.011)
