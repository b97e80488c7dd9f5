"""Topology, patch and batch of a checkpoint that a training starts with (``training.pretrained``)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from architectures.nnunet_networks import RESIDUAL_BLOCKS
from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import build
from nnunet_plugins.plans_file import with_architecture
from nnunet_plugins.training.fine_tuning.source import Source, read_source
from nnunet_plugins.training.fine_tuning.transfer import choose, differing

_NNSSL_BATCH = 2
_STAGES = 6
#: nnssl's networks whose arguments its checkpoints do not repeat (architecture_registry.py in nnssl) -> what of them
#: the networks here have: NoSkipResEncL has the encoder of ResEncL and a decoder without skip connections.
_NNSSL = {"ResEncL": ("encoder", "all_but_heads", "all"), "NoSkipResEncL": ("encoder",)}
#: Their arguments: nnU-Net's ResEncL for isotropic images.
_RESENC_L = {
    "n_stages": _STAGES,
    "features_per_stage": [32, 64, 128, 256, 320, 320],
    "conv_op": "torch.nn.modules.conv.Conv3d",
    "kernel_sizes": [[3, 3, 3]] * _STAGES,
    "strides": [[1, 1, 1], *[[2, 2, 2]] * (_STAGES - 1)],
    "n_blocks_per_stage": list(RESIDUAL_BLOCKS[:_STAGES]),
    "n_conv_per_stage_decoder": [1] * (_STAGES - 1),
    "conv_bias": True,
    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
    "norm_op_kwargs": {"eps": 1e-5, "affine": True},
    "dropout_op": None,
    "dropout_op_kwargs": None,
    "nonlin": "torch.nn.LeakyReLU",
    "nonlin_kwargs": {"inplace": True},
}
_IMPORTED = ("conv_op", "norm_op", "dropout_op", "nonlin")


@dataclass(frozen=True)
class Inherited:
    """What plans take over from a checkpoint.

    Attributes:
        source: the checkpoint.
        what: encoder, all_but_heads or all.
        arch_kwargs: arguments of the network.
        imported: names of those that are classes.
        patch: in voxels.
        batch: samples.
    """

    source: Source
    what: str
    arch_kwargs: dict[str, Any]
    imported: tuple[str, ...]
    patch: tuple[int, ...]
    batch: int

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.patch)

    def architecture(self) -> dict[str, Any]:
        """A new ``architecture`` entry without the name of the network."""
        return {
            "arch_kwargs": copy.deepcopy(self.arch_kwargs),
            "_kw_requires_import": list(self.imported),
        }

    def check(
        self, network: str, architecture: dict[str, Any], patch: Any, dataset: Mapping[str, Any]
    ) -> None:
        """Raise UserError unless the planned network takes over the weights.

        Args:
            network: its name.
            architecture: as planned.
            patch: as planned.
            dataset: content of dataset.json.
        """
        channels = len(dataset.get("channel_names", dataset.get("modality")))
        labels = LabelManager(dataset["labels"], dataset.get("regions_class_order"))
        with torch.device("meta"):
            mine, other = (
                build(network, architecture, n, labels.num_segmentation_heads, True, patch)
                for n in (channels, channels + 1)
            )
        choose(mine, self.source, self.what, reads_image=differing(mine, other), dataset=dataset)


def inherit(entry: Mapping[str, Any], *, trust: bool) -> tuple[dict[str, Any], Inherited]:
    """Read the checkpoint of a ``pretrained`` entry.

    Args:
        entry: as in the procedure.
        trust: read a pickle, which can run code of its author, and record that it is trusted.

    Returns:
        The entry with absolute path and digest, and what the plans take over.

    Raises:
        UserError: the checkpoint cannot be read, or its topology is not recorded.
    """
    path = Path(entry["source"]).expanduser().absolute()
    source = read_source({**entry, "source": str(path)}, trust=trust)
    recorded = {**entry, "source": str(path), "sha256": source.sha256}
    if trust:
        recorded["trusted"] = source.sha256
    what = entry.get("what", "all_but_heads")
    kwargs, imported, patch, batch = _of_nnssl(source, what) if source.nnssl else _of_plans(source)
    kwargs = {key: value for key, value in kwargs.items() if key != "input_size"}
    return recorded, Inherited(source, what, kwargs, tuple(imported), tuple(patch), batch)


def _of_plans(source: Source) -> tuple[dict[str, Any], Any, Any, int]:
    plan = with_architecture(source.configuration)
    try:
        architecture = plan["architecture"]
        kwargs, imported = architecture["arch_kwargs"], architecture["_kw_requires_import"]
        return kwargs, imported, plan["patch_size"], int(plan["batch_size"])
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{source}: the plans of its training are not recorded ({error} is missing); pass a checkpoint of "
            "nnU-Net v2 or nnssl"
        ) from error


def _of_nnssl(source: Source, what: str) -> tuple[dict[str, Any], Any, Any, int]:
    made, plans = (source.nnssl.get(key) or {} for key in ("architecture_plans", "pretrain_plan"))
    name = str(made.get("arch_class_name"))
    kwargs, imported = made.get("arch_kwargs"), made.get("arch_kwargs_requiring_import")
    who = f"{source}: nnssl checkpoint of the network {name}"
    if name.startswith("Primus"):
        raise UserError(
            f"{who}, a transformer whose weights no network here has; known: {', '.join(_NNSSL)}, and networks with "
            "nnU-Net's encoder whose arguments the checkpoint records"
        )
    if not kwargs and name not in _NNSSL:
        raise UserError(
            f"{who}, whose arguments it does not record; known without them: {', '.join(_NNSSL)}"
        )
    if not kwargs and what not in _NNSSL[name]:
        raise UserError(
            f'{who}, of which only the encoder can be loaded: set pretrained.what to "encoder", not {what!r}'
        )
    used: dict[str, Any] = next(iter(plans.get("configurations", {}).values()), {})
    patch = source.nnssl.get("recommended_downstream_patchsize") or used.get("patch_size")
    if not patch:
        raise UserError(f"{who}: it records no patch (recommended_downstream_patchsize)")
    return kwargs or _RESENC_L, imported or _IMPORTED, patch, _NNSSL_BATCH
