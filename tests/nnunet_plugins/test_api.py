"""The Python API does what the commands do, and importing it is light."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

import nnunet_plugins
from dataset_conversion.datasets.options import checked, declared
from dataset_conversion.datasets.registry import CONVERTERS, converter
from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms.catalogue import WRITERS
from nnunet_plugins import build_network, check, compare, convert, evaluate, plan
from nnunet_plugins.errors import UserError
from tests.contract.making import OURS, architecture, plans

ROOT = Path(nnunet_plugins.__file__).parents[1]


def label_map(path: Path, width: int) -> None:
    array = np.zeros((4, 4, 8), np.uint8)
    array[1:3, 1:3, 1 : 1 + width] = 1
    path.parent.mkdir(exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))


@pytest.fixture
def scored(tmp_path):
    """Folders of references and of two runs with 3 and 4 of 5 voxels along x, for two cases."""
    for folder, width in (("references", 5), ("first", 3), ("second", 4)):
        for case in ("a", "b"):
            label_map(tmp_path / folder / f"{case}.nii.gz", width)
    return tmp_path


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """nnU-Net's folders with a converted phantom, Dataset660_SacroiliacCT."""
    root = tmp_path_factory.mktemp("api")
    WRITERS["hospital-ct"](root / "hospital", 2, size="small")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("raw", "preprocessed", "results"):
            (root / f"nnUNet_{name}").mkdir()
            patch.setenv(f"nnUNet_{name}", str(root / f"nnUNet_{name}"))
        report = convert(
            "hospital-ct",
            root / "hospital",
            dataset_id=660,
            labels=str(root / "hospital" / "labels.json"),
            split="2-fold",
        )
        assert not report.problems
        yield root / "nnUNet_raw" / "Dataset660_SacroiliacCT"


def test_new_images_of_a_model(raw, tmp_path):
    report = convert(
        "hospital-ct",
        raw.parents[1] / "hospital",
        raw_root=tmp_path / "images",
        images_only=True,
        model=raw,
    )
    assert report.dataset == tmp_path / "images"
    for path in report.dataset.iterdir():
        assert path.read_bytes() == (raw / "imagesTr" / path.name).read_bytes()
    for root in (None, raw.parent):
        with pytest.raises(UserError, match="--images-only needs -o DIR, a new folder"):
            convert("hospital-ct", tmp_path, raw_root=root, images_only=True)
    with pytest.raises(DatasetError, match="no dataset id; pass -d ID"):
        convert("hospital-ct", raw.parents[1] / "hospital", raw_root=tmp_path)
    with pytest.raises(UserError, match="csig has no option 'images_only'"):
        convert("csig", tmp_path, raw_root=tmp_path, images_only=True)


def test_the_package_imports_nothing_heavy_and_lists_its_functions():
    code = (
        "import sys, nnunet_plugins\n"
        "from nnunet_plugins import build_network, check, compare, convert, plan, register_trainers\n"
        "heavy = {'torch', 'numpy', 'SimpleITK', 'nnunetv2', 'argparse'} & set(sys.modules)\n"
        "print(sorted(heavy), set(nnunet_plugins.__all__) <= set(dir(nnunet_plugins)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "[] True\n"


def test_every_name_of_the_api_is_a_documented_function():
    for name in nnunet_plugins.__all__:
        assert getattr(nnunet_plugins, name).__name__ == name
        assert getattr(nnunet_plugins, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        nnunet_plugins.train  # noqa: B018


def test_convert_and_check(raw):
    assert json.loads((raw / "dataset.json").read_text())["numTraining"] == 2
    assert check(660).training == check(raw).training == check("660").training == 2
    assert check(660).errors == 0


def test_check_of_a_dataset_that_is_not_there(raw):
    with pytest.raises(UserError, match="dataset 661: 0 folders of this id"):
        check(661)
    with pytest.raises(DatasetError, match="-j 0"):
        check(660, jobs=0)


def test_convert_names_what_is_allowed(tmp_path):
    with pytest.raises(UserError, match=r"unknown format 'ct'; allowed: .*hospital-ct"):
        convert("ct", tmp_path, 1, raw_root=tmp_path)
    with pytest.raises(UserError, match=r"csig has no option 'modality'; allowed: .*crop"):
        convert("csig", tmp_path, 1, raw_root=tmp_path, modality="x")


@pytest.mark.parametrize(
    ("source_format", "option", "value", "message"),
    [
        ("spider", "scheme", "foo", "scheme='foo': allowed: binary, four, instances"),
        ("spider", "scheme", 4, "scheme=4: expected text of binary, four, instances"),
        ("spider", "sequences", ["t3"], "sequences=['t3']: allowed: t1, t2"),
        ("spider", "sequences", [], "sequences=[]: expected one value or more"),
        ("csig", "split", 5, "split=5: expected text"),
        ("csig", "jobs", "4", "jobs='4': expected an integer"),
        ("csig", "jobs", True, "jobs=True: expected an integer"),
        ("csig", "crop", "5", "crop='5': expected an integer"),
        ("csig", "crop", 464.5, "crop=464.5: expected an integer"),
        ("csig", "drop", (1, "2"), "drop=(1, '2'): expected an integer"),
        ("csig", "dry_run", "no", "dry_run='no': expected True or False"),
        ("csig", "labels", 3, "labels=3: expected a path"),
        ("hospital-ct", "window", 500, "window=500: expected 2 values, not 1"),
        ("hospital-ct", "window", ["a", 2], "window=['a', 2]: expected a number"),
    ],
)  # fmt: skip
def test_convert_names_a_wrong_value_and_what_is_allowed(
    tmp_path, source_format, option, value, message
):
    with pytest.raises(DatasetError) as caught:
        convert(source_format, tmp_path, 1, raw_root=tmp_path / "raw", **{option: value})
    assert str(caught.value).startswith(message)


def test_convert_accepts_values_as_python_has_them():
    given = {
        "window": np.array([-200, 1200]), "drop": 3, "jobs": np.int64(2), "labels": "labels.json",
        "salt": Path("salt"), "series": None, "keep_going": np.True_,
    }  # fmt: skip
    assert checked(converter("hospital-ct").options, given) == {
        "window": (-200.0, 1200.0), "drop": (3,), "jobs": 2, "labels": Path("labels.json"),
        "salt": Path("salt"), "series": None, "keep_going": True,
    }  # fmt: skip
    spider = converter("spider").options
    assert checked(spider, {"sequences": "t1", "drop": []}) == {"sequences": ("t1",), "drop": ()}


@pytest.mark.parametrize("name", CONVERTERS)
def test_the_defaults_of_a_converter_are_allowed(name):
    options = converter(name).options
    defaults = {field: how["default"] for field, _, how in declared(options)}
    assert checked(options, defaults) == defaults


def test_a_text_is_one_value_not_a_sequence_of_characters(monkeypatch, scored):
    from nnunet_plugins.planners import planning

    monkeypatch.setattr(planning, "plan", lambda request: request)
    assert plan(660, "MAGUNet", configurations="2d", processes=1).configurations == ("2d",)
    scores = scored / "first.json"
    evaluate(scored / "first", scored / "references", output=scores)
    for runs in (scores, str(scores)):
        assert [table.metric for table in compare(runs, metrics="dice").tables] == ["dice"]
    with pytest.raises(UserError, match=r"missing\.json"):
        compare("missing.json")


@pytest.mark.parametrize("training", [[1], "epochs", 3])
def test_plan_names_the_training_that_it_expects(training):
    with pytest.raises(UserError, match=r'training=.*: expected a mapping .*\{"epochs": 50\}'):
        plan(660, "MAGUNet", training=training)


def test_plan_passes_its_arguments_on_and_returns_the_plans_file(monkeypatch, capsys):
    from nnunet_plugins.planners import planning

    asked = []

    def planned(request):
        print("nnU-Net's noise")
        asked.append(request)
        return Path("plans.json")

    monkeypatch.setattr(planning, "plan", planned)
    monkeypatch.setenv("nnUNet_def_n_proc", "3")
    found = plan(
        660, network="MAGUNet", preset="cpu", training={"epochs": 2}, configurations=["2d"]
    )
    assert found == Path("plans.json")
    assert asked == [
        planning.Request(
            "660", "MAGUNet", preset="cpu", training={"epochs": 2}, configurations=("2d",), processes=3
        )
    ]  # fmt: skip
    assert capsys.readouterr().out == ""
    plan(660, "MAGUNet", processes=1, verbose=True)
    assert capsys.readouterr().out == "nnU-Net's noise\n"
    monkeypatch.setenv("nnUNet_def_n_proc", "many")
    with pytest.raises(UserError, match="nnUNet_def_n_proc is 'many'"):
        plan(660, "MAGUNet")


def test_evaluate_and_compare(scored):
    scores = evaluate(scored / "first", scored / "references", output=scored / "first.json")
    assert scores.mean_foreground_dice == pytest.approx(2 * 3 / 8)
    evaluate(str(scored / "second"), str(scored / "references"), output=str(scored / "second.json"))
    found = compare([scored / "first.json", f"mine={scored / 'second.json'}"], metrics=["dice"])
    assert [(line.run, line.n) for line in found.tables[0].lines] == [("first", 2), ("mine", 2)]
    assert found.tables[0].lines[1].mean == pytest.approx(2 * 4 / 9)


def test_compare_scores_folders(scored):
    found = compare(
        [scored / "first", scored / "second"], reference=scored / "references", metrics=["dice"]
    )
    assert found.tables[0].lines[0].mean == pytest.approx(2 * 3 / 8)


def test_a_script_without_a_guard_gets_an_error_that_names_it(scored):
    script = scored / "script.py"
    script.write_text(
        "from nnunet_plugins import evaluate\nevaluate('first', 'references', jobs=2)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd=scored, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "if __name__ == '__main__':" in done.stderr.splitlines()[-1]
    assert "memory" not in done.stderr


@pytest.mark.parametrize("given", ["file", "content"])
def test_a_network_from_plans(tmp_path, given):
    content = plans()
    (tmp_path / "plans.json").write_text(json.dumps(content))
    source = content if given == "content" else tmp_path / "plans.json"
    network = build_network("MAGUNet", source, "3d_fullres", input_channels=2, num_classes=4)
    assert type(network).__name__ == "MAGUNet"
    size = content["configurations"]["3d_fullres"]["patch_size"]
    assert network(torch.zeros(1, 2, *size)).shape == (1, 4, *size)


def test_a_network_with_deep_supervision_gives_several_logits():
    network = build_network("UNet", plans(), "3d_fullres", 1, 2, deep_supervision=True)
    assert isinstance(network.train()(torch.zeros(1, 1, 8, 8, 8)), list | tuple)


def test_plans_of_another_of_our_networks_are_refused():
    content = plans()
    content["configurations"]["3d_fullres"]["architecture"] = architecture(OURS.format("SEUNet"))
    with pytest.raises(
        UserError, match=r"planned for nnunet_plugins.networks.SEUNet, not for MAGUNet"
    ):
        build_network("MAGUNet", content, "3d_fullres", 1, 2)
    assert type(build_network("SEUNet", content, "3d_fullres", 1, 2)).__name__ == "SEUNet"


@pytest.mark.parametrize(
    ("network", "configuration", "message"),
    [("NoNet", "3d_fullres", "no network called 'NoNet'"), ("MAGUNet", "4d", r"no configuration '4d'.*3d_fullres")],
)  # fmt: skip
def test_unknown_names_of_network_and_configuration(network, configuration, message):
    with pytest.raises(UserError, match=message):
        build_network(network, plans(), configuration, 1, 2)
