"""Tiny datasets in nnU-Net's own folders, planned and preprocessed in one process, and short trainings."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch

LABELS: dict[str, dict[str, Any]] = {
    "labels": {"labels": {"background": 0, "bone": 1, "disc": 2}},
    "regions": {
        "labels": {"background": 0, "spine": [1, 2], "disc": 2},
        "regions_class_order": [1, 2],
    },
    "ignore": {"labels": {"background": 0, "bone": 1, "disc": 2, "ignore": 3}},
    "both": {
        "labels": {"background": 0, "spine": [1, 2], "disc": 2, "ignore": 3},
        "regions_class_order": [1, 2],
    },
    "sides": {"labels": {"background": 0, "hip_left": 1, "hip_right": 2}},
}
CASES = 5


@dataclass(frozen=True)
class Tiny:
    """A planned and preprocessed dataset."""

    name: str
    plans: str
    raw: Path
    preprocessed: Path


def volume(
    rng: np.random.Generator, shape: tuple[int, int, int], kind: str
) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright bar (1) and a brighter one (2); for sides: two equal bars, left at higher x."""
    labels = np.zeros(shape, np.uint8)
    z, y, x = shape
    labels[z // 4 : -z // 4, y // 4 : -y // 4, x // 8 : x // 4] = 2
    labels[z // 4 : -z // 4, y // 4 : -y // 4, -x // 4 : -x // 8] = 1
    bright = (labels > 0) * 4.0 if kind == "sides" else labels * 2.0
    image = bright + rng.normal(size=shape)
    if kind in ("ignore", "both"):
        labels[0] = 3
    return image.astype(np.float32), labels


def make(
    kind: str,
    identifier: int,
    *,
    network: str = "MAGUNet",
    shape: tuple[int, int, int] = (16, 32, 32),
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    training: dict[str, Any] | None = None,
    cascade: bool = False,
) -> Tiny:
    """Write, fingerprint, plan (with our planner) and preprocess, without a process pool.

    Plans of the same network, shape and spacing are computed once per session.

    Args:
        kind: key of LABELS.
        identifier: dataset id, unique in the test session.
        network: network that the plans name.
        shape: voxels (z, y, x) of each case.
        spacing: mm (z, y, x).
        training: the plans' training entry.
        cascade: add 3d_lowres and 3d_cascade_fullres.
    """
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    name, dataset = write_raw(kind, identifier, shape, spacing)
    raw, preprocessed = (Path(os.environ[v]) / name for v in ("nnUNet_raw", "nnUNet_preprocessed"))
    write_fingerprint(preprocessed, shape, spacing)
    cases = [f"case{i}" for i in range(CASES)]
    plans = planned(name, network, shape, spacing)
    for file in ("dataset.json", "splits_final.json"):  # as nnU-Net's planner does
        shutil.copy(raw / file, preprocessed / file)
    if training:
        for configuration in plans["configurations"].values():
            configuration["training"] = training
    if cascade:
        add_cascade(plans)
    (preprocessed / "TinyPlans.json").write_text(json.dumps(plans))
    manager = PlansManager(str(preprocessed / "TinyPlans.json"))
    for configuration in ["2d", "3d_fullres", *(["3d_lowres"] if cascade else [])]:
        preprocess(manager, configuration, raw, preprocessed, cases, dataset)
    return Tiny(name, "TinyPlans", raw, preprocessed)


_PLANNED: dict[tuple[Any, ...], str] = {}


def planned(
    dataset: str, network: str, shape: tuple[int, ...], spacing: tuple[float, ...]
) -> dict[str, Any]:
    """Plans of a raw dataset with a fingerprint; labels and classes do not affect them at this size."""
    from nnunet_plugins.planners.network_planner import NetworkPlanner

    key = (network, shape, spacing)
    if key not in _PLANNED:
        planner = NetworkPlanner(
            dataset,
            network=network,
            training={},
            base_features=4,
            batch_size=2,
            plans_name="TinyPlans",
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("nnUNet_n_proc_DA", "1")  # planning fails with 0
            planner.plan_experiment()
        folder = Path(os.environ["nnUNet_preprocessed"]) / dataset
        _PLANNED[key] = (folder / "TinyPlans.json").read_text()
    return json.loads(_PLANNED[key]) | {"dataset_name": dataset}


def replanned(
    data: Tiny, plans: str, *, network: str | None = None, training: dict[str, Any] | None = None
) -> Tiny:
    """The same preprocessed data with other plans: another network or training procedure."""
    content = json.loads((data.preprocessed / f"{data.plans}.json").read_text())
    for configuration in content["configurations"].values():
        if network is not None:
            name = f"nnunet_plugins.networks.{network}"
            configuration["architecture"]["network_class_name"] = name
        if training is not None:
            configuration["training"] = training
    (data.preprocessed / f"{plans}.json").write_text(json.dumps(content | {"plans_name": plans}))
    return replace(data, plans=plans)


def write_raw(
    kind: str,
    identifier: int,
    shape: tuple[int, int, int] = (16, 32, 32),
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> tuple[str, dict[str, Any]]:
    """Raw dataset of five cases with two folds; returns its name and dataset.json."""
    name = f"Dataset{identifier:03d}_Tiny"
    raw = Path(os.environ["nnUNet_raw"]) / name
    for folder in ("imagesTr", "labelsTr"):
        (raw / folder).mkdir(parents=True)
    rng = np.random.default_rng(identifier)
    cases = [f"case{i}" for i in range(CASES)]
    for case in cases:
        for array, path in zip(
            volume(rng, shape, kind), (f"imagesTr/{case}_0000", f"labelsTr/{case}"), strict=True
        ):
            image = sitk.GetImageFromArray(array)
            image.SetSpacing(spacing[::-1])
            sitk.WriteImage(image, str(raw / f"{path}.nii.gz"))
    dataset = {
        "channel_names": {"0": "MRI"},
        "numTraining": CASES,
        "file_ending": ".nii.gz",
        **LABELS[kind],
    }
    if kind == "sides":
        dataset["nnunet_plugins"] = {
            "left_right_axis": 2,
            "sided_labels": ["hip_left", "hip_right"],
        }
    (raw / "dataset.json").write_text(json.dumps(dataset))
    (raw / "splits_final.json").write_text(
        json.dumps(
            [{"train": cases[:-1], "val": cases[-1:]}, {"train": cases[1:], "val": cases[:1]}]
        )
    )
    return name, dataset


def write_fingerprint(
    preprocessed: Path, shape: tuple[int, int, int], spacing: tuple[float, float, float]
) -> None:
    """The file of nnU-Net's extractor, which would start a pool and sample 1e8 voxels."""
    statistics = ("mean", "std", "median", "min", "max", "percentile_00_5", "percentile_99_5")
    preprocessed.mkdir(parents=True, exist_ok=True)
    (preprocessed / "dataset_fingerprint.json").write_text(
        json.dumps(
            {
                "spacings": [list(spacing)] * CASES,
                "shapes_after_crop": [list(shape)] * CASES,
                "foreground_intensity_properties_per_channel": {
                    "0": dict.fromkeys(statistics, 1.0)
                },
                "median_relative_size_after_cropping": 1.0,
            }
        )
    )


def add_cascade(plans: dict[str, Any]) -> None:
    """Add a low-resolution stage at twice the spacing, and the cascade that refines it."""
    fine = plans["configurations"]["3d_fullres"]
    coarse = json.loads(json.dumps(fine))
    coarse["spacing"] = [2 * s for s in fine["spacing"]]
    coarse["data_identifier"] = "TinyPlans_3d_lowres"
    coarse["next_stage"] = "3d_cascade_fullres"
    plans["configurations"]["3d_lowres"] = coarse
    plans["configurations"]["3d_cascade_fullres"] = {
        "inherits_from": "3d_fullres",
        "previous_stage": "3d_lowres",
    }


def preprocess(
    manager: Any, configuration: str, raw: Path, preprocessed: Path, cases: list[str], dataset: dict
) -> None:
    """nnU-Net's preprocessing, case by case."""
    settings = manager.get_configuration(configuration)
    folder = preprocessed / settings.data_identifier
    folder.mkdir(exist_ok=True)
    worker = settings.preprocessor_class(verbose=False)
    for case in cases:
        worker.run_case_save(
            str(folder / case), [str(raw / "imagesTr" / f"{case}_0000.nii.gz")],
            str(raw / "labelsTr" / f"{case}.nii.gz"), manager, settings, dataset,
        )  # fmt: skip
    truth = preprocessed / "gt_segmentations"
    truth.mkdir(exist_ok=True)
    for case in cases:
        (truth / f"{case}.nii.gz").write_bytes((raw / "labelsTr" / f"{case}.nii.gz").read_bytes())


def train(
    tiny: Tiny,
    configuration: str,
    trainer: str = "MAGUNetTrainer",
    fold: int | str = 0,
    **more: Any,
) -> Path:
    """``nnUNetv2_train``'s function on the CPU; returns the model folder."""
    from nnunetv2.run.run_training import run_training

    run_training(
        tiny.name,
        configuration,
        fold,
        trainer,
        more.pop("plans", tiny.plans),
        device=torch.device("cpu"),
        **more,
    )
    return model_folder(tiny, configuration, trainer)


def trainer_of(tiny: Tiny, configuration: str, trainer: str = "MAGUNetTrainer") -> Any:
    """A trainer as ``nnUNetv2_train`` creates it, not yet initialised."""
    from nnunetv2.run.run_training import get_trainer_from_args

    return get_trainer_from_args(
        tiny.name, configuration, 0, trainer, tiny.plans, device=torch.device("cpu")
    )


def untrained(tiny: Tiny, configuration: str, name: str) -> Path:
    """A model folder with random weights."""
    trainer = trainer_of(tiny, configuration, name)
    trainer.initialize()
    trainer.save_checkpoint(str(Path(trainer.output_folder) / "checkpoint_final.pth"))
    folder = Path(trainer.output_folder_base)
    (folder / "plans.json").write_text(json.dumps(trainer.plans_manager.plans))
    (folder / "dataset.json").write_text(json.dumps(trainer.dataset_json))
    return folder


def model_folder(
    tiny: Tiny, configuration: str, trainer: str = "MAGUNetTrainer", plans: str = "TinyPlans"
) -> Path:
    return Path(os.environ["nnUNet_results"]) / tiny.name / f"{trainer}__{plans}__{configuration}"


def predict(model: Path, tiny: Tiny, output: Path, fold: int | str = 0, **more: Any) -> np.ndarray:
    """Predict the first case with the predictor's sequential form; returns the label map."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(
        device=torch.device("cpu"), perform_everything_on_device=False, allow_tqdm=False
    )
    predictor.initialize_from_trained_model_folder(str(model), (fold,))
    output.mkdir(parents=True, exist_ok=True)
    predictor.predict_from_files_sequential(
        [[str(tiny.raw / "imagesTr" / "case0_0000.nii.gz")]], [str(output / "case0")], **more
    )
    return sitk.GetArrayFromImage(sitk.ReadImage(str(output / "case0.nii.gz")))
