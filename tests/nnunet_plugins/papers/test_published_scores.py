"""Published numbers against the papers' own texts, and the contradictions by arithmetic."""

from __future__ import annotations

import re
import statistics
from pathlib import Path

import pytest

from nnunet_plugins.papers.published_scores import (
    CONTRADICTIONS,
    MORE,
    column,
    footnotes,
    printed,
)
from nnunet_plugins.papers.rows import Row, Table
from nnunet_plugins.papers.tables import TABLES, find

ROWS = [
    pytest.param(table, row, id=f"{table.id}-{row.key}")
    for table in TABLES
    for row in table.rows
    if printed(table, row)
]


@pytest.fixture(scope="module")
def text(shared_data: Path):
    """A paper's digits: everything else is taken out, as each text lays its tables out in its own way."""
    folder = shared_data.parent / "papers"
    if not folder.is_dir():
        pytest.skip("the papers' texts are not here")

    def digits(paper: str) -> str:
        (file,) = folder.glob(f"{paper}_*.txt")
        return re.sub(r"[^0-9.]+", " ", file.read_text(encoding="utf-8"))

    return digits


def _number(value: float) -> str:
    return rf"{value:g}".replace(".", r"\.") + ("0*" if value % 1 else r"(\.0+)?")


def _numbers(row: dict[str, float], wanted: list[str]) -> str:
    """The numbers in their order, whatever stands between them, trailing zeros or none."""
    return r"[ .]*".join(_number(row[name]) for name in wanted)


def _order(table: Table, row: dict[str, float]) -> list[str]:
    """Columns in the paper's order, as far as one line of its text has them."""
    if table.id == "002.2":
        names = [
            *("DSC", "DSC.sd", "Precision", "Precision.low", "Precision.high"),
            *("Recall", "Recall.low", "Recall.high"),
        ]
        return [*names, *(f"x{name}" for name in names)]
    return [name for name in row if name not in ("Params", "HD px", "ASSD px", "s/image")]


@pytest.mark.parametrize(("table", "row"), ROWS)
def test_the_numbers_stand_in_the_paper(text, table: Table, row: Row) -> None:
    found = printed(table, row)
    lines = [_order(table, found)]
    if table.id == "004.3":
        bones = list(MORE["004.3", row.key])
        lines = [
            [*(name for name in bones if name.startswith(metric)), metric, f"{metric}.sd"]
            for metric in ("DSC", "MIoU")
        ]
        lines.append(["Params", "s/image"])
    elif table.id in ("001.1", "001.4") and found:
        lines[0].append("Params")
    elif table.id == "001.3":
        lines = [["IoU"], ["Params"]]
    for names in lines:
        assert re.search(_numbers(found, names), text(table.paper)), names


def test_003_prints_distances_of_the_proposed_model(text) -> None:
    row = MORE["003.6", "proposed"]
    assert re.search(_numbers(row, ["HD px", "ASSD px"]), text("003"))


def test_every_column_can_be_measured_or_is_named_as_not() -> None:
    unmeasured = {
        name
        for table in TABLES
        for row in table.rows
        for name in printed(table, row)
        if not name.endswith((".sd", ".low", ".high")) and column(table, name) is None
    }
    # The external test set is other data, and an image's time no score.
    assert unmeasured == {"xDSC", "xPrecision", "xRecall", "s/image"}


def test_footnotes_point_at_cells_that_are_there() -> None:
    for name, notes in CONTRADICTIONS.items():
        table = find(name)
        for note in notes:
            for key, column_ in note.cells:
                assert column_ in printed(table, table.row(key))


def test_a_note_is_not_said_twice() -> None:
    texts = [note.text for note in footnotes(find("001.4"))]
    assert len(texts) == 4
    assert sum("add up" in one for one in texts) == 1


def test_000_gains_one_point_of_dice() -> None:
    rows = find("000.1")
    gain = rows.row("se").published["Dice"] - rows.row("unet").published["Dice"]
    assert gain == pytest.approx(1.0)


def test_001_gains_3_4_in_iou() -> None:
    rows = find("001.1")
    best, base = rows.row("mag").published, rows.row("unet").published
    assert best["IoU"] - base["IoU"] == pytest.approx(3.4)
    assert best["Dice"] - base["Dice"] == pytest.approx(2.1)
    assert find("001.4").row("da-mff-lgag").published["Dice"] == 92.4 != best["Dice"]


def test_001_modules_do_not_add_up() -> None:
    params = {row.key: row.published.get("Params") for row in find("001.4").rows}
    alone = [params[key] - params["unet"] for key in ("da", "mff", "lgag")]
    assert alone == pytest.approx([0.56, 0.69, 0.64])
    assert params["unet"] + sum(alone) == pytest.approx(24.34)
    assert params["da-mff-lgag"] == 23.98


def test_003_headline_against_its_ten_runs() -> None:
    runs = [row.published["mIoU"] for row in find("003.7").rows]
    mean, sd = statistics.fmean(runs), statistics.stdev(runs)
    assert (round(mean, 4), round(sd, 4)) == (0.8891, 0.0012) or round(mean, 4) == 0.8892
    assert 6 < (0.8974 - mean) / sd < 7


def test_004_iou_cannot_be_that_low() -> None:
    found = find("004.2").row("aspp1234").published
    dice, iou = found["DSC"] / 100, found["MIoU"] / 100
    assert round(100 * dice / (2 - dice), 1) == 76.4
    assert iou < dice / (2 - dice) - 0.005


def test_004_means_are_those_of_its_bones() -> None:
    for row in find("004.3").rows:
        found = printed(find("004.3"), row)
        for metric in ("DSC", "MIoU"):
            bones = [
                found[f"{metric} {bone}"]
                for bone in ["S", "L5", "L4", "L3", "L2", "L1", "T12", "T11"]
            ]
            if (row.key, metric) == ("nnunet2d", "MIoU"):
                assert (round(statistics.fmean(bones), 2), found[metric]) == (74.91, 74.83)
            else:
                assert statistics.fmean(bones) == pytest.approx(found[metric], abs=0.011)
