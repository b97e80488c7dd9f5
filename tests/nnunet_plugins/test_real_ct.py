"""The main job on a real pelvis CT, through the commands that a user types."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_plugins.environment import variables

LABELS = {"background": 0, "sacrum": 1, "hip_left": 2, "hip_right": 3}
LUMBAR = ["4", "5", "6", "7", "8"]  # L5 to L1 of the label map


@pytest.fixture
def files(shared_data: Path) -> tuple[Path, Path]:
    image = shared_data / "ct_pelvis" / "example_ct.nii.gz"
    mask = shared_data / "derived" / "sij_ct" / "example_ct_sij_labels.nii.gz"
    for path in (image, mask):
        if not path.exists():
            pytest.skip(f"the real CT is not here: {path.name}")
    return image, mask


def main_job(folder: Path, files: tuple[Path, Path], *options: str) -> dict:
    """Convert, plan, train on the one CT, predict it, evaluate; returns the scores."""
    image, mask = files
    patient = folder / "scans" / "patient"
    patient.mkdir(parents=True)
    (patient / "ct.nii.gz").write_bytes(image.read_bytes())
    (patient / "mask.nii.gz").write_bytes(mask.read_bytes())
    (folder / "labels.json").write_text(json.dumps(LABELS))
    environment = {**os.environ, **variables(folder / "nnunet", cpu=True)}
    raw = folder / "nnunet" / "nnUNet_raw" / "Dataset660_SacroiliacCT"

    def run(*command: str) -> None:
        program = Path(sys.executable).with_name(command[0])
        done = subprocess.run(
            [str(program), *command[1:]],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (
            f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )

    run(
        "nnunet-plugins",
        "convert",
        "hospital-ct",
        "scans",
        "-d",
        "660",
        "--labels",
        "labels.json",
        "--drop",
        *LUMBAR,
    )
    run(
        "nnunet-plugins",
        "plan",
        "660",
        "--network",
        "MAGUNet",
        "--preset",
        "cpu",
        "-c",
        "3d_fullres",
        *options,
    )
    model = ("-p", "MAGUNetPlansCPU", "-tr", "MAGUNetTrainer", "-device", "cpu")
    run("nnUNetv2_train", "660", "3d_fullres", "all", *model)
    images = ("-i", str(raw / "imagesTr"), "-o", "predictions")
    run("nnUNetv2_predict", *images, "-d", "660", "-c", "3d_fullres", "-f", "all", *model)
    run("nnunet-plugins", "evaluate", "predictions", str(raw / "labelsTr"), "-o", "scores.json")
    return json.loads((folder / "scores.json").read_text())


def label_maps(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    raw = folder / "nnunet" / "nnUNet_raw" / "Dataset660_SacroiliacCT"
    found = next((folder / "predictions").glob("*.nii.gz"))
    pair = (sitk.ReadImage(str(found)), sitk.ReadImage(str(raw / "labelsTr" / found.name)))
    assert pair[0].GetDirection() == pair[1].GetDirection()
    predicted, reference = map(sitk.GetArrayFromImage, pair)
    return predicted, reference


def test_the_whole_chain_runs_on_the_real_ct(files: tuple[Path, Path], tmp_path: Path) -> None:
    scores = main_job(tmp_path, files, "--epochs", "1", "--iterations", "2")
    predicted, reference = label_maps(tmp_path)
    assert predicted.shape == reference.shape
    assert set(np.unique(reference)) == {0, 1, 2, 3}
    # Patient left is at higher x in LPS.
    x = [np.nonzero(reference == LABELS[side])[2].mean() for side in ("hip_left", "hip_right")]
    assert x[0] > x[1] + 50
    assert set(scores["summary"]) == set(LABELS) - {"background"}
    only = next(iter(scores["cases"].values()))
    assert only["spacing_mm"] == pytest.approx([3, 3, 3])


@pytest.mark.slow
def test_it_learns_sacrum_and_hips_and_keeps_their_sides(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    scores = main_job(tmp_path, files)
    dice = {name: label["metrics"]["dice"]["mean"] for name, label in scores["summary"].items()}
    assert min(dice.values()) >= 0.8, dice
    predicted, reference = label_maps(tmp_path)
    left, right = LABELS["hip_left"], LABELS["hip_right"]
    swapped = ((predicted == left) & (reference == right)) | (
        (predicted == right) & (reference == left)
    )
    # The pubic bones touch at the symphysis: single voxels there may go to the other side.
    assert swapped.sum() < 0.001 * (reference == left).sum()
