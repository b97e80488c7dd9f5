"""A topology that a paper prints, as plans data, and its size. Only :func:`count` imports torch."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Topology:
    """One network of one paper, as a plans configuration would hold it.

    Attributes:
        name: as in the table of the paper.
        network: name of the network in this package.
        arch_kwargs: arguments of the network in the plans.
        published: printed counts: 'total'; where the paper separates them also 'trainable' and 'non_trainable'
            (running statistics of the normalisations), of which the total is the sum.
        note: why the counts differ; how the open points of the paper were read.
        paper: key of the paper.
        source: the table, or 'code' if only the authors' code states it.
        configuration: '2d' or '3d_fullres'.
        input_channels: of the paper's images.
        classes: background included.
        patch: input size of the paper, in voxels.
    """

    name: str
    network: str
    arch_kwargs: dict[str, Any]
    published: dict[str, int]
    note: str = ""
    paper: str = field(kw_only=True)
    source: str = field(kw_only=True)
    configuration: str = field(kw_only=True)
    input_channels: int = field(kw_only=True, default=1)
    classes: int = field(kw_only=True, default=2)
    patch: tuple[int, ...] = field(kw_only=True)

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.patch)

    def architecture(self) -> dict[str, Any]:
        """A new ``architecture`` entry of plans; the caller may change it."""
        return {
            "network_class_name": f"nnunet_plugins.networks.{self.network}",
            "arch_kwargs": copy.deepcopy(self.arch_kwargs),
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        }


class Count(NamedTuple):
    """Size of a network.

    Attributes:
        trainable: number of parameters.
        non_trainable: number of running means and variances of the normalisations.
    """

    trainable: int
    non_trainable: int

    def like(self, published: dict[str, int]) -> int:
        """The total counted like that of ``published``: Keras adds the statistics, PyTorch does not."""
        return self.trainable + (self.non_trainable if "non_trainable" in published else 0)


def count(topology: Topology) -> Count:
    """Build the network on the meta device, without memory for its weights, and count.

    >>> from nnunet_plugins.papers.library import find_topology
    >>> count(find_topology("silveira2025-inception-dual", "Proposed Model"))
    Count(trainable=31463140, non_trainable=12256)
    """
    import torch

    from nnunet_plugins.networks import build, takes_input_size

    patch = topology.patch if takes_input_size(topology.network) else None
    with torch.device("meta"):
        network = build(
            topology.network,
            topology.architecture(),
            topology.input_channels,
            topology.classes,
            True,
            patch,
        )
    statistics = [b for name, b in network.named_buffers() if "running_" in name]
    return Count(*(sum(t.numel() for t in ts) for ts in (network.parameters(), statistics)))


def plan_arguments(
    rank: int, widths: tuple[int, ...], convs: list[int] | None, decoder: list[int], **options: Any
) -> dict[str, Any]:
    """Arguments in plans: kernels of 3, strides of 2, biased convolutions, batch normalisation, ReLU.

    Args:
        rank: 2 or 3 spatial axes.
        widths: features per stage.
        convs: convolutions per encoder stage; None if the options state the blocks of a residual encoder.
        decoder: convolutions per decoder stage.
        **options: further arguments; they replace the defaults.
    """
    stages = len(widths)
    return {
        "n_stages": stages,
        "features_per_stage": list(widths),
        "conv_op": f"torch.nn.modules.conv.Conv{rank}d",
        "kernel_sizes": [[3] * rank for _ in range(stages)],
        "strides": [[1] * rank, *([2] * rank for _ in range(stages - 1))],
        **({"n_conv_per_stage": convs} if convs else {}),
        "n_conv_per_stage_decoder": decoder,
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.batchnorm.BatchNorm{rank}d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.ReLU",
        "nonlin_kwargs": {"inplace": True},
        **options,
    }


def millions(total: float) -> dict[str, int]:
    """The published count ``total``, in millions."""
    return {"total": round(total * 1e6)}


#: Arguments of a network with max-pooling and one output, at full resolution.
POOLED: dict[str, Any] = {"pool": "max", "deep_levels": 1}
#: Why a topology of a network from another paper differs.
OTHERS = "No topology is printed: the network as its own paper describes it."
