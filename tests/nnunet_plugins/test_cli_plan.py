"""`convert` and `plan`: mistakes are reported in one line, before anything is read or written."""

from __future__ import annotations

import importlib
import json

import pytest

from dataset_conversion.datasets.registry import CONVERTERS
from nnunet_plugins.cli import main


def test_convert_without_an_output_folder_names_both_fixes(said, monkeypatch, tmp_path):
    monkeypatch.delenv("nnUNet_raw", raising=False)
    line = said("convert", "hospital-ct", str(tmp_path), "-d", "1")
    assert "nnUNet_raw is not set; pass -o DIR, or run eval" in line


@pytest.mark.parametrize("name", CONVERTERS)
def test_every_dataset_has_the_common_options(name, capsys):
    with pytest.raises(SystemExit):
        main(["convert", name, "--help"])
    shown = capsys.readouterr().out
    for option in ("--split", "--test", "--seed", "--drop", "--allow-empty", "--resample-mask", "--key",
                   "--salt", "--jobs", "--keep-going", "--dry-run"):  # fmt: skip
        assert option in shown


def test_options_of_one_dataset_are_unknown_to_another(capsys):
    with pytest.raises(SystemExit):
        main(["convert", "csig", "src", "-d", "1", "--modality", "CT"])
    assert "unrecognized arguments: --modality" in capsys.readouterr().err


def test_invalid_option_values_are_one_line(said, tmp_path):
    for words, message in (
        (("--split", "x"), "--split 'x': allowed are K-fold"),
        (("-j", "0"), "-j 0: allowed are 1 to"),
    ):
        line = said(
            "convert", "hospital-ct", str(tmp_path), "-d", "1", "-o", str(tmp_path / "raw"), *words
        )
        assert message in line


class Reached(Exception):  # noqa: N818
    """Planning has started: every check has passed."""


@pytest.fixture
def begun(monkeypatch):
    """Stop where nnU-Net would start to read the dataset; the ids that it was given."""
    ids = []

    def stop(dataset_id, **kwargs):
        ids.append(dataset_id)
        raise Reached

    planning = importlib.import_module("nnunet_plugins.planners.planning")
    monkeypatch.setattr(planning, "extract_fingerprint_dataset", stop)
    return ids


MAG = ("--network", "MAGUNet")


@pytest.mark.parametrize("unset", ["nnUNet_raw", "nnUNet_preprocessed"])
def test_plan_without_variables_names_the_fix(said, root, monkeypatch, unset):
    monkeypatch.delenv(unset)
    line = said("plan", "1", *MAG)
    assert f'{unset} is not set; run eval "$(nnunet-plugins env --root FOLDER)"' in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("--network", "MagNet"),
            "no network called 'MagNet'; known, the nearest first: MAGUNet, ",
        ),
        ((*MAG, "--preset", "gpu"), "--preset gpu: allowed: cpu"),
        ((*MAG, "--training", "{"), "--training: not JSON"),
        ((*MAG, "--training", "[" * 100 + "]" * 100), "--training: not JSON (nested more than 64"),
        ((*MAG, "--training", "[1]"), "--training [1]: expected an object"),
        ((*MAG, "--training", '{"epoch": 3}'), "unknown keys 'epoch'; known: epochs"),
        ((*MAG, "--training", '{"loss": 1}'), "training.loss is 1; allowed: "),
        ((*MAG, "--epochs", "0"), "training.epochs is 0; allowed: an integer of 1 or more"),
        ((*MAG, "--seed", "-1"), "training.seed is -1; allowed: an integer from 0"),
        ((*MAG, "--optimizer", "Lion"), "training.optimizer is 'Lion'; allowed: SGD or Adam"),
        ((*MAG, "--initial-lr", "nan"), "training.initial_lr is nan; allowed: a number above 0"),
        ((*MAG, "--gpu-memory", "0"), "--gpu-memory 0: expected a number of GB above 0"),
        ((*MAG, "-p", "a__b"), "plans name 'a__b': letters, digits"),
        ((*MAG, "-p", "a/b"), "plans name 'a/b': letters, digits"),
        (
            ("--network", "ModularUNet", "--recipe", "paper"),
            "no paper proposes ModularUNet; there are ",
        ),
        (
            (*MAG, "--recipe", "printed"),
            "only for papers whose text differs from the authors' code; for MAGUNet pass --recipe paper",
        ),
        (
            (*MAG, "--training", '{"augmentation": {"flip": {"p": 1}}}'),
            "(flip.p is 1; allowed: a probability per axis, above 0, at most 0.5)",
        ),
        ((*MAG, "--training", '{"lr_schedule": "step"}'), "which requires training.lr_decay"),
    ],
)
def test_plan_names_the_bad_value_and_what_is_allowed(said, root, arguments, words):
    assert words in said("plan", "1", *arguments)


@pytest.mark.parametrize("dataset", ["7", "Dataset007_Seven", "One", "0", "Dataset001"])
def test_an_unknown_dataset_is_reported_with_the_known_ones(said, root, dataset):
    line = said("plan", dataset, *MAG)
    assert f"dataset {dataset}: 0 folders in {root / 'nnUNet_raw'} match; " in line
    assert "there are: Dataset001_One, Dataset012_Two" in line


def test_an_ambiguous_dataset_id_is_rejected(said, root):
    (root / "nnUNet_raw" / "Dataset001_Again").mkdir()
    assert "dataset 1: 2 folders in" in said("plan", "1", *MAG)


def test_an_empty_raw_folder_is_reported(said, root):
    for dataset in (root / "nnUNet_raw").iterdir():
        dataset.rmdir()
    assert "there are: none" in said("plan", "1", *MAG)


@pytest.mark.parametrize(
    ("dataset", "number"), [("1", 1), ("001", 1), ("12", 12), ("Dataset012_Two", 12)]
)
def test_a_dataset_is_found_by_id_and_name(root, begun, dataset, number):
    with pytest.raises(Reached):
        main(["plan", dataset, *MAG])
    assert begun == [number]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (MAG, "MAGUNetPlans"),
        ((*MAG, "--preset", "cpu"), "MAGUNetPlansCPU"),
        ((*MAG, "--recipe", "paper"), "MAGUNetPlansPaper"),
        (("--network", "AttentionUNet25D", "--recipe", "printed"), "AttentionUNet25DPlansPrinted"),
        ((*MAG, "--gpu-memory", "24"), "MAGUNetPlans_24G"),
        ((*MAG, "--gpu-memory", "0.5"), "MAGUNetPlans_0.5G"),
        ((*MAG, "-p", "Mine"), "Mine"),
        ((*MAG, "--training", '{"seed": 1}'), "MAGUNetPlans"),
    ],
)
def test_existing_plans_are_overwritten_only_with_force(said, root, begun, arguments, name):
    file = root / "nnUNet_preprocessed" / "Dataset001_One" / f"{name}.json"
    file.write_text("{}")
    line = said("plan", "1", *arguments)
    assert f"{name}: plans of that name exist for Dataset001_One; " in line
    assert "-p" in line
    assert "--force" in line
    assert begun == []
    with pytest.raises(Reached):
        main(["plan", "1", *arguments, "--force"])
    assert file.read_text() == "{}"  # kept until new ones are written


def test_folds_that_differ_from_the_datasets_are_rejected(said, root):
    for folder, case in (("nnUNet_raw", "a"), ("nnUNet_preprocessed", "b")):
        folds = [{"train": [case], "val": ["c"]}]
        (root / folder / "Dataset001_One" / "splits_final.json").write_text(json.dumps(folds))
    assert "differs from the dataset's splits_final.json" in said("plan", "1", *MAG)


def test_options_override_the_preset_and_the_preset_the_recipe(root):
    from nnunet_plugins.planners.planning import Request
    from nnunet_plugins.planners.presets import PRESETS

    request = Request("1", "MAGUNet", recipe="paper", preset="cpu", training={"epochs": 3})
    entry = request.procedure()
    assert entry["epochs"] == 3
    assert entry["initial_lr"] == PRESETS["cpu"].training["initial_lr"]
    assert entry["lr_schedule"] == "constant"  # from the paper's recipe alone
