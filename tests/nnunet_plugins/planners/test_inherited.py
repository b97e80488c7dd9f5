"""Plans of a training that starts with other weights take over topology, patch and batch of the checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import build
from nnunet_plugins.planners.inherited import inherit
from nnunet_plugins.planners.planning import Request, plan
from nnunet_plugins.training.fine_tuning.source import read_source
from tests.nnunet_plugins import tiny
from tests.nnunet_plugins.planners.test_planning import Planner

#: Another topology than nnU-Net plans for these images.
ARCHITECTURE: dict[str, Any] = {
    "network_class_name": "nnunet_plugins.networks.ModularUNet",
    "arch_kwargs": {
        "n_stages": 3, "features_per_stage": [4, 6, 10], "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": [[1, 3, 3], [3, 3, 3], [3, 3, 3]], "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]],
        "n_conv_per_stage": [2, 2, 2], "n_conv_per_stage_decoder": [2, 2], "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d", "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None, "dropout_op_kwargs": None, "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    },
    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
}  # fmt: skip
PATCH, BATCH = [8, 24, 16], 3


def checkpoint(folder: Path, *, channels: int = 2, classes: int = 5, **more: Any) -> Path:
    network = build("ModularUNet", ARCHITECTURE, channels, classes, True, PATCH)
    plans = {
        "configurations": {
            "3d_fullres": {"architecture": ARCHITECTURE, "patch_size": PATCH, "batch_size": BATCH}
        }
    }
    file = folder / "checkpoint_final.pth"
    arguments = {"plans": plans, "configuration": "3d_fullres", "dataset_json": {}}
    torch.save({"network_weights": network.state_dict(), "init_args": arguments} | more, file)
    return file


@pytest.fixture(scope="module")
def planner(nnunet: Path) -> Planner:
    name, _ = tiny.write_raw("labels", 750)
    return Planner(nnunet / "nnUNet_preprocessed" / name)


@pytest.mark.integration
def test_the_plans_are_those_of_the_checkpoint(planner: Planner, tmp_path: Path) -> None:
    file = checkpoint(tmp_path)
    training = {"pretrained": {"source": str(file), "freeze_epochs": 2}, "epochs": 9}
    made = planner.again("ModularUNet", training=training)
    assert list(made["configurations"]) == ["3d_fullres"]
    planned = made["configurations"]["3d_fullres"]
    assert planned["architecture"]["arch_kwargs"] == ARCHITECTURE["arch_kwargs"]
    assert (planned["patch_size"], planned["batch_size"]) == (PATCH, BATCH)
    assert planned["training"]["pretrained"] == {
        "source": str(file), "freeze_epochs": 2, "sha256": read_source({"source": str(file)}).sha256,
    }  # fmt: skip
    dataset = {"labels": {"background": 0, "a": 1}, "channel_names": {"0": "CT"}}
    other = ARCHITECTURE | {"network_class_name": "nnunet_plugins.networks.MAGUNet"}
    with pytest.raises(UserError, match=r"do not fit MAGUNet \(all_but_heads\)"):
        inherit(training["pretrained"], trust=False)[1].check("MAGUNet", other, PATCH, dataset)
    with pytest.raises(
        UserError, match=r"-c 2d: .* is a checkpoint of a 3D network; pass -c 3d_fullres"
    ):
        planner.again("ModularUNet", training=training, configurations=("2d",))


@pytest.mark.integration
def test_accumulation_plans_for_a_part_and_options_reach_the_network(planner: Planner) -> None:
    options: dict[str, Any] = {"options": {"deep_levels": 2}, "preset": "cpu"}
    whole = planner.again("ModularUNet", **options)
    parts = planner.again("ModularUNet", training={"accumulate": 2}, **options)
    one, two = (made["configurations"]["3d_fullres"] for made in (whole, parts))
    assert one["architecture"]["arch_kwargs"]["deep_levels"] == 2
    assert two["batch_size"] == 2 * one["batch_size"]
    assert two["patch_size"] == one["patch_size"]


def test_nnssl_checkpoints_state_their_topology(tmp_path: Path) -> None:
    plan_of = {
        "architecture_plans": {"arch_class_name": "ResEncL", "arch_kwargs": None},
        "recommended_downstream_patchsize": [160, 160, 160],
        "key_to_encoder": "encoder.stages", "key_to_stem": "encoder.stem",
    }  # fmt: skip
    file = tmp_path / "nnssl.pth"
    torch.save({"network_weights": {}, "nnssl_adaptation_plan": plan_of}, file)
    entry, found = inherit({"source": str(file), "what": "encoder"}, trust=False)
    assert entry["sha256"]
    assert "trusted" not in entry
    assert found.patch == (160, 160, 160)
    assert found.arch_kwargs["n_blocks_per_stage"] == [1, 3, 4, 6, 6, 6]


@pytest.mark.parametrize(
    ("changes", "what", "message"),
    [
        ({"arch_class_name": "PrimusM"}, "encoder", "of the network PrimusM, a transformer whose weights no"),
        ({"arch_class_name": "PrimusL", "arch_kwargs": {"depth": 24}}, "encoder", "PrimusL, a transformer"),
        ({"arch_class_name": "NoSkipResEncL"}, "all_but_heads", "only the encoder can be loaded: set pretrained"),
        ({"arch_class_name": "SwinUNETR"}, "encoder", "it does not record; known without them: ResEncL"),
        ({"arch_class_name": None}, "encoder", "of the network None, whose arguments"),
    ],
)  # fmt: skip
def test_nnssl_networks_that_cannot_be_loaded_are_named(
    tmp_path: Path, changes: dict[str, Any], what: str, message: str
) -> None:
    plan_of = {"architecture_plans": changes, "recommended_downstream_patchsize": [160] * 3}
    file = tmp_path / "nnssl.pth"
    torch.save({"network_weights": {}, "nnssl_adaptation_plan": plan_of}, file)
    with pytest.raises(UserError, match=message):
        inherit({"source": str(file), "what": what}, trust=False)


def test_nnssl_networks_with_our_encoder(tmp_path: Path) -> None:
    """NoSkipResEncL has that of ResEncL; without a recommended patch that of the pretraining is used."""
    used = {"pretrain_plan": {"configurations": {"onemmiso": {"patch_size": [64, 64, 64]}}}}
    file = tmp_path / "nnssl.pth"
    for made in (
        {"arch_class_name": "NoSkipResEncL"},
        {"arch_class_name": "ResidualEncoderUNet", "arch_kwargs": {"n_stages": 3}},
    ):
        content = {
            "network_weights": {},
            "nnssl_adaptation_plan": {"architecture_plans": made, **used},
        }
        torch.save(content, file)
        found = inherit({"source": str(file), "what": "encoder"}, trust=False)[1]
        assert found.patch == (64, 64, 64)
        assert found.arch_kwargs["n_stages"] == (3 if "arch_kwargs" in made else 6)


def test_a_checkpoint_without_plans_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.pth"
    torch.save({"network_weights": {}}, file)
    with pytest.raises(UserError, match="the plans of its training are not recorded"):
        inherit({"source": str(file)}, trust=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"recipe": "paper"},
            "--recipe paper: the topology of a training that starts with other weights",
        ),
        ({"encoder": "residual"}, "--encoder residual: the topology of a training that starts"),
    ],
)
def test_options_of_another_topology_are_refused(options: dict[str, Any], message: str) -> None:
    request = Request("1", "MAGUNet", training={"pretrained": {"source": "a.pth"}}, **options)
    with pytest.raises(UserError, match=message):
        plan(request)


def test_trust_and_arguments_are_refused_where_they_do_nothing() -> None:
    with pytest.raises(UserError, match="--trust: only for the checkpoint of --pretrained"):
        plan(Request("1", "UNet", trust=True))
    with pytest.raises(UserError, match="ResEncM is planned as nnU-Net plans it"):
        plan(Request("1", "ResEncM", options={"size": "L"}))


def test_the_command_takes_a_source(root: Path, tmp_path: Path, capsys: Any) -> None:
    """Its path and --training are merged; a missing file is reported before planning."""
    arguments = ("plan", "1", "--network", "UNet", "--pretrained", str(tmp_path / "none.pth"))
    assert main((*arguments, "--training", json.dumps({"pretrained": {"what": "encoder"}}))) == 2
    assert "none.pth: pretrained.source cannot be read" in capsys.readouterr().err
    assert main((*arguments, "--arch-kwargs", "[1]")) == 2
    assert "--arch-kwargs [1]: expected an object" in capsys.readouterr().err
