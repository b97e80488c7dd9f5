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


class Job:
    """The steps on one CT in a folder; `step` keeps every nth voxel along each axis."""

    def __init__(self, folder: Path, shared_data: Path, step: int = 1) -> None:
        self.folder = folder
        self.raw = folder / "nnunet" / "nnUNet_raw" / "Dataset660_SacroiliacCT"
        patient = folder / "scans" / "patient"
        patient.mkdir(parents=True)
        for name, path in {
            "ct.nii.gz": shared_data / "ct_pelvis" / "example_ct.nii.gz",
            "mask.nii.gz": shared_data / "derived" / "sij_ct" / "example_ct_sij_labels.nii.gz",
        }.items():
            if not path.exists():
                pytest.skip(f"the real CT is not available: {path.name}")
            sitk.WriteImage(sitk.ReadImage(str(path))[::step, ::step, ::step], str(patient / name))
        (folder / "labels.json").write_text(json.dumps(LABELS))

    def run(self, *command: str) -> None:
        program = Path(sys.executable).with_name(command[0])
        done = subprocess.run(
            [str(program), *command[1:]],
            cwd=self.folder,
            env={**os.environ, **variables(self.folder / "nnunet", cpu=True)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (
            f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )

    def convert(self) -> None:
        self.run("nnunet-plugins", "convert", "hospital-ct", "scans", "-d", "660",
                 "--labels", "labels.json", "--drop", *LUMBAR)  # fmt: skip

    def score(self, *options: str) -> dict:
        """Convert, plan, train on the CT, predict it, evaluate; return the scores."""
        self.convert()
        self.run("nnunet-plugins", "plan", "660", "--network", "MAGUNet", "--preset", "cpu",
                 "-c", "3d_fullres", *options)  # fmt: skip
        model = ("-p", "MAGUNetPlansCPU", "-tr", "MAGUNetTrainer", "-device", "cpu")
        self.run("nnUNetv2_train", "660", "3d_fullres", "all", *model)
        self.run("nnUNetv2_predict", "-i", str(self.raw / "imagesTr"), "-o", "predictions",
                 "-d", "660", "-c", "3d_fullres", "-f", "all", *model)  # fmt: skip
        self.run("nnunet-plugins", "evaluate", "predictions", str(self.raw / "labelsTr"),
                 "-o", "scores.json")  # fmt: skip
        return json.loads((self.folder / "scores.json").read_text())

    def reference(self) -> sitk.Image:
        return sitk.ReadImage(str(next((self.raw / "labelsTr").iterdir())))

    def label_maps(self) -> tuple[np.ndarray, np.ndarray]:
        """Prediction and reference, in (z, y, x)."""
        predicted = sitk.ReadImage(str(next((self.folder / "predictions").glob("*.nii.gz"))))
        reference = self.reference()
        assert predicted.GetDirection() == reference.GetDirection()
        return sitk.GetArrayFromImage(predicted), sitk.GetArrayFromImage(reference)


def test_the_converted_ct_has_its_left_hip_on_the_left(shared_data: Path, tmp_path: Path) -> None:
    job = Job(tmp_path, shared_data, step=2)
    job.convert()
    mask = job.reference()
    assert mask.GetSpacing() == pytest.approx([6, 6, 6], abs=1e-3)
    reference = sitk.GetArrayFromImage(mask)
    assert set(np.unique(reference)) == {0, 1, 2, 3}
    # x grows to the patient's left in LPS; 20 voxels are 120 mm.
    x = [np.nonzero(reference == LABELS[side])[2].mean() for side in ("hip_left", "hip_right")]
    assert x[0] > x[1] + 20


@pytest.mark.integration
def test_the_main_job_runs_on_the_real_ct(shared_data: Path, tmp_path: Path) -> None:
    job = Job(tmp_path, shared_data, step=2)
    scores = job.score("--epochs", "1", "--iterations", "2")
    predicted, reference = job.label_maps()
    assert predicted.shape == reference.shape
    assert set(scores["summary"]) == set(LABELS) - {"background"}
    (only,) = scores["cases"].values()
    assert only["spacing_mm"] == pytest.approx([6, 6, 6], abs=1e-3)


@pytest.mark.integration
def test_sacrum_and_hips_are_learned_with_their_sides(shared_data: Path, tmp_path: Path) -> None:
    if os.environ.get("NNUNET_PLUGINS_LONG") != "1":
        pytest.skip("trains for 15 minutes on two cores; set NNUNET_PLUGINS_LONG=1")
    job = Job(tmp_path, shared_data)
    scores = job.score()
    dice = {name: label["metrics"]["dice"]["mean"] for name, label in scores["summary"].items()}
    assert min(dice.values()) >= 0.8, dice
    predicted, reference = job.label_maps()
    left, right = LABELS["hip_left"], LABELS["hip_right"]
    swapped = ((predicted == left) & (reference == right)) | (
        (predicted == right) & (reference == left)
    )
    # The pubic bones touch at the symphysis, where single voxels may get the other side.
    assert swapped.sum() < 0.001 * (reference == left).sum()
