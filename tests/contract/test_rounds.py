"""What `rounds` relies on when a training continues with the weights of the round before."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from nnunetv2.experiment_planning import plan_and_preprocess_entrypoints as entrypoints
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
from torch import nn


def network() -> nn.Module:
    made = nn.Module()
    made.encoder = nn.Linear(2, 3)
    made.decoder = nn.ModuleDict({"seg_layers": nn.ModuleList([nn.Linear(3, 2)])})
    return made


def test_pretrained_weights_are_all_but_those_of_the_segmentation_layers(tmp_path: Any) -> None:
    before, now = network(), network()
    own = now.decoder["seg_layers"][0].weight.clone()
    torch.save({"network_weights": before.state_dict()}, tmp_path / "checkpoint_final.pth")
    load_pretrained_weights(now, str(tmp_path / "checkpoint_final.pth"))
    assert torch.equal(now.encoder.weight, before.encoder.weight)
    assert torch.equal(now.decoder["seg_layers"][0].weight, own)


def test_preprocessing_takes_the_name_of_existing_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    called = {}
    monkeypatch.setattr(
        entrypoints,
        "preprocess",
        lambda *arguments, **options: called.update(given=arguments, **options),
    )
    words = ["-d", "663", "-plans_name", "RoundsPlans", "-c", "3d_fullres", "-np", "1"]
    monkeypatch.setattr(sys, "argv", ["nnUNetv2_preprocess", *words])
    entrypoints.preprocess_entry()
    values = [*called.pop("given"), *called.values()]
    assert values[0] == [663]
    assert "RoundsPlans" in values
    assert ["3d_fullres"] in values or ("3d_fullres",) in values
