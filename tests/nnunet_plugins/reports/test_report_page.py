"""`report`: the page has the content of the files, states what is missing, and contains no path."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path

import pytest

from nnunet_plugins.cli import main
from nnunet_plugins.comparison.runs import Options
from nnunet_plugins.demo import Demo
from nnunet_plugins.errors import UserError
from nnunet_plugins.reports import report
from nnunet_plugins.reports.checklists import CLAIM, METRICS_RELOADED, filled
from nnunet_plugins.reports.report import PageOptions, page, write_report
from nnunet_plugins.reports.sources import read_source

from .conftest import ODD, build


def flat(text: str) -> str:
    """The page's text, without scripts and tags."""
    bare = re.sub(r"<(script|style|svg).*?</\1>", " ", text, flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", bare)))


def rows(text: str) -> dict[str, str]:
    found = re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td></tr>', text)
    return {html.unescape(name): html.unescape(re.sub("<.*?>", "", value)) for name, value in found}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a model and its page."""
    root = tmp_path_factory.mktemp("folder_of_a_model")
    with pytest.MonkeyPatch.context() as patch:
        return root, page(read_source(build(root, patch), Options()), PageOptions())


@pytest.fixture
def text(written: tuple[Path, str]) -> str:
    return written[1]


def test_the_scores_are_those_of_hand_arithmetic(text: str) -> None:
    words = flat(text)
    # Sacrum: 1, 2 * 20 / 60 and the same; the other label: 1, 1, and 0 (20 voxels elsewhere).
    assert "3 cases, 2 labels, mean foreground Dice 0.7222" in words
    assert "sacrum 3 0.778 ± 0.192" in words
    assert f"{ODD} 3 0.667 ± 0.577" in words
    # Worst first: case2 (2/3 + 0) / 2, case1 (2/3 + 1) / 2, case0.
    order = re.findall(r"\d\. (case\d): mean Dice ([\d.]+)", words)
    assert order == [("case2", "0.333"), ("case1", "0.833"), ("case0", "1.000")]


def test_a_printed_page_shows_every_column(text: str) -> None:
    printed = text[text.index("@media print") : text.index("</style>")]
    assert ".wide{overflow:visible}" in printed
    assert "h1,h2,h3,summary,thead{break-after:avoid}" in printed
    # Tables can become narrower: a cell breaks before its interval.
    assert '0.667 <span class="kept">(0.000 to 1.000) *</span></td>' in text
    assert not re.search(r"t[dh]\{[^}]*nowrap", text)


def test_the_plan_and_the_training_are_listed(text: str) -> None:
    found = rows(text)
    assert found["patch (voxels)"] == "6 x 20 x 24"
    assert found["strides"] == "1 x 1 x 1, 1 x 2 x 2"
    assert found["other arguments"] == "stem: mff"
    assert found["training entry"] == "epochs: 2; loss: dice_focal"
    assert found["memory on CUDA, as planned (GB, training step)"] == "not recorded"
    assert found["folds"] == "fold_0, fold_1"
    # Epochs of 10 and 12 s, of 9 + 2 steps each; two folds.
    assert found["seconds per step (median, data loading included)"] == "1.000"
    assert found["total hours"] == f"{2 * 22 / 3600:.2f}"
    assert found["device"] == "cuda:0 Some GPU"
    assert found["torch (training)"] == "2.9.1"
    assert found["cuDNN (training)"] == "not recorded"
    assert text.count("<svg") == 6  # two distributions, the volumes of two labels, two curves


def test_the_page_contains_no_path_and_no_host_name(written: tuple[Path, str]) -> None:
    root, text = written
    for secret in (str(root), root.name, str(Path.home()), "/home/", "thishost"):
        assert secret not in text


def test_odd_names_are_escaped(text: str) -> None:
    assert "<script>alert" not in text
    assert text.count("<script") == 3  # the case, the viewer's code, our script
    assert text.count("</script>") == 3
    assert html.escape('<script>alert("x")', quote=False) in text.replace("&#34;", '"')
    data = re.search(r'<script type="application/json" id="case">(.*?)</script>', text, re.DOTALL)
    assert [one["name"] for one in json.loads(data[1])["labels"]] == ["sacrum", ODD]


def test_the_page_loads_nothing(text: str) -> None:
    assert "default-src 'none'" in text
    own = re.sub(r"<(script|svg|pre).*?</\1>", "", text, flags=re.DOTALL)
    assert not re.search(r"(src|href)=\"(?!data:|#)", own)


def test_the_same_run_gives_the_same_page(model: Path, text: str) -> None:
    assert page(read_source(model, Options()), PageOptions()) == text


def test_missing_files_are_reported(
    model: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(root / "nnUNet_raw" / "Dataset001_X" / "imagesTr")
    for fold in model.glob("fold_*"):
        (fold / "debug.json").unlink()
        (fold / "training_log_2026_1_1_00_00_00.txt").unlink()
        (fold / "progress.png").write_bytes(b"\x89PNG")
    monkeypatch.setattr(report, "find_niivue", lambda: None)
    text = page(read_source(model, Options()), PageOptions())
    words = flat(text)
    assert "pictures show labels only: the images are not known; pass --images FOLDER" in words
    assert "the training did not finish" not in words
    assert "no training log in fold_0, fold_1" in words
    assert "pip install 'nnunet-plugins[report]'" in words
    assert "<script" not in text
    assert text.count("data:image/png;base64,iVBOR") == 9 + 4 + 2  # planes, legend, progress.png
    assert "fold_0: nnU-Net's own picture" in words
    assert rows(text)["device"] == "not recorded"


def test_without_references_there_are_no_pictures(model: Path, root: Path) -> None:
    shutil.rmtree(root / "nnUNet_raw")
    with pytest.raises(UserError, match=r"fold_0 has no validation/summary.json"):
        read_source(model, Options())


def test_predictions_with_a_reference(root: Path, model: Path) -> None:
    folder = root / "predicted"
    shutil.copytree(model / "fold_0" / "validation", folder)
    shutil.copy(model / "dataset.json", folder)
    raw = root / "nnUNet_raw" / "Dataset001_X"
    (raw / "labelsTr" / "case2.nii.gz").unlink()
    plain = read_source(folder, Options(reference=raw / "labelsTr"))
    assert (plain.kind, len(plain.scores.cases), plain.plan) == ("predictions", 2, {})
    words = flat(page(plain, PageOptions()))
    assert "these are predictions, and no model folder was given (--model)" in words
    full = read_source(
        folder, Options(reference=raw / "labelsTr"), images=raw / "imagesTr", model=model
    )
    assert full.facts["trainer"] == "nnUNetTrainer"
    assert all(case.image for case in full.cases.values())
    claim = {n: answer for n, _, answer in filled(CLAIM, full)}
    assert claim["32"] == "not recorded"  # the origin of the data is not known


def test_checklists_are_answered_from_the_files(model: Path) -> None:
    source = read_source(model, Options())
    claim = {number: answer for number, _, answer in filled(CLAIM, source)}
    assert "not recorded" not in claim.values()  # a complete model folder answers every item
    assert claim["7"] == "Dataset001_X"
    assert "fold_0: 2, fold_1: 1" in claim["19"]
    reloaded = {about: answer for _, about, answer in filled(METRICS_RELOADED, source)}
    assert reloaded["A reference may lack a label"] == "no, every case has every label"
    assert reloaded["A prediction may lack a label"] == "no, not in these cases"
    # 40 voxels of 1.2 mm3.
    assert "sacrum 0.048 to 0.048 ml" in reloaded["Structures are small, or vary much in size"]
    # 40 of 6 * 20 * 24 voxels.
    assert "sacrum 1.39%" in reloaded["Classes are imbalanced"]


def test_the_command_writes_the_page(
    root: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = root / "out" / "r.html"
    assert main(["report", str(model), "-o", str(target), "-j", "1", "--worst", "1"]) == 0
    assert "written: " in capsys.readouterr().out
    assert "1 of 3 cases" in flat(target.read_text())
    assert list(target.parent.iterdir()) == [target]


def test_the_demo_writes_its_report(root: Path, model: Path) -> None:
    demo = Demo(root / "demo", "cpu", None, lambda _: None)
    predictions, references = demo.scored()
    raw = root / "nnUNet_raw" / "Dataset001_X"
    shutil.copytree(model / "fold_0" / "validation", predictions)
    shutil.copy(model / "dataset.json", predictions)
    shutil.copytree(raw / "labelsTr", references)
    (references / "case2.nii.gz").unlink()
    shutil.copytree(raw / "imagesTr", references.parent / "imagesTs")
    trained = root / "demo" / "nnunet" / demo.model
    shutil.copytree(model, trained)
    trained_plans = json.loads((trained / "plans.json").read_text())
    assert trained.name.split("__")[2] in trained_plans["configurations"]
    demo.commands.append("nnUNetv2_train <660>")
    words = flat(demo._report(7.0).read_text())
    assert "nnunet-plugins demo: hospital-ct" in words
    assert "nnUNetv2_train <660>" in words
    assert "MAGUNetTrainer" in words
    assert "the images are not known" not in words


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["nowhere"], "is not a folder; pass a model folder"),
        (["nnUNet_raw"], "is not a trained model .* TRAINER__PLANS__CONFIGURATION in it, or .* --reference REF"),
        (["model", "--images", "nowhere"], "--images .*nowhere is not a folder"),
        (["model", "--case", "case9"], "--case case9: not among the cases with files: case0, case1, case2"),
        (["nnUNet_raw", "--reference", "model", "--model", "nnUNet_raw"], "--model .* is not a model folder"),
        (["model", "-o", "scores.json"], "a report is an .html file; pass -o report.html"),
    ],
)  # fmt: skip
def test_errors_are_one_line(
    root: Path,
    arguments: list[str],
    match: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(root)
    assert main(["report", *arguments, "-j", "1"]) == 2
    error = capsys.readouterr().err
    assert re.search(match, error)
    assert error.count("\n") == 1
    assert not (root / "report.html").exists()


def test_a_page_that_is_too_large_is_not_written(
    root: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = root / "report.html"
    target.write_text("before")
    monkeypatch.setattr(report, "MOST_BYTES", 1000)
    with pytest.raises(UserError, match=r"would have [\d.]+ MB, allowed are 0.001; pass a smaller"):
        write_report(target, read_source(model, Options()))
    assert target.read_text() == "before"
