"""A study whose trainings have ended, made of label maps with known errors; nothing is trained."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_plugins.evaluation import evaluate
from nnunet_plugins.study.folder import PLANS, Study
from nnunet_plugins.study.init import write_study
from nnunet_plugins.study.jobs import Job, jobs_of

SHAPE = (10, 24, 24)
SPACING = (2.0, 1.0, 1.0)  # mm, z, y, x
CASES = 12
PATIENTS = 6  # with two cases each
ROWS = ("nnUNetPlain", "MAGUNet", "SEUNet")
#: (row, seed) -> voxels of the border that are missed in every case, of 48.
MISSED = {("nnUNetPlain", 0): 24, ("MAGUNet", 0): 6, ("MAGUNet", 1): 10, ("SEUNet", 0): 22}


def cases_of(fold: int) -> range:
    """Fold 0 validates the first half."""
    return range(fold * CASES // 2, (fold + 1) * CASES // 2)


def truth(case: int) -> np.ndarray:
    """A block of 4x12x6 voxels, label 1, and one of 4x4x4, label 2; they move with the case."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:7, 4 : 4 + 12, 3 + case % 3 : 9 + case % 3] = 1
    labels[3:7, 10:14, 15:19] = 2
    return labels


def predicted(case: int, missed: int) -> np.ndarray:
    """The first column of label 1, 48 voxels, lacks ``missed`` voxels and up to 5 more by case."""
    labels = truth(case)
    found = np.flatnonzero(labels == 1)[: min(48, missed + case % 6)]
    labels.ravel()[found] = 0
    return labels


def save(path: Path, voxels: np.ndarray) -> None:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(SPACING[::-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


def log(missed: int, epochs: int = 8) -> str:
    lines = []
    for epoch in range(epochs):
        loss = missed / 30 - 0.9 + math.exp(-epoch / 3)
        lines += [f"Epoch {epoch}", f"train_loss {loss:.4f}", f"val_loss {loss + 0.1:.4f}",
                  "Pseudo dice [0.5, 0.5]", "Epoch time: 12.0 s"]  # fmt: skip
    lines += ["Training done.", "peak memory allocated: 2.50 GiB"]
    return "".join(f"2026-01-01 00:00:00.1: {line}\n" for line in ["", *lines])


def make(root: Path) -> Study:
    """Write nnU-Net's folders and the study root/study; nnUNet_raw is root/raw."""
    noise = np.random.default_rng(3)
    raw = root / "raw" / "Dataset660_Blocks"
    dataset = {
        "labels": {"background": 0, "bone": 1, "disc": 2},
        "channel_names": {"0": "MRI"},
        "file_ending": ".nii.gz",
        "numTraining": CASES,
    }
    for case in range(CASES):
        save(raw / "labelsTr" / f"case{case:02}.nii.gz", truth(case))
        image = truth(case) * 80.0 + noise.normal(100, 15, SHAPE)
        save(raw / "imagesTr" / f"case{case:02}_0000.nii.gz", image.astype(np.float32))
    (raw / "dataset.json").write_text(json.dumps(dataset))
    groups = root / "groups.csv"
    rows = [f"case{case:02},{case // 2}" for case in range(CASES)]
    groups.write_text("\n".join(["case,patient", *rows]))
    write_study(
        root / "study",
        {
            "data": {"dataset": 660, "groups": str(groups)},
            "rows": list(ROWS),
            "budget": {"epochs": 8, "iterations": 20},
            "folds": [0, 1],
            "seeds": [0],
            "extra_runs": [{"rows": ["MAGUNet"], "folds": [0, 1], "seeds": [1]}],
            "resources": {"device": "cuda"},
        },
    )
    study = Study.read(root / "study")
    (study.preprocessed / "gt_segmentations").mkdir(parents=True)
    (study.preprocessed / "dataset.json").write_text(json.dumps(dataset))
    record(study, Job("rows", "plans"), rows={f"{r}_seed{s}": row(r, s) for r, s in MISSED})
    for job in jobs_of(study.settings):
        if job.kind == "train":
            write_training(study, job, dataset)
        elif job.kind == "score":
            scored = study.fold(job) / "validation"
            evaluate(scored, raw / "labelsTr", chill=True, output=study.scores(job))
            record(study, job)
    return study


def row(name: str, seed: int) -> Mapping[str, object]:
    return {
        "configuration": f"3d_fullres_{name}_seed{seed}",
        "trainer": f"{name}Trainer",
        "network": name,
        "parameters": 1_234_567 + len(name),
        "digest": f"{name}{seed}",
    }


def write_training(study: Study, job: Job, dataset: Mapping[str, object]) -> None:
    """Model folder, fold and record of a training."""
    missed, fold = MISSED[job.row, job.seed], study.fold(job)
    for case in cases_of(int(job.folds[0])):
        save(fold / "validation" / f"case{case:02}.nii.gz", predicted(case, missed))
    network = {"network_class_name": f"x.{job.row}", "arch_kwargs": {}, "_kw_requires_import": []}
    plan = {
        "batch_size": 2,
        "patch_size": list(SHAPE),
        "spacing": list(SPACING),
        "architecture": network,
        "training": {"epochs": 8, "seed": job.seed},
    }
    configuration = str(row(job.row, job.seed)["configuration"])
    plans = {
        "dataset_name": study.dataset,
        "plans_name": PLANS,
        "configurations": {configuration: plan},
    }
    (fold.parent / "plans.json").write_text(json.dumps(plans))
    (fold.parent / "dataset.json").write_text(json.dumps(dataset))
    debug = {"num_epochs": "8", "num_iterations_per_epoch": "20", "device": "cuda:0"}
    (fold / "debug.json").write_text(json.dumps(debug | {"fold": str(job.folds[0])}))
    (fold / "training_log_2026_1_1_00_00_00.txt").write_text(log(missed))
    (fold / "checkpoint_final.pth").touch()
    record(study, job, peak_memory_gb=3.5, gpus=["Some GPU, 550.1, 8192 MiB"])


def record(study: Study, job: Job, **more: object) -> None:
    content = {
        "seconds": 3600.0,
        "seconds_before": 1800.0,
        "host": "node1",
        "processor": "8 x CPU",
        "ended": "2026-01-01T10:30:00+00:00",
        "attempts": 2,
        "versions": {"nnunetv2": "2.8.1", "torch": "2.9.0"},
    }
    file = study.folder / job.record
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content | more))
