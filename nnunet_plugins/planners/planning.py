"""From a raw dataset to plans and preprocessed data, through nnU-Net's own functions."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunetv2.experiment_planning.plan_and_preprocess_api import (
    extract_fingerprint_dataset,
    preprocess_dataset,
)
from nnunetv2.paths import nnUNet_preprocessed, nnUNet_raw
from nnunetv2.utilities.dataset_name_id_conversion import maybe_convert_to_dataset_name

from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import find
from nnunet_plugins.planners.network_planner import NetworkPlanner
from nnunet_plugins.planners.presets import PRESETS
from nnunet_plugins.procedure import PAPER_BATCH_SIZE, PAPER_RECIPES, read_procedure

CONFIGURATIONS = ("2d", "3d_fullres", "3d_lowres")
DEFAULT_GPU_MEMORY = 8.0  # GB, nnU-Net's own default


@dataclass(frozen=True)
class Request:
    """What a user asks of ``plan``.

    Attributes:
        dataset: id or name of a dataset in nnUNet_raw.
        network: name of a network of ours.
        plans_name: name of the plans file; None derives it from network, preset and recipe.
        recipe: 'native' (nnU-Net's procedure) or 'paper'.
        preset: name in PRESETS, or None.
        gpu_memory: memory target in GB; None is the preset's, or 8.
        batch_size: None lets nnU-Net decide.
        training: entries that win over recipe and preset.
        configurations: what to preprocess.
        processes: worker processes.
        force: write over plans of the same name.
    """

    dataset: str
    network: str
    plans_name: str | None = None
    recipe: str = "native"
    preset: str | None = None
    gpu_memory: float | None = None
    batch_size: int | None = None
    training: dict[str, Any] = field(default_factory=dict)
    configurations: tuple[str, ...] = CONFIGURATIONS
    processes: int = 1
    force: bool = False

    def name(self) -> str:
        """Name of the plans: network, then preset, recipe and memory target where they are not the default."""
        if self.plans_name:
            return self.plans_name
        parts = [self.network, "Plans"]
        parts += [self.preset.upper()] if self.preset else []
        parts += ["Paper"] if self.recipe == "paper" else []
        parts += [f"_{self.gpu_memory:g}G"] if self.gpu_memory is not None else []
        return "".join(parts)

    def procedure(self) -> dict[str, Any]:
        """The training entry: recipe, then preset, then what the user named."""
        entry: dict[str, Any] = {}
        if self.recipe == "paper":
            if self.network not in PAPER_RECIPES:
                raise UserError(
                    f"--recipe paper: no paper's recipe for {self.network}; there is one for "
                    f"{', '.join(PAPER_RECIPES)}"
                )
            entry |= PAPER_RECIPES[self.network]
        if self.preset:
            entry |= PRESETS[self.preset].training
        return read_procedure({"training": entry | self.training})


def plan(request: Request) -> Path:
    """Extract the fingerprint, plan and preprocess; returns the plans file.

    Raises:
        UserError: unknown dataset, network, preset or option; a dataset that nnU-Net refuses; plans of that
            name exist.
    """
    _check(request)
    name, training = request.name(), request.procedure()
    dataset = _dataset(request.dataset)
    target = Path(os.fspath(nnUNet_preprocessed)) / dataset / f"{name}.json"
    if target.exists() and not request.force:
        raise UserError(
            f"{name}: plans of that name exist for {dataset}; choose another name with -p, or pass --force "
            "to write over them and over their preprocessed data"
        )
    _check_splits(
        Path(os.fspath(nnUNet_raw)) / dataset / "splits_final.json",
        target.parent / "splits_final.json",
    )
    identifier = int(dataset[7:10])
    try:
        extract_fingerprint_dataset(
            identifier, num_processes=request.processes, check_dataset_integrity=True, verbose=False
        )
    except (AssertionError, RuntimeError) as error:
        raise UserError(
            f"{dataset}: nnU-Net refuses the dataset: {error or 'its check of files and labels failed'}"
        ) from error
    with _set_aside(target):
        planner = _planner(request, dataset, name, training)
        try:
            planned = planner.plan_experiment()["configurations"]
        except OverflowError as error:  # nnU-Net's estimate of batch and patch
            raise UserError(
                f"--gpu-memory {planner.UNet_vram_target_GB:g}: too little for any patch"
            ) from error
        wanted = [c for c in request.configurations if c in planned]
        if not wanted:
            raise UserError(
                f"-c {' '.join(request.configurations)}: nnU-Net plans only {', '.join(planned)} for this "
                "dataset (3d_lowres needs images much larger than the patch); pass one of these"
            )
    preprocess_dataset(identifier, name, wanted, num_processes=[request.processes])
    return target


def _planner(request: Request, dataset: str, name: str, training: dict[str, Any]) -> NetworkPlanner:
    preset = PRESETS.get(request.preset or "")
    memory = request.gpu_memory or (preset.gpu_memory if preset else DEFAULT_GPU_MEMORY)
    return NetworkPlanner(
        dataset,
        network=request.network,
        training=training,
        base_features=preset.base_features if preset else None,
        batch_size=request.batch_size or (PAPER_BATCH_SIZE if request.recipe == "paper" else None),
        gpu_memory_target_in_gb=memory,
        plans_name=name,
    )


@contextmanager
def _set_aside(plans: Path) -> Iterator[None]:
    """Keep nnU-Net from merging old plans into new ones; a failure brings the old ones back."""
    old = plans.with_suffix(".json.old")
    if plans.exists():
        os.replace(plans, old)
    try:
        yield
    except BaseException:
        if old.exists():
            os.replace(old, plans)
        raise
    old.unlink(missing_ok=True)


def _check(request: Request) -> None:
    """Everything that can be said before the dataset is looked at."""
    find(request.network)
    if request.preset and request.preset not in PRESETS:
        raise UserError(f"--preset {request.preset}: known: {', '.join(PRESETS)}")
    if request.gpu_memory is not None and not 0 < request.gpu_memory < float("inf"):
        raise UserError(f"--gpu-memory {request.gpu_memory:g}: a number of GB above 0 is wanted")
    for option, number in (("--batch-size", request.batch_size), ("-np", request.processes)):
        if number is not None and number < 1:
            raise UserError(f"{option} {number}: a whole number of 1 or more is wanted")
    unknown = sorted(set(request.configurations) - set(CONFIGURATIONS))
    if unknown:
        raise UserError(f"-c {' '.join(unknown)}: can preprocess {', '.join(CONFIGURATIONS)}")
    name = request.name()
    if name in ("dataset", "dataset_fingerprint", "splits_final"):
        raise UserError(f"plans name {name!r}: nnU-Net keeps a file of that name; choose another")
    if "__" in name or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise UserError(
            f"plans name {name!r}: letters, digits, '.', '-' and single '_' only (nnU-Net splits at '__')"
        )


def _dataset(name_or_id: str) -> str:
    for variable, path in (
        ("nnUNet_raw", nnUNet_raw),
        ("nnUNet_preprocessed", nnUNet_preprocessed),
    ):
        if not path.is_set():
            raise UserError(
                f'{variable} is not set; run eval "$(nnunet-plugins env --root FOLDER)" in this shell first'
            )
    raw = Path(os.fspath(nnUNet_raw))
    known = sorted(p.name for p in raw.glob("Dataset[0-9][0-9][0-9]_*")) if raw.is_dir() else []
    wanted = str(name_or_id)
    found = [d for d in known if d == wanted or (wanted.isdigit() and int(d[7:10]) == int(wanted))]
    if len(found) != 1:
        raise UserError(
            f"dataset {wanted}: {len(found)} folders in {raw} match; there are: {', '.join(known) or 'none'}"
        )
    try:
        return str(maybe_convert_to_dataset_name(int(found[0][7:10])))
    except RuntimeError as error:  # the same id under another name in preprocessed or results
        raise UserError(f"dataset {wanted}: {error}") from error


def _check_splits(raw: Path, preprocessed: Path) -> None:
    # nnU-Net dies on a bare AssertionError here.
    if not raw.exists() or not preprocessed.exists():
        return
    ours, theirs = (
        [{part: set(cases) for part, cases in fold.items()} for fold in json.loads(p.read_text())]
        for p in (raw, preprocessed)
    )
    if ours != theirs[: len(ours)]:
        raise UserError(
            f"{preprocessed}: holds other folds than the dataset's {raw.name} (the cases have changed since, "
            "or the folds were made elsewhere); move it away to plan with the dataset's folds"
        )
