"""Commands that run a network, killed at random moments: nothing incomplete remains."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dataset_conversion.phantoms.dicom import MR, write_series
from nnunet_plugins.cli import main
from nnunet_plugins.predicted_files import RECORD
from tests.nnunet_plugins import tiny
from tests.nnunet_plugins.processes import Forked, killed_at_random, start

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]
ENDED = "checkpoint_final.pth"


@pytest.fixture(scope="module")
def model(nnunet: Path) -> tuple[tiny.Tiny, Path]:
    """An untrained model. One thread: a process that is forked here has no others."""
    torch.set_num_threads(1)
    data = tiny.make("sides", 746, network="AttentionUNet25D", training={"epochs": 1})
    trainer = tiny.trainer_of(data, "3d_fullres", "AttentionUNet25DTrainer")
    trainer.initialize()
    trainer.save_checkpoint(str(Path(trainer.output_folder) / ENDED))
    folder = Path(trainer.output_folder_base)
    (folder / "plans.json").write_text(json.dumps(trainer.plans_manager.plans))
    (folder / "dataset.json").write_text(json.dumps(trainer.dataset_json))
    return data, folder


@pytest.mark.parametrize(
    ("name", "begin", "moments"),
    [("explain", start, 3), ("export", Forked, 6), ("predict", start, 3)],
)
def test_killed_at_random_moments_and_run_again(name, begin, moments, model, tmp_path):
    data, folder = model
    series = tmp_path / "series"
    values = np.random.default_rng(0).integers(0, 900, (16, 32, 32)).astype(np.uint16)
    write_series(series, values, np.eye(4), key="k", scanner=MR)
    case = data.raw / "imagesTr" / "case0_0000.nii.gz"

    def command(out: Path) -> list[str]:
        if name == "explain":
            source = ["explain", str(folder), str(case), "--everywhere"]
        elif name == "predict":
            source = ["predict", str(case.parent), "--model", str(folder)]
        else:
            source = [
                "export",
                "--from-dicom",
                str(series),
                "--model",
                str(folder),
                "--to",
                "nii.gz",
                "stl",
            ]
        return [*source, "-device", "cpu", "-o", str(out)]

    if begin is Forked:  # gradients do not survive a fork
        assert main(command(tmp_path / "imports")) == 0
    killed_at_random(command, moments, tmp_path, begin, growing=RECORD)
