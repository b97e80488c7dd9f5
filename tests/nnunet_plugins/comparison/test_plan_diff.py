"""`plan-diff`: differences between plans, and whether a comparison is fair."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nnunet_plugins.cli import main
from nnunet_plugins.costs.budget import topology_for

Plans = dict[str, Any]


def plans() -> Plans:
    architecture, size = topology_for((1.0, 1.0, 1.0), (32, 32, 32), 8)
    fullres = {
        "architecture": architecture,
        "patch_size": list(size),
        "batch_size": 2,
        "spacing": [1.0, 1.0, 1.0],
        "normalization_schemes": ["CTNormalization"],
        "memory": {"target_gb": 8.0},
    }
    return {
        "plans_name": "A",
        "dataset_name": "Dataset001_A",
        "configurations": {"3d_fullres": fullres},
    }


@pytest.fixture
def diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def run(change: Callable[[Plans, dict[str, Any]], None], *options: str) -> tuple[int, str]:
        first, other = plans(), copy.deepcopy(plans())
        change(other, other["configurations"]["3d_fullres"])
        for name, content in (("a", first), ("b", other)):
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        status = main(["plan-diff", str(tmp_path / "a.json"), str(tmp_path / "b.json"), *options])
        return status, capsys.readouterr().out

    return run


def test_equal_plans_do_not_differ(diff: Callable) -> None:
    status, text = diff(lambda p, c: None)
    assert status == 0
    assert "3d_fullres: no difference" in text


@pytest.mark.parametrize(("key", "value", "said"), [
    ("spacing", [1.0, 1.0, 2.0], "spacing 1 x 1 x 2 against 1 x 1 x 1"),
    ("training", {"epochs": 50}, "epochs 50 against 1000 (another training budget)"),
    ("memory", {"target_gb": 24.0}, "memory target gb 24.0 against 8.0 (another memory budget)"),
])  # fmt: skip
def test_unfair_differences(diff: Callable, key: str, value: Any, said: str) -> None:
    status, text = diff(lambda p, c: c.update({key: value}))
    assert status == 1
    assert "NOT fair to compare" in text
    assert said in text


def test_other_data_is_unfair(diff: Callable) -> None:
    status, text = diff(lambda p, c: p.update(dataset_name="Dataset002_B"))
    assert status == 1
    assert "dataset Dataset002_B against Dataset001_A" in text


def test_patches_that_fill_the_same_memory_are_fair(diff: Callable) -> None:
    status, text = diff(lambda p, c: c.update(patch_size=[32, 32, 48]))
    assert status == 0
    assert "patch size 32 x 32 x 48 against 32 x 32 x 32 (both were planned for 8 GB)" in text
    status, text = diff(lambda p, c: (c.update(patch_size=[32, 32, 48]), c.pop("memory")))
    assert status == 1
    assert "unfair  patch size" in text


def test_networks_differ_in_their_blocks(diff: Callable) -> None:
    def change(other: Plans, configuration: dict[str, Any]) -> None:
        entry = configuration["architecture"]
        entry["network_class_name"] = "nnunet_plugins.networks.MAGUNet"
        entry["arch_kwargs"] |= {"bottleneck": "da", "features_per_stage": [8, 16, 32, 32]}

    status, text = diff(change)
    assert status == 0
    assert "network MAGUNet against PlainConvUNet" in text
    assert "features 8-16-32-32 against 8-16-32-64" in text
    assert "bottleneck da against none" in text


def test_json_has_the_same_content(diff: Callable) -> None:
    status, text = diff(lambda p, c: c.update(training={"epochs": 50}), "--json")
    found = json.loads(text)
    assert status == 1
    assert found["fair"] is False
    unfair = [d for d in found["configurations"][0]["differences"] if d["severity"] == "unfair"]
    assert [(d["fact"], d["first"], d["other"]) for d in unfair] == [("epochs", 1000, 50)]


def checkpoint(path: Path, **more: Any) -> Path:
    content = {
        "init_args": {"plans": plans(), "configuration": "3d_fullres", "fold": 0},
        "trainer_name": "nnUNetTrainer",
        **more,
    }
    torch.save(content, path)
    return path


class Opaque:
    """A class that only a pickle can store."""


def test_a_checkpoint_of_plain_data_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = checkpoint(tmp_path / "one.pth")
    assert main(["plan-diff", str(one), str(one)]) == 0
    assert "no difference" in capsys.readouterr().out


def test_a_pickle_is_loaded_with_trust_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = checkpoint(tmp_path / "one.pth", logging=Opaque())
    assert main(["plan-diff", str(one), str(one)]) == 2
    assert "--trust" in capsys.readouterr().err
    assert main(["plan-diff", str(one), str(one), "--trust"]) == 0


@pytest.mark.parametrize("content", ["", "{}", "[1]", "not json"])
def test_files_that_are_not_plans(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    assert main(["plan-diff", str(path), str(path)]) == 2
    assert str(path) in capsys.readouterr().err


def test_no_common_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = plans()
    fullres = other["configurations"].pop("3d_fullres")
    other["configurations"] |= {"2d": fullres, "3d_lowres": fullres}
    for name, content in (("a", plans()), ("b", other)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    assert main(["plan-diff", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 2
    assert "no configuration in common" in capsys.readouterr().err


def test_plans_of_before_architectures_are_the_same_network(diff: Callable) -> None:
    def as_before(other: Plans, entry: dict[str, Any]) -> None:
        arguments = entry.pop("architecture")["arch_kwargs"]
        entry |= {
            "UNet_class_name": "PlainConvUNet",
            "UNet_base_num_features": arguments["features_per_stage"][0],
            "unet_max_num_features": max(arguments["features_per_stage"]),
            "n_conv_per_stage_encoder": arguments["n_conv_per_stage"],
            "n_conv_per_stage_decoder": arguments["n_conv_per_stage_decoder"],
            "num_pool_per_axis": [5, 5, 5],
            "pool_op_kernel_sizes": arguments["strides"],
            "conv_kernel_sizes": arguments["kernel_sizes"],
        }

    status, text = diff(as_before)
    assert status == 0
    assert "3d_fullres: no difference" in text


def test_an_old_network_that_nnunet_does_not_know_keeps_its_name(diff: Callable) -> None:
    def unknown(other: Plans, entry: dict[str, Any]) -> None:
        entry.pop("architecture")
        entry["UNet_class_name"] = "MyNet"

    assert "network MyNet against" in diff(unknown)[1]
