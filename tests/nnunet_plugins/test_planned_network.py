"""Plans may name networks and layers of known packages only; nothing else is imported or called."""

from __future__ import annotations

import json
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from nnunet_plugins.cli import main
from nnunet_plugins.comparison.training_notes import training_facts, training_notes
from nnunet_plugins.errors import UserError
from nnunet_plugins.model_folder import read_model
from nnunet_plugins.networks import NETWORKS, build, public_name
from nnunet_plugins.planned_network import NotAllowedError, check_all_names, check_names
from nnunet_plugins.prediction import find_model
from tests.contract.making import DATASET, PLAIN, RESIDUAL, architecture, plans

#: A module in the working folder that writes a file when it is imported.
TRAP = "open('PWNED', 'w').close()\nclass PlainConvUNet: pass\ndef act(**kwargs): pass\n"
FOREIGN = [
    "subprocess.getoutput",
    "os.system",
    "builtins.exec",
    "trap.act",
    "trap",
    "torch.hub.load",
    "torch.load",
    "torch.nn",
    "torch.nn.functional.relu",
    "torch.nn.modules.module.warnings.warn",
    "torch.nn.modules.module.functools.partial",
    "torch.nn.init.normal_",
    "torch.nnx.ReLU",
    "torch.nn.Nothing",
    "torch.nn..ReLU",
    "torch.nn.ReLU ",
    "architectures.padding.math.sqrt",
    "dynamic_network_architectures.building_blocks.helper.convert_dim_to_conv_op",
    "nnunet_plugins.networks.build",
    "nnunet_plugins.cli.main",
    "",
    ["torch.nn.ReLU"],
    {"cmd": "touch PWNED"},
    3,
]


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a module that must not be imported."""
    (tmp_path / "trap.py").write_text(TRAP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "trap", raising=False)
    return tmp_path / "PWNED"


def entry(**kwargs: Any) -> dict[str, Any]:
    found = architecture(public_name("MAGUNet"))
    found["arch_kwargs"] |= kwargs
    return found


def evil(name: Any, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
    """Plans whose nonlinearity is ``name``, called with ``arguments``."""
    found = plans()
    for configuration in found["configurations"].values():
        configuration["architecture"]["arch_kwargs"] |= {
            "nonlin": name,
            "nonlin_kwargs": arguments or {},
        }
    return found


def write(folder: Path, content: dict[str, Any], name: str = "plans.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(DATASET))
    (folder / name).write_text(json.dumps(content))
    return folder / name


@pytest.mark.parametrize("name", FOREIGN, ids=repr)
def test_a_layer_of_another_package_is_refused(trap: Path, name: Any) -> None:
    with pytest.raises(NotAllowedError, match=r"^plans: arch_kwargs\.nonlin is .*; allowed: netw"):
        check_names(entry(nonlin=name))
    assert not trap.exists()


@pytest.mark.parametrize("name", [*FOREIGN[:-3], None, "trap.PlainConvUNet", "PlainConvUNet"])
def test_a_network_of_another_package_is_refused(trap: Path, name: Any) -> None:
    with pytest.raises(NotAllowedError, match=r"^plans: network_class_name is "):
        check_names({**entry(), "network_class_name": name})
    assert not trap.exists()


@pytest.mark.parametrize(
    "name",
    [PLAIN, RESIDUAL]
    + [
        pytest.param(
            "dynamic_network_architectures.moved.PlainConvUNet",
            marks=pytest.mark.integration,  # nnU-Net imports all modules of the package
        )
    ]
    + [public_name(name) for name in NETWORKS],
)
def test_networks_of_nnunet_and_ours_are_accepted(name: str) -> None:
    check_names(architecture(name))


@pytest.mark.parametrize(
    "name",
    [
        "torch.nn.GELU",
        "torch.nn.modules.activation.ELU",
        "torch.nn.modules.batchnorm.BatchNorm3d",
        "dynamic_network_architectures.building_blocks.residual.BottleneckD",
        None,
    ],
)
def test_layers_are_accepted(name: str | None) -> None:
    check_names(entry(nonlin=name))


def test_a_key_with_a_name_that_is_not_to_be_imported_stays_text(trap: Path) -> None:
    found = entry(remark="trap.act")  # nnU-Net imports the keys that are listed only
    check_names(found)
    found["_kw_requires_import"].append("remark")
    with pytest.raises(NotAllowedError, match=r"arch_kwargs\.remark is 'trap\.act'"):
        check_names(found)
    assert not trap.exists()


@pytest.mark.parametrize("value", [None, "nonlin", [1], {"nonlin": 1}, ["missing"]])
def test_a_list_of_names_that_nnunet_cannot_use_is_an_error(value: Any) -> None:
    with pytest.raises(UserError, match=r"^here: _kw_requires_import "):
        check_names({**entry(), "_kw_requires_import": value}, "here")


def test_every_configuration_is_checked() -> None:
    content = plans(more={"inherits_from": "2d", "architecture": entry(norm_op="os.system")})
    with pytest.raises(NotAllowedError, match=r"^P: configuration 'more': arch_kwargs\.norm_op is"):
        check_all_names(content, "P")
    del content["configurations"]["more"]["architecture"]
    check_all_names(content, "P")


@pytest.mark.parametrize("network", ["UNet", "MAGUNet", "DeepLabV3"])
def test_trainers_refuse_before_they_build(trap: Path, network: str) -> None:
    content = evil("subprocess.getoutput", {"cmd": f"touch {trap}"})
    planned = content["configurations"]["3d_fullres"]["architecture"]
    with pytest.raises(UserError, match=r"'subprocess\.getoutput'"):
        build(network, planned, 1, 3, True, [8, 8, 8])
    assert not trap.exists()


@pytest.mark.parametrize(
    "command",
    [
        ["profile"],
        ["profile", "--network", "MAGUNet", "SEUNet"],
        ["draw", "-o", "network.svg"],
        ["draw", "--network", "UNet", "-o", "network.svg"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("name", ["subprocess.getoutput", "trap.act"])
def test_commands_refuse_before_they_build(
    trap: Path, command: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = {"cmd": "touch PWNED"}
    path = write(trap.parent / "P", evil(name, arguments))
    assert main([command[0], str(path), *command[1:]]) == 2
    assert f"arch_kwargs.nonlin is '{name}'" in capsys.readouterr().err
    assert not trap.exists()
    assert not (trap.parent / "network.svg").exists()


def test_a_foreign_network_with_the_name_of_nnunets_is_not_imported(
    trap: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = plans()
    content["configurations"]["2d"]["architecture"]["network_class_name"] = "trap.PlainConvUNet"
    path = write(trap.parent / "P", content)
    assert main(["profile", str(path), "-c", "2d"]) == 2
    assert "network_class_name is 'trap.PlainConvUNet'" in capsys.readouterr().err
    assert not trap.exists()


def test_plans_can_be_compared_without_building(trap: Path) -> None:
    path = write(trap.parent / "P", evil("trap.act"))
    assert main(["plan-diff", str(path), str(path)]) == 0
    assert not trap.exists()


@pytest.mark.parametrize("trainer", ["nnUNetTrainer", "MAGUNetTrainer"])
def test_the_parameters_of_a_model_are_not_counted_with_a_note(trap: Path, trainer: str) -> None:
    folder = trap.parent / f"{trainer}__Plans__3d_fullres"
    write(folder, evil("subprocess.getoutput", {"cmd": "touch PWNED"}))
    (folder / "fold_0").mkdir()
    model = read_model(folder)
    facts = training_facts(model)
    assert "parameters" not in facts
    assert any(
        "parameters not counted, not a known network: plans: arch_kw" in note
        for note in training_notes(model, facts)
    )
    assert not trap.exists()
    write(folder, plans())
    facts = training_facts(read_model(folder))
    assert facts["parameters"] > 0


def test_a_model_is_refused_before_it_is_loaded(trap: Path) -> None:
    folder = trap.parent / "nnUNetTrainer__Plans__3d_fullres"
    write(folder, evil("trap.act"))
    (folder / "fold_0").mkdir()
    (folder / "fold_0" / "checkpoint_final.pth").touch()
    with pytest.raises(UserError, match=r"plans\.json: configuration '2d'.*nnUNetv2_predict$"):
        find_model(folder)
    write(folder, plans())
    assert find_model(folder).folds == ("0",)
    assert not trap.exists()


def test_the_check_leaves_the_plans_unchanged() -> None:
    content = plans()
    before = deepcopy(content)
    check_all_names(content, "P")
    assert content == before
