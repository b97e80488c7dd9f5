"""The demo's first step for every dataset, and the commands of the others; nothing is trained."""

import json
import shlex

import pytest

from dataset_conversion.phantoms.catalogue import WRITERS
from nnunet_plugins.cli import main, parser
from nnunet_plugins.demo import EXAMPLES, Demo, own_data
from nnunet_plugins.errors import UserError


@pytest.mark.parametrize("dataset", list(EXAMPLES))
def test_the_phantom_is_converted_with_one_patient_for_testing(
    tmp_path, monkeypatch, capsys, dataset
):
    steps, write = {}, WRITERS[dataset]
    monkeypatch.setattr(Demo, "_step", lambda _, name, *command: steps.update({name: command}))
    monkeypatch.setattr(Demo, "_report", lambda *_: tmp_path / "report.html")
    monkeypatch.setitem(WRITERS, dataset, lambda folder, count, size: write(folder, count))
    demo = Demo(tmp_path, "cpu", None, lambda _: None, dataset)
    demo.run()
    assert list(steps) == ["convert", "plan", "train", "predict", "evaluate"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "nnunet" / "nnUNet_raw"))
    assert main(list(steps["convert"][1:])) == 0
    predictions, references = demo.scored()
    assert len(list(references.glob("*.nii.gz"))) == 1
    assert predictions.parts[-2:] == ("predictions", dataset)
    folder = references.parent
    assert len(list((folder / "imagesTr").iterdir())) == 5
    assert len(json.loads((folder / "splits_final.json").read_text())) == 5
    assert "5 cases for training, 1 for testing" in capsys.readouterr().out


def test_every_example_is_a_choice_of_the_command():
    for dataset in EXAMPLES:
        assert parser().parse_args(["demo", "--dataset", dataset]).dataset == dataset
        assert f"convert {dataset} " in "\n".join(own_data(dataset))
        for line in own_data(dataset):
            if line.startswith("nnunet-plugins "):
                parser().parse_args(shlex.split(line, comments=True)[1:])
    assert parser().parse_args(["demo"]).dataset == "hospital-ct"
    with pytest.raises(SystemExit):
        parser().parse_args(["demo", "--dataset", "spine"])


def test_examples_have_distinct_ids_and_folders():
    assert len({example.id for example in EXAMPLES.values()}) == len(EXAMPLES)
    assert len({example.source for example in EXAMPLES.values()}) == len(EXAMPLES)


def test_epochs_are_reported_while_they_run_and_the_log_is_complete(tmp_path, monkeypatch):
    said: list[str] = []
    program = "print('2026: Epoch 0 '); print('2026: Epoch time: 3 s'); print('2026: Epoch 1 ')"
    demo = Demo(tmp_path, "cpu", 2, said.append)
    demo._step("train", "python", "-c", program)
    assert [line.strip() for line in said[1:3]] == ["epoch 1 of 2", "epoch 2 of 2"]
    assert (tmp_path / "logs" / "2_train.txt").read_text().count("\n") == 3
    with pytest.raises(UserError, match=r"predict ended with status 3; .*ends with:\nbad"):
        demo._step("predict", "python", "-c", "print('bad'); raise SystemExit(3)")


def test_the_demo_goes_on_to_a_diagnosis(tmp_path, monkeypatch, capsys):
    from nnunet_plugins.classify_demo import PATIENTS, DiagnosisDemo

    steps, write = [], WRITERS["sij-mri"]
    monkeypatch.setattr(DiagnosisDemo, "_step", lambda _, name, *command: steps.append(command))
    monkeypatch.setitem(
        WRITERS, "sij-mri", lambda folder, count, **options: write(folder, 4, **options)
    )
    DiagnosisDemo(tmp_path, "cpu", None, lambda _: None, "sij-mri").run()
    for command in steps:
        if command[0] == "nnunet-plugins":
            parser().parse_args(list(command[1:]))
    assert sum(command[0] == "nnUNetv2_train" for command in steps) == 2
    diagnoses = (tmp_path / "hospital_diagnoses/diagnoses.csv").read_text().splitlines()
    assert diagnoses[:3] == [
        "case,patient,label",
        "patient001,patient001,axSpA",
        "patient002,patient002,other",
    ]
    assert PATIENTS == 36
    assert main(["demo", "--classify", "-o", str(tmp_path), "-device", "cpu"]) == 2
    assert "pass --dataset sij-mri" in capsys.readouterr().err
