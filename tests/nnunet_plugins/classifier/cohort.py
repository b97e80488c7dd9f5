"""A raw dataset of tiny patients whose lesion is bright where the label is 1, and a segmenter's folder."""

import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk

SHAPE = (8, 24, 24)
SETTINGS = ["--size", "8", "24", "24", "--spacing", "7", "1", "1", "--network", "densenet-small"]
NAME = "Dataset701_Lesions"


def write_cohort(
    root: Path, labels: dict[str, int], *, test: int = 0, effect: float = 4.0, seed: int = 0
) -> Path:
    """Write nnUNet_raw/NAME; the last `test` cases are in imagesTs. Returns its folder."""
    raw = root / "nnUNet_raw" / NAME
    for folder in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
        (raw / folder).mkdir(parents=True, exist_ok=True)
    for place, (case, label) in enumerate(labels.items()):
        side = "Ts" if place >= len(labels) - test else "Tr"
        image, mask = patient(seed + place, label, effect)
        sitk.WriteImage(image, str(raw / f"images{side}" / f"{case}_0000.nii.gz"))
        sitk.WriteImage(mask, str(raw / f"labels{side}" / f"{case}.nii.gz"))
    content = {
        "channel_names": {"0": "T1"},
        "labels": {"background": 0, "fat_metaplasia": 1},
        "numTraining": len(labels) - test,
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(content))
    return raw


def patient(number: int, label: int, effect: float = 4.0) -> tuple[sitk.Image, sitk.Image]:
    """Noise with a lesion whose brightness depends on the label."""
    random = np.random.default_rng(number)
    values = random.normal(0, 1, SHAPE).astype(np.float32)
    mask = np.zeros(SHAPE, np.uint8)
    y, x = random.integers(6, 14, 2)
    mask[2:6, y : y + 5, x : x + 5] = 1
    values[mask > 0] += effect if label else -effect
    found = []
    for array in (values, mask):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((1.0, 1.0, 7.0))
        found.append(image)
    return found[0], found[1]


def segmenter(root: Path, raw: Path, folds: list[list[str]], done: int | None = None) -> Path:
    """A model folder whose folds predicted their validation cases; `done` folds are finished."""
    model = root / "nnUNet_results" / NAME / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    model.mkdir(parents=True)
    (model / "plans.json").write_text(json.dumps({"dataset_name": NAME}))
    (model / "dataset.json").write_text((raw / "dataset.json").read_text())
    every = sorted(case for fold in folds for case in fold)
    splits = [{"train": [c for c in every if c not in fold], "val": fold} for fold in folds]
    preprocessed = root / "nnUNet_preprocessed" / NAME
    preprocessed.mkdir(parents=True)
    (preprocessed / "splits_final.json").write_text(json.dumps(splits))
    for number, fold in enumerate(folds[: len(folds) if done is None else done]):
        target = model / f"fold_{number}" / "validation"
        target.mkdir(parents=True)
        for case in fold:
            (target / f"{case}.nii.gz").write_bytes(
                (raw / "labelsTr" / f"{case}.nii.gz").read_bytes()
            )
    return model


def predictions(raw: Path, side: str = "Ts") -> Path:
    """Masks that are smaller than the references by a slice. Returns their folder."""
    folder = raw.parents[1] / f"predictions_{raw.name}_{side}"
    folder.mkdir()
    for file in (raw / f"labels{side}").glob("*.nii.gz"):
        mask = sitk.ReadImage(str(file))
        mask[:, :, 2] = 0
        sitk.WriteImage(mask, str(folder / file.name))
    return folder


def write_table(path: Path, labels: dict[str, int], splits: dict[str, str]) -> Path:
    """A CSV of cases, patients, labels and splits."""
    rows = [f"{case},P-{case},{label},{splits[case]}" for case, label in labels.items()]
    path.write_text("case,patient,label,split\n" + "\n".join(rows) + "\n")
    return path
