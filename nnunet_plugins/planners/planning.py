"""From a raw dataset to plans and preprocessed data, with nnU-Net's own functions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from nnunetv2.experiment_planning.plan_and_preprocess_api import (
    extract_fingerprint_dataset,
    preprocess_dataset,
)
from nnunetv2.utilities.dataset_name_id_conversion import maybe_convert_to_dataset_name
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

from dataset_conversion.raw_format.preprocessed import (
    drop_outdated_references,
    remember_source,
    source_digest,
)
from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import build
from nnunet_plugins.nnunet_folders import find_dataset, folder_of
from nnunet_plugins.planners.dataset_splits import check_splits
from nnunet_plugins.planners.inherited import Inherited, inherit
from nnunet_plugins.planners.network_planner import NetworkPlanner
from nnunet_plugins.planners.nnunet_planner import PLANNERS, memory_of, nnunet_planner
from nnunet_plugins.planners.presets import PRESETS
from nnunet_plugins.planners.request import CONFIGURATIONS, DEFAULT_GPU_MEMORY, check
from nnunet_plugins.planners.request import Request as Request
from nnunet_plugins.planners.resampling import write_resampling
from nnunet_plugins.planners.unfinished import (
    PlanRun,
    alone,
    is_unfinished,
    remove_leftovers,
    was_interrupted,
)
from nnunet_plugins.plans_file import MALFORMED, read_object
from nnunet_plugins.training.options import has_map
from nnunet_plugins.training.weight_maps.files import check_present, prepare_maps


def plan(request: Request) -> Path:
    """Extract the fingerprint, plan and preprocess; return the plans file.

    After an interrupted run, everything is made again.

    Raises:
        UserError: unknown dataset, network, preset or option; nnU-Net rejects the dataset; plans of that name
            exist, or another run is making them.
    """
    check(request)
    name, training = request.name(), request.procedure()
    dataset, inherited = _dataset(request.dataset), None
    if "pretrained" in training:
        training["pretrained"], inherited = inherit(training["pretrained"], trust=request.trust)
    target = folder_of("nnUNet_preprocessed") / dataset / f"{name}.json"
    if target.exists() and not request.force and not is_unfinished(target):
        raise UserError(
            f"{name}: plans of that name exist for {dataset}{_other_training(target, training)}; choose another name "
            "with -p, or pass --force to overwrite them and their preprocessed data"
        )
    with alone(target) as run:
        _plan(request, training, dataset, target, run, inherited)
    return target


def _other_training(plans: Path, training: dict[str, Any]) -> str:
    """Which entries of the training differ in existing plans, as an addition to a message; '' if none do."""
    found = read_object(plans).get("configurations", {}).values()
    there = [one.get("training", {}) for one in found if "inherits_from" not in one]
    keys = sorted({key for one in (training, *there) for key in one})
    differ = [k for k in keys if there and all(one.get(k) != training.get(k) for one in there)]
    return f", with other values of training.{', training.'.join(differ)}" if differ else ""


def interrupted(request: Request) -> bool:
    """Return whether an earlier run of these plans was interrupted, so that `plan` makes everything again."""
    try:
        dataset = _dataset(request.dataset)
    except UserError:  # `plan` reports it
        return False
    return was_interrupted(folder_of("nnUNet_preprocessed") / dataset / f"{request.name()}.json")


def _plan(
    request: Request,
    training: dict[str, Any],
    dataset: str,
    target: Path,
    run: PlanRun,
    inherited: Inherited | None,
) -> None:
    name, raw = request.name(), folder_of("nnUNet_raw") / dataset
    if run.earlier:
        remove_leftovers(target, CONFIGURATIONS)
    check_splits(raw / "splits_final.json", target.parent / "splits_final.json")
    identifier = int(dataset[7:10])
    try:
        extract_fingerprint_dataset(
            identifier, num_processes=request.processes, check_dataset_integrity=True, verbose=False
        )
    except (StopIteration, *MALFORMED) as error:  # StopIteration: without images
        reason = " ".join(str(error).split()) or "its check of files and labels failed"
        raise UserError(
            f"{dataset}: nnU-Net rejects the dataset: {reason}; see: nnunet-plugins check {identifier}"
        ) from error
    source = source_digest(raw)
    cases = list(get_filenames_of_train_images_and_targets(str(raw)))
    if has_map(training):
        check_present(raw, cases, read_object(raw / "dataset.json")["file_ending"])
    with _set_aside(target, run.earlier):
        planner = _planner(request, dataset, name, training, inherited)
        try:
            planned = planner.plan_experiment()["configurations"]
        except OverflowError as error:
            raise UserError(
                f"--gpu-memory {planner.UNet_vram_target_GB:g}: too little for any patch (or the images have "
                "fewer than 8 voxels along every axis)"
            ) from error
        chosen = [c for c in request.configurations if c in planned]
        if not chosen:
            option = f"-c {' '.join(request.configurations)}"
            if inherited is not None:
                raise UserError(
                    f"{option}: {inherited.source} is a checkpoint of a {inherited.rank}D network; pass "
                    f"-c {' '.join(planned)}"
                )
            if planner.ranks == (2,):
                raise UserError(f"{option}: {request.network} is 2D only; pass -c 2d")
            raise UserError(
                f"{option}: nnU-Net plans only {', '.join(planned)} for this dataset (3d_lowres needs images much "
                "larger than the patch); pass one of these"
            )
        _check_networks(request, planner, {c: planned[c] for c in chosen})
        if inherited is not None:
            for entry in (planned[c] for c in chosen):
                inherited.check(
                    request.network,
                    entry["architecture"],
                    entry["patch_size"],
                    planner.dataset_json,
                )
        write_resampling(target, request.resampling, raw / "labelsTr")
    run.preprocessing = True
    drop_outdated_references(raw, target.parent)
    preprocess_dataset(identifier, name, chosen, num_processes=[request.processes])
    for configuration in chosen:
        data = target.parent / planned[configuration]["data_identifier"]
        if data.is_dir():
            remember_source(data, source)
        if has_map(training):
            manager = PlansManager(str(target))
            prepare_maps(
                cases,
                raw=raw,
                data=data,
                plans=manager,
                configuration=manager.get_configuration(configuration),
                ending=planner.dataset_json["file_ending"],
            )


def _planner(
    request: Request,
    dataset: str,
    name: str,
    training: dict[str, Any],
    inherited: Inherited | None,
) -> Any:
    preset = PRESETS.get(request.preset or "")
    memory = request.gpu_memory or (preset.gpu_memory if preset else None)
    recipe = request.paper()
    shared: dict[str, Any] = {
        "network": request.network,
        "training": training,
        "base_features": preset.base_features if preset else None,
        "batch_size": request.batch_size or (recipe.batch_size if recipe else None),
        "plans_name": name,
    }
    if request.network in PLANNERS and inherited is None:
        memory = memory or memory_of(request.network)
        return nnunet_planner(dataset, gpu_memory_target_in_gb=memory, **shared)
    return NetworkPlanner(
        dataset,
        residual=request.residual(),
        topology=request.topology(),
        recipe=recipe,
        limited=request.gpu_memory is not None,
        inherited=inherited,
        options=request.options,
        gpu_memory_target_in_gb=memory or DEFAULT_GPU_MEMORY,
        **shared,
    )


def _check_networks(request: Request, planner: Any, planned: dict[str, dict[str, Any]]) -> None:
    """Build the planned networks without memory for their weights, to report errors before preprocessing."""
    dataset = planner.dataset_json
    channels = len(dataset.get("channel_names", dataset.get("modality")))  # "modality" before v2
    classes = len(dataset["labels"])
    for name, plan in planned.items():
        try:
            with torch.device("meta"):
                build(
                    request.network,
                    plan["architecture"],
                    channels,
                    classes,
                    True,
                    plan["patch_size"],
                )
        except UserError as error:
            raise _with_fix(request, name, error) from error


def _with_fix(request: Request, configuration: str, error: UserError) -> UserError:
    """``error``; if the memory leaves too small a patch for the paper's topology, with the fix."""
    topology = request.topology()
    if topology is None or request.gpu_memory is None:
        return error
    if not configuration.startswith(f"{topology.rank}d"):
        return error
    return UserError(
        f"--recipe {request.recipe}: the paper's topology does not fit the patch of {configuration} that "
        f"--gpu-memory {request.gpu_memory:g} allows ({error}); pass a larger one, or none for the paper's patch"
    )


@contextmanager
def _set_aside(plans: Path, unfinished: bool) -> Iterator[None]:
    """Keep nnU-Net from merging old plans into new ones; after a failure the old plans are restored.

    Args:
        plans: the plans file.
        unfinished: whether ``plans`` are those of an interrupted run, after which the old ones are still aside.
    """
    old = plans.with_suffix(".json.old")
    if plans.exists() and not (unfinished and old.exists()):
        os.replace(plans, old)
    plans.unlink(missing_ok=True)
    try:
        yield
    except BaseException:
        plans.unlink(missing_ok=True)
        if old.exists():
            os.replace(old, plans)
        raise
    old.unlink(missing_ok=True)


def _dataset(name_or_id: str) -> str:
    raw, _ = folder_of("nnUNet_raw"), folder_of("nnUNet_preprocessed")
    found = find_dataset(raw, name_or_id)
    try:
        return str(maybe_convert_to_dataset_name(int(found[7:10])))
    except RuntimeError as error:  # same id, other name in preprocessed or results
        raise UserError(f"dataset {name_or_id}: {error}") from error
