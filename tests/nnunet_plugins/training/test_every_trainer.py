"""`nnUNetv2_train -tr NAME` and `nnUNetv2_predict` on nnU-Net's own plans, for every network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nnunet_plugins.networks import NETWORKS
from tests.contract.making import PLAIN
from tests.nnunet_plugins import tiny

SHORT = {"epochs": 1, "iterations_per_epoch": 2, "validation_iterations_per_epoch": 1}
#: Network with supervised attention maps; the others are integration tests.
CORE = ("AttentionUNet25D", "2d")
# 64 voxels are enough for every network.
SHAPE = (8, 64, 64)


@pytest.fixture(scope="module")
def data(nnunet: Path) -> tiny.Tiny:
    """Plans with nnU-Net's own network, which each trainer replaces with its own."""
    made = tiny.make("labels", 740, network="ModularUNet", shape=SHAPE, training=SHORT)
    file = made.preprocessed / f"{made.plans}.json"
    plans = json.loads(file.read_text())
    for configuration in plans["configurations"].values():
        configuration["architecture"]["network_class_name"] = PLAIN
    file.write_text(json.dumps(plans))
    return made


@pytest.mark.parametrize(
    ("name", "configuration"),
    [
        pytest.param(
            name,
            configuration,
            marks=[] if (name, configuration) == CORE else pytest.mark.integration,
            id=f"{name}-{configuration}",
        )
        for name, network in NETWORKS.items()
        for configuration in ("2d", "3d_fullres")
        if 3 in network.ranks or configuration == "2d"
    ],
)
def test_trains_two_steps_and_predicts(
    name: str, configuration: str, data: tiny.Tiny, tmp_path: Path
) -> None:
    trainer = tiny.trainer_of(data, configuration, f"{name}Trainer")
    trainer.run_training()
    assert type(trainer.network) is NETWORKS[name]
    assert np.isfinite(trainer.logger.get_value("train_losses", step=-1))
    found = tiny.predict(tiny.model_folder(data, configuration, f"{name}Trainer"), data, tmp_path)
    assert found.shape == SHAPE
    assert set(np.unique(found)) <= {0, 1, 2}
