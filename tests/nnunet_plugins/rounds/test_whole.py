"""Two rounds with nnU-Net's own commands: one is killed and run again, the next is fine-tuned from it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_plugins.environment import variables
from nnunet_plugins.rounds.folder import Rounds
from nnunet_plugins.rounds.proposals import read_proposals
from nnunet_plugins.rounds.training import FINAL, PLANS
from tests.nnunet_plugins.tiny import write_raw

pytestmark = [pytest.mark.integration, pytest.mark.timeout(2000)]
ROOT = Path(__file__).parents[3]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "nnunet_plugins", "rounds", *map(str, arguments)]


def test_a_round_that_is_killed_goes_on_and_the_next_begins_with_its_weights(tmp_path, monkeypatch):
    environ = {
        **os.environ,
        **variables(tmp_path, cpu=True),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    monkeypatch.setenv("nnUNet_raw", environ["nnUNet_raw"])
    name, _ = write_raw("labels", 700)
    raw = tmp_path / "nnUNet_raw" / name
    for case in ("case3", "case4"):
        (raw / "labelsTr" / f"{case}.nii.gz").unlink()
    patients = tmp_path / "patients.csv"
    patients.write_text("case,patient\n" + "".join(f"case{i},P{i}\n" for i in range(5)))
    folder = tmp_path / "rounds"

    def done(*arguments: object) -> None:
        found = subprocess.run(
            command(*arguments), env=environ, capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-3000:]

    options = [
        "--folds",
        2,
        "--order",
        "uncertain",
        "--to",
        "nii.gz",
        "-device",
        "cpu",
        "--fine-tune",
    ]
    plan = "--plan=--preset cpu --epochs 1 --iterations 1"
    done("init", folder, "--dataset", 700, "--groups", patients, *options, plan)
    rounds = Rounds.read(folder)
    process = subprocess.Popen(command("next", folder), env=environ, start_new_session=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    results = rounds.round(1) / "nnunet" / "nnUNet_results"
    while process.poll() is None and not any(results.rglob("checkpoint_*.pth")):
        time.sleep(0.05)
    assert process.poll() is None, "it ended before it was killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert rounds.current == 0
    done("next", folder)
    proposals = read_proposals(rounds, 1)
    splits = json.loads((rounds.raw / "splits_final.json").read_text())
    assert {case for case, one in proposals.items() if one.model == "all folds"} == {
        "case3",
        "case4",
    }
    for case, one in proposals.items():
        if one.model != "all folds":
            assert case not in splits[int(one.model.removeprefix("fold "))]["train"]
        assert one.uncertainty is None or 0 <= one.uncertainty <= 1
        exported = sitk.ReadImage(str(rounds.readers(1) / "masks" / f"{case}.nii.gz"))
        assert np.count_nonzero(sitk.GetArrayFromImage(exported)) == one.foreground
    assert set(rounds.export(1)["cases"]) == set(proposals)
    assert not [*rounds.round(1).rglob("*.npz")]

    # The next round begins with the weights and the plans of this one.
    back = shutil.copytree(rounds.readers(1) / "masks", tmp_path / "back")
    done("ingest", folder, back, "--reader", "R1", "--confirm", *rounds.export(1)["cases"])
    done("next", folder)
    assert rounds.current == 2
    for fold in range(2):
        (weights,) = rounds.round(1).glob(f"nnunet/nnUNet_results/*/*/fold_{fold}/{FINAL}")
        log = (rounds.round(2) / "logs" / f"train_{fold}.txt").read_text()
        assert "initial weights: pretrained" in log
        assert str(weights) in log
    first, second = (
        next(rounds.round(number).glob(f"nnunet/nnUNet_preprocessed/*/{PLANS}.json")).read_text()
        for number in (1, 2)
    )
    assert first == second
    splits = json.loads((rounds.raw / "splits_final.json").read_text())
    for case, one in read_proposals(rounds, 2).items():
        assert case not in splits[int(one.model.removeprefix("fold "))]["train"]
