"""classify train, predict and evaluate by their command lines, on tiny patients."""

import json
import shutil

import pytest
import SimpleITK as sitk
import torch

from nnunet_plugins.cli import main
from tests.nnunet_plugins.classifier.cohort import (
    NAME,
    SETTINGS,
    predictions,
    segmenter,
    write_cohort,
    write_table,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def world(tmp_path, monkeypatch):
    labels = {f"case_{n:03d}": n % 2 for n in range(40)}
    cases = list(labels)
    raw = write_cohort(tmp_path, labels, test=12)
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    model = segmenter(tmp_path, raw, [cases[0:14], cases[14:28]])
    splits = dict.fromkeys(cases[:20], "train") | dict.fromkeys(cases[20:28], "val")
    splits |= dict.fromkeys(cases[28:], "test")
    table = write_table(tmp_path / "table.csv", labels, splits)
    return tmp_path, raw, model, table


def test_from_training_to_report(world, capsys):
    root, raw, model, table = world
    masks = ["--model", str(model), "--masks", str(predictions(raw))]
    command = [
        "classify", "train", NAME, str(table), "-o", str(root / "clf"), *masks, *SETTINGS, "--epochs", "20",
        "--learning-rate", "0.003", "--seeds", "0", "1", "-device", "cpu",
    ]  # fmt: skip
    assert main(command) == 0
    weights = torch.load(root / "clf/seed_0/checkpoint_final.pth", weights_only=True)
    assert set(weights) == {"weights", "epoch", "auc"}
    capsys.readouterr()
    assert main(command) == 0  # nothing is trained again
    assert "epoch" not in capsys.readouterr().out
    assert main([*command[:-4], "2", "-device", "cpu"]) == 2
    assert "holds a classifier with other settings" in capsys.readouterr().err

    assert main(["classify", "predict", str(root / "clf"), "-o", str(root / "pred"), "--grad-cam", "1",
                 "-device", "cpu"]) == 0  # fmt: skip
    found = json.loads((root / "pred/predictions.json").read_text())
    assert {one["split"] for one in found["cases"]} == {"validation", "test"}
    assert (root / "pred/case_028_gradcam.nii.gz").is_file()
    for file in root.glob("[cp]*/*.*"):
        assert b"P-case" not in file.read_bytes(), file  # the patients' names

    calls = [f"{one['case']},R1,{one['label']}" for one in found["cases"]]
    (root / "calls.csv").write_text("case,reader,call\n" + "\n".join(calls) + "\n")
    assert main(["classify", "evaluate", str(root / "pred"), str(root / "pred"), "-o", str(root / "scores"),
                 "--readers", str(root / "calls.csv"), "--paper", "--resamples", "200"]) == 0  # fmt: skip
    scores = json.loads((root / "scores/scores.json").read_text())
    assert scores["splits"]["test"]["measures"]["auc"]["value"] > 0.9
    assert scores["comparison"]["areas"]["p"] == 1.0
    assert scores["readers"][0]["counts"]["fn"] == 0
    page = (root / "scores/report.html").read_text()
    assert "paper, internal" in page
    assert "TRIPOD+AI" in page
    assert "http" not in page.split("</style>")[1].replace("http://www.w3.org", "")
    for name in (
        "roc.png",
        "reliability.svg",
        "decision_curve.png",
        "scores.md",
        "scores.tex",
        "scores.csv",
    ):
        assert (root / "scores" / name).stat().st_size > 100


def test_drawn_masks_mark_every_output_and_an_external_set_is_scored(world, monkeypatch, capsys):
    root, raw, _, table = world
    assert main([
        "classify", "train", NAME, str(table), "-o", str(root / "clf"), "--reference-masks", *SETTINGS,
        "--epochs", "1", "-device", "cpu",
    ]) == 0  # fmt: skip
    other = raw.with_name("Dataset702_Other")
    other.mkdir()
    for part in ("imagesTs", "labelsTs", "dataset.json"):
        (other / part).symlink_to(raw / part)
    rows = [f"case_{n:03d},Q{n},{n % 2}" for n in range(28, 40)]
    (root / "external.csv").write_text("case,patient,label\n" + "\n".join(rows))
    predict = ["classify", "predict", str(root / "clf"), "-o", str(root / "ext"), "-device", "cpu"]
    external = ["--external", "702", "--diagnoses", str(root / "external.csv"), "--reference-masks"]
    # The symbolic links lead to the images of the training.
    assert main([*predict, *external]) == 2
    assert "was trained on this dataset" in capsys.readouterr().err
    (other / "imagesTs").unlink()
    (other / "imagesTs").mkdir()
    for file in (raw / "imagesTs").iterdir():
        (other / "imagesTs" / file.name).write_bytes(file.read_bytes())
    assert main([*predict, *external]) == 0
    # A patient of the training by the tables, then by the image.
    (root / "external.csv").write_text(
        "case,patient,label\n" + "\n".join(["case_028,p case 3,0", *rows[1:]])
    )
    assert main([*predict, *external]) == 2
    assert "1 cases are of patients whose ids are in the training" in capsys.readouterr().err
    assert main([*predict, *external, "--unrelated-ids"]) == 0
    image = sitk.ReadImage(str(raw / "imagesTr" / "case_004_0000.nii.gz"))
    turned = sitk.DICOMOrient(sitk.Cast(image, sitk.sitkFloat64), "RAS")
    sitk.WriteImage(turned, str(other / "imagesTs" / "case_028_0000.nii.gz"))
    turned = sitk.DICOMOrient(sitk.ReadImage(str(raw / "labelsTr" / "case_004.nii.gz")), "RAS")
    (other / "labelsTs").unlink()
    shutil.copytree(raw / "labelsTs", other / "labelsTs")
    sitk.WriteImage(turned, str(other / "labelsTs" / "case_028.nii.gz"))
    capsys.readouterr()
    assert main([*predict, *external, "--unrelated-ids"]) == 2
    assert "case_028 is case_004" in capsys.readouterr().err
    assert (
        main(
            [
                "classify",
                "evaluate",
                str(root / "ext"),
                "-o",
                str(root / "scores"),
                "--resamples",
                "50",
            ]
        )
        == 0
    )
    for name in ("scores.md", "report.html", "scores.json"):
        assert "REFERENCE MASKS" in (root / "scores" / name).read_text()
    assert "External test set" in (root / "scores/scores.md").read_text()
