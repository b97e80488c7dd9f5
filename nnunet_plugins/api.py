"""The Python API: what the commands do, as functions. Import them from `nnunet_plugins`.

Arguments are named after the long options of the commands. Every function imports what it needs when it is
called, so that `import nnunet_plugins` stays light. Lengths are in mm and memory is in GB unless stated otherwise.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nnunet_plugins.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from dataset_conversion.checks.dataset import CheckReport
    from dataset_conversion.raw_format.summary import Report
    from nnunet_plugins.comparison.compare import Comparison

StrPath = str | os.PathLike[str]
Progress = Callable[[Any], Iterable[Any]]


def convert(
    source_format: str,
    source: StrPath,
    dataset_id: int | None = None,
    *,
    name: str | None = None,
    raw_root: StrPath | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Report:
    """Convert a dataset to nnU-Net's raw format, as `nnunet-plugins convert` does.

    Args:
        source_format: a name in `dataset_conversion.datasets.registry.CONVERTERS`, e.g. ``hospital-ct``.
        source: folder of the dataset as it was downloaded or exported.
        dataset_id: nnU-Net's dataset id, 1 to 999; not used with ``images_only=True``.
        name: dataset name; the converter's default without one.
        raw_root: where ``Dataset<id>_<name>`` is written; nnUNet_raw by default. With ``images_only=True``, the new
            folder for the images, as ``nnUNetv2_predict -i`` takes it.
        progress: wraps the list of sources, then the list of cases, e.g. ``tqdm.tqdm``.
        options: options of the dataset, named as on the command line with underscores, e.g.
            ``labels="labels.json"``, ``split="5-fold"``, ``jobs=4``, ``dry_run=True``, or
            ``images_only=True, model="MODEL_FOLDER"``.

    Returns:
        A report whose text is what the command prints; `problems` lists the cases that were left out.

    Raises:
        UserError: unknown format or option, or nnUNet_raw is not set.
        DatasetError: a value of an option is not allowed, or the source cannot be converted; the message names
            the option or file, the cause and the fix.

    >>> convert("hospital", ".", 660)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nnunet_plugins.errors.UserError: convert: unknown format 'hospital'; allowed: spider, csig, hospital-ct, ...
    """
    from dataset_conversion.datasets.options import checked, declared
    from dataset_conversion.datasets.registry import CONVERTERS, converter
    from dataset_conversion.raw_format.preprocessed import outdated_note

    if source_format not in CONVERTERS:
        raise UserError(
            f"convert: unknown format {source_format!r}; allowed: {', '.join(CONVERTERS)}"
        )
    root = raw_root or os.environ.get("nnUNet_raw")
    if options.get("images_only") and (not raw_root or _is_raw_root(raw_root)):
        raise UserError("convert: --images-only needs -o DIR, a new folder for the images")
    if not root:
        raise UserError(
            'nnUNet_raw is not set; pass -o DIR, or run eval "$(nnunet-plugins env --root FOLDER)" first'
        )
    found = converter(source_format)
    known = [field for field, *_ in declared(found.options)]
    if unknown := sorted(set(options) - set(known)):
        raise UserError(
            f"convert: {source_format} has no option {unknown[0]!r}; allowed: {', '.join(known)}"
        )
    chosen = found.options(**checked(found.options, options))
    report = found.convert(Path(source), Path(root), dataset_id, name, chosen, progress)
    preprocessed = os.environ.get("nnUNet_preprocessed")
    if not preprocessed or report.dry_run or options.get("images_only"):
        return report
    outdated = outdated_note(report.dataset, Path(preprocessed) / report.dataset.name)
    return replace(report, notes=[*report.notes, outdated]) if outdated else report


def _is_raw_root(folder: StrPath) -> bool:
    raw = os.environ.get("nnUNet_raw")
    return bool(raw) and Path(folder).resolve() == Path(str(raw)).resolve()


def check(
    dataset: int | StrPath,
    *,
    jobs: int = 1,
    allow_empty: bool = False,
    progress: Progress | None = None,
) -> CheckReport:
    """Check the files, geometry, labels and splits of a raw dataset, as `nnunet-plugins check` does.

    Args:
        dataset: id of a dataset in nnUNet_raw, or its folder.
        jobs: number of cases that are checked at a time.
        allow_empty: accept masks without a label.
        progress: wraps the list of cases, e.g. ``tqdm.tqdm``.

    Returns:
        A report whose text is what the command prints; `errors` counts what stops nnU-Net.

    Raises:
        UserError: no dataset, or several datasets, of this id.
        DatasetError: the folder is not a dataset.
    """
    from dataset_conversion.checks.dataset import check as check_folder
    from dataset_conversion.parallel import Run

    Run(jobs=jobs)  # checks the number
    preprocessed = os.environ.get("nnUNet_preprocessed")
    return check_folder(
        _raw_folder(str(dataset)),
        jobs=jobs,
        allow_empty=allow_empty,
        preprocessed=Path(preprocessed) if preprocessed else None,
        progress=progress,
    )


def _raw_folder(dataset: str) -> Path:
    if not dataset.isdigit() or Path(dataset).is_dir():
        return Path(dataset)
    root = os.environ.get("nnUNet_raw")
    if not root:
        raise UserError(f"dataset {dataset}: nnUNet_raw is not set; give the folder instead")
    found = sorted(Path(root).glob(f"Dataset{int(dataset):03d}_*"))
    if len(found) != 1:
        raise UserError(
            f"dataset {dataset}: {len(found)} folders of this id in {root}; give the folder"
        )
    return found[0]


def plan(
    dataset: int | str,
    network: str,
    *,
    plans_name: str | None = None,
    configurations: Sequence[str] = ("2d", "3d_fullres", "3d_lowres"),
    processes: int | None = None,
    gpu_memory: float | None = None,
    batch_size: int | None = None,
    preset: str | None = None,
    encoder: Literal["plain", "residual"] | None = None,
    recipe: Literal["native", "paper", "printed"] = "native",
    training: Mapping[str, Any] | None = None,
    resampling: Literal["nnunet", "torch", "auto"] = "nnunet",
    arch_kwargs: Mapping[str, Any] | None = None,
    trust: bool = False,
    force: bool = False,
    verbose: bool = False,
) -> Path:
    """Plan and preprocess a dataset for a network, as `nnunet-plugins plan` does.

    Args:
        dataset: id or name of a dataset in nnUNet_raw.
        network: name of a network, e.g. ``MAGUNet``; `nnunet-plugins networks` lists them.
        plans_name: name of the plans; derived from network, preset and recipe without one.
        configurations: what is preprocessed; names that nnU-Net does not plan are skipped.
        processes: worker processes; nnUNet_def_n_proc, or the number of cores up to 8, without one.
        gpu_memory: memory target in GB; the preset's, or 8, without one.
        batch_size: fixes the batch size.
        preset: ``cpu``, ``M``, ``L`` or ``XL``.
        encoder: nnU-Net's plain or residual encoder; the preset's, or plain, without one.
        recipe: the experiment of nnU-Net (native) or of the network's paper; printed: as its text has it, where the
            authors' code differs.
        training: entries of the training procedure, e.g. ``{"epochs": 50, "initial_lr": 0.001}``.
        resampling: nnU-Net's default functions, its own with torch, or (auto) torch for label maps and logits where
            it agrees with the default within 1e-3 of the labelled voxels.
        arch_kwargs: further arguments of the network, e.g. ``{"size": "L"}`` for MedNeXt.
        trust: also reads a checkpoint of ``training["pretrained"]`` that is a pickle, which can run code.
        force: overwrites plans of the same name and their preprocessed data.
        verbose: shows what nnU-Net prints.

    Returns:
        The plans file that was written, ``nnUNet_preprocessed/Dataset.../NAME.json``.

    Raises:
        UserError: unknown dataset, network, preset or option, plans of that name exist, or nnU-Net rejects
            the dataset.
    """
    from nnunet_plugins.planners import planning

    if training is not None and not isinstance(training, Mapping):
        raise UserError(
            f'training={training!r}: expected a mapping of names to values, e.g. {{"epochs": 50}}'
        )
    request = planning.Request(
        dataset=str(dataset),
        network=network,
        plans_name=plans_name,
        recipe=recipe,
        preset=preset,
        gpu_memory=gpu_memory,
        encoder=encoder,
        batch_size=batch_size,
        training=dict(training or {}),
        configurations=tuple(_several(configurations)),
        processes=_default_processes() if processes is None else processes,
        force=force,
        resampling=resampling,
        options=dict(arch_kwargs or {}),
        trust=trust,
    )
    # nnU-Net prints every step of its search; progress bars go to stderr.
    with contextlib.redirect_stdout(sys.stdout if verbose else io.StringIO()):
        return planning.plan(request)


def _several(values: Any) -> list[Any]:
    """The values as a list; a single text, number or path is one value, not a sequence of characters."""
    return [values] if isinstance(values, str | int | os.PathLike) else list(values)


def _default_processes() -> int:
    value = os.environ.get("nnUNet_def_n_proc", str(min(8, os.cpu_count() or 1)))
    if not value.isdigit():
        raise UserError(f"nnUNet_def_n_proc is {value!r}; expected an integer of 1 or more")
    return int(value)


def compare(
    runs: Sequence[StrPath],
    *,
    reference: StrPath | None = None,
    fold: Sequence[int | str] | None = None,
    metrics: Sequence[str] | None = None,
    common: bool = False,
    strict: bool = False,
    tolerance: float | str | Mapping[str, float] | Sequence[float | str] = 2.0,
    pixels: bool = False,
    seed: int = 0,
    groups: StrPath | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Comparison:
    """Compare runs on the same cases with the first of them, as `nnunet-plugins compare` does.

    Args:
        runs: each a scores file of `evaluate`, a folder of predictions or a model folder of nnU-Net;
            ``"NAME=PATH"`` names it.
        reference: folder of the reference label maps, for runs that are not scored yet; model folders find
            theirs where nnU-Net keeps them.
        fold: folds of model folders; all without one.
        metrics: names such as ``dice`` or ``hd95_mm``; these two without any. Those that `evaluate` measures on
            request only, e.g. ``nsd_area``, are measured for runs that are scored here.
        common: compares on the cases that all runs have.
        strict: raises an error where the comparison is not fair.
        tolerance: tolerance of the normalised surface Dice in mm, or ``{"sacrum": 2, "default": 1}``.
        pixels: measures distances in voxels as well.
        seed: seed of the bootstrap.
        groups: CSV file of cases and their patients: intervals and tests are by patient.
        jobs: processes that score cases; above 1, a script must call this under
            ``if __name__ == "__main__":``.
        progress: wraps the list of cases that are scored, e.g. ``tqdm.tqdm``.

    Returns:
        Means, confidence intervals and paired tests per metric and label, and what makes runs differ.

    Raises:
        UserError: runs that cannot be read or compared, an unknown metric, or an unfair comparison under
            ``strict``.
    """
    from nnunet_plugins.comparison.compare import compare as compare_runs
    from nnunet_plugins.comparison.runs import Options, load
    from nnunet_plugins.comparison.tables import warnings_of
    from nnunet_plugins.evaluation.measuring import more_of

    names = None if metrics is None else _several(metrics)
    options = Options(
        None if reference is None else Path(reference),
        None if fold is None else [str(one) for one in _several(fold)],
        None if groups is None else Path(groups),
        tolerance=tolerance,
        pixels=pixels,
        jobs=jobs,
        progress=progress,
        metrics=more_of(tuple(names or ())),
    )
    loaded = load([os.fspath(run) for run in _several(runs)], options)
    found = compare_runs(loaded, names, common=common, seed=seed)
    if strict and (warnings := warnings_of(found)):
        raise UserError("; ".join(warnings))
    return found


def build_network(
    network: str,
    plans: StrPath | Mapping[str, Any],
    configuration: str,
    input_channels: int,
    num_classes: int,
    *,
    deep_supervision: bool = False,
) -> nn.Module:
    r"""Build the network that a plans configuration describes, with freshly initialised weights.

    Plans of nnU-Net's own U-Nets give ``network`` with their topology, as our trainers do.

    Args:
        network: name of a network, e.g. ``MAGUNet``.
        plans: a plans file, or its content.
        configuration: e.g. ``3d_fullres``.
        input_channels: channels of the image.
        num_classes: channels of the logits, background included.
        deep_supervision: returns a list of logits, largest first, instead of the largest alone.

    Returns:
        A module from an image (B, input_channels, \*S) to logits (B, num_classes, \*S).

    Raises:
        UserError: unknown network or configuration, plans for another of our networks, or plans that cannot be
            read or built.

    >>> import torch
    >>> architecture = {
    ...     "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    ...     "arch_kwargs": {
    ...         "n_stages": 2, "features_per_stage": [4, 8], "conv_op": "torch.nn.Conv2d",
    ...         "kernel_sizes": [[3, 3], [3, 3]], "strides": [[1, 1], [2, 2]], "n_conv_per_stage": [1, 1],
    ...         "n_conv_per_stage_decoder": [1], "conv_bias": True, "norm_op": "torch.nn.InstanceNorm2d",
    ...         "norm_op_kwargs": {}, "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {},
    ...     },
    ...     "_kw_requires_import": ["conv_op", "norm_op", "nonlin"],
    ... }
    >>> two_d = {"patch_size": [32, 32], "batch_size": 2, "architecture": architecture}
    >>> plans = {"plans_name": "nnUNetPlans", "configurations": {"2d": two_d}}
    >>> network = build_network("UNet", plans, "2d", input_channels=1, num_classes=3)
    >>> network(torch.zeros(1, 1, 32, 32)).shape
    torch.Size([1, 3, 32, 32])
    """
    from nnunet_plugins.networks import NETWORKS, build, public_name
    from nnunet_plugins.plans_file import check_plans, read_object, resolve

    if isinstance(plans, Mapping):
        where, content = "plans", dict(plans)
    else:
        where, content = os.fspath(plans), read_object(Path(plans))
    entry = resolve(check_plans(content, where), configuration)
    if "architecture" not in entry:
        known = ", ".join(content["configurations"])
        raise UserError(
            f"{where}: no configuration {configuration!r} with a network; allowed: {known}"
        )
    planned = entry["architecture"].get("network_class_name", "")
    if planned in map(public_name, NETWORKS) and planned != public_name(network):
        raise UserError(
            f"{where}: {configuration} is planned for {planned}, not for {network}; pass the planned network, or "
            f"plan again with --network {network}"
        )
    return build(
        network,
        entry["architecture"],
        input_channels,
        num_classes,
        deep_supervision,
        entry["patch_size"],
    )
