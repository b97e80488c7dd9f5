"""Networks: plan, and build from plans."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nnunet_plugins.api.arguments import StrPath, several
from nnunet_plugins.errors import UserError

if TYPE_CHECKING:
    from torch import nn


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
        configurations=tuple(several(configurations)),
        processes=_default_processes() if processes is None else processes,
        force=force,
        resampling=resampling,
        options=dict(arch_kwargs or {}),
        trust=trust,
    )
    # nnU-Net prints every step of its search; progress bars go to stderr.
    with contextlib.redirect_stdout(sys.stdout if verbose else io.StringIO()):
        return planning.plan(request)


def _default_processes() -> int:
    value = os.environ.get("nnUNet_def_n_proc", str(min(8, os.cpu_count() or 1)))
    if not value.isdigit():
        raise UserError(f"nnUNet_def_n_proc is {value!r}; expected an integer of 1 or more")
    return int(value)


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
