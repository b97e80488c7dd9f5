"""The papers' own topologies as plans data, with the parameter counts that they print.

All rows of the tables that print a count. Only :func:`count` needs torch.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Topology:
    """One network of one paper, as a plans configuration would carry it.

    Attributes:
        name: as the paper's table calls it.
        network: our network.
        paper: number of the paper.
        source: the table, or 'code' where only the authors' code tells.
        configuration: '2d' or '3d_fullres'.
        input_channels: of the paper's images.
        classes: background included.
        patch: the paper's input.
        arch_kwargs: plans' arguments of the network.
        published: what the paper prints: 'total'; where it tells them apart 'trainable' and 'non_trainable',
            the running statistics of the normalisation, whose sum the total then is.
        proposed: whether it is the paper's own network.
        note: why the counts differ.
    """

    name: str
    network: str
    paper: str
    source: str
    configuration: str
    input_channels: int
    classes: int
    patch: tuple[int, ...]
    arch_kwargs: dict[str, Any]
    published: dict[str, int] = field(default_factory=dict)
    proposed: bool = False
    note: str = ""

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.patch)

    def architecture(self) -> dict[str, Any]:
        """The ``architecture`` entry of plans, for the caller to change."""
        return {
            "network_class_name": f"nnunet_plugins.networks.{self.network}",
            "arch_kwargs": copy.deepcopy(self.arch_kwargs),
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        }


class Count(NamedTuple):
    """Size of a network.

    Attributes:
        trainable: parameters.
        non_trainable: running means and variances of the normalisations.
    """

    trainable: int
    non_trainable: int

    def like(self, published: dict[str, int]) -> int:
        """What the total of ``published`` counts: Keras adds the statistics, PyTorch does not."""
        return self.trainable + (self.non_trainable if "non_trainable" in published else 0)


def proposed(network: str) -> Topology | None:
    """The topology that a paper proposes as ``network``, if it is one that a paper proposes."""
    return next((t for t in TOPOLOGIES if t.proposed and t.network == network), None)


def find(paper: str, name: str) -> Topology:
    """The topology that ``paper`` calls ``name``."""
    return next(t for t in TOPOLOGIES if (t.paper, t.name) == (paper, name))


def count(topology: Topology) -> Count:
    """Build the network without memory for its weights, and count."""
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


def _plan(
    rank: int,
    widths: tuple[int, ...],
    convs: list[int] | None,
    decoder: list[int],
    **options: Any,
) -> dict[str, Any]:
    """Plans' arguments: kernels of 3, strides of 2, biased convolutions, batch normalisation, ReLU.

    Without ``convs`` the options give the blocks of a residual encoder.
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


def _millions(total: float) -> dict[str, int]:
    return {"total": round(total * 1e6)}


def _keras(trainable: int, non_trainable: int) -> dict[str, int]:
    return {
        "total": trainable + non_trainable,
        "trainable": trainable,
        "non_trainable": non_trainable,
    }


_POOLED: dict[str, Any] = {"pool": "max", "deep_levels": 1}  # one output, at full resolution
_THEIRS = "No topology is printed: the network as its own paper has it."
_BLOCKS = "No topology is printed: the paper's own 3D U-Net with the network's blocks."

_SE = partial(
    Topology,
    paper="000",
    source="Table 1",
    configuration="3d_fullres",
    input_channels=1,
    classes=2,
    patch=(50, 256, 256),  # slices as in 001, which has the same hospital's scans
)
_SE_PLAN = _plan(3, (64, 128, 256, 512, 512), [1, 1, 1, 1, 2], [1, 1, 1, 1], **_POOLED)
_SE_NOTE = (
    "38.3 M is not identifiable. The text has one convolution a level, 64 to 512 channels and four poolings; SE "
    "adds 0.06 M at most, so the bottleneck has 512. Nearest is two convolutions there."
)
_MAG = partial(
    Topology,
    paper="001",
    source="Table 1",
    configuration="3d_fullres",
    input_channels=1,
    classes=2,
    patch=(50, 256, 256),
)
_MAG_PLAN = _plan(3, (32, 64, 128, 256, 512), [2] * 5, [2] * 4, **_POOLED)
_VNET = _plan(3, (16, 32, 64, 128, 256), [1, 2, 3, 3, 3], [3, 3, 2, 1], deep_levels=1)
_WIDE = (64, 128, 256, 512, 512)
_FLAT = "2D only here; the paper does not say how volumes went in. A backbone is not printed either: ResNet-101."

# Kernels, widths, strides and dropout of the network that the authors published.
_25D_PLAN = _plan(
    3,
    (32, 32, 64, 128, 256),
    None,
    [2, 2, 2, 2],
    kernel_sizes=[[1, 3, 3]] * 3 + [[3, 3, 3]] * 2,
    strides=[[1, 1, 1], [1, 2, 2], [1, 2, 2], [1, 2, 2], [2, 2, 2]],
    n_blocks_per_stage=[2, 2, 2, 2, 2],
    norm_op="torch.nn.modules.instancenorm.InstanceNorm3d",
    norm_op_kwargs={"eps": 1e-5, "affine": False},
    dropout_op="torch.nn.modules.dropout.Dropout3d",
    dropout_op_kwargs={"p": 0.2, "inplace": True},
    attention_levels=[0, 1, 2],
    squeeze_levels=[3, 4],
    **_POOLED,
)

_DUAL = partial(
    Topology,
    paper="003",
    source="Table 8",
    configuration="2d",
    input_channels=1,
    classes=2,
    patch=(128, 128),
)


# Dropout of 0.5, which has no parameters, is left out: the paper has it in 'the deeper layers' only.
def _dual(convs: list[int], **options: Any) -> dict[str, Any]:
    return _plan(2, (64, 128, 256, 512, 1024), convs, [2] * 4, **_POOLED, **options)


_ASPP = partial(
    Topology,
    paper="004",
    source="Table 4",
    configuration="2d",
    input_channels=1,
    classes=9,
    patch=(464, 880),
)
_ASPP_CONVS = [4, 2, 2, 2, 0]  # DC, then DC and pooling four times
_RESNET = "ResNet-101 alone has 42.5 M; what the paper adds to it is not printed."

TOPOLOGIES: tuple[Topology, ...] = (
    _SE("3D U-Net", "UNet", arch_kwargs=_SE_PLAN, published=_millions(38.3), note=_SE_NOTE),
    _SE("3D V-Net", "VNet", arch_kwargs=_VNET, published=_millions(92.3), note=_THEIRS),
    _SE("ResUNet", "ResUNet", arch_kwargs=_SE_PLAN, published=_millions(95.2), note=_BLOCKS),
    _SE(
        "Attention UNet",
        "AttentionUNet",
        arch_kwargs=_SE_PLAN,
        published=_millions(118.51),
        note=_BLOCKS,
    ),
    _SE(
        "Ours",
        "SEUNet",
        arch_kwargs=_SE_PLAN,
        published=_millions(38.31),
        proposed=True,
        note=_SE_NOTE,
    ),
    _MAG(
        "3D U-Net",
        "UNet",
        arch_kwargs=_MAG_PLAN,
        published=_millions(22.45),
        note="The widths are not printed. Of those with the text's four poolings 32 to 512 is the nearest.",
    ),
    _MAG("3D V-Net", "VNet", arch_kwargs=_VNET, published=_millions(54.14), note=_THEIRS),
    _MAG("ResUNet", "ResUNet", arch_kwargs=_MAG_PLAN, published=_millions(55.92), note=_BLOCKS),
    _MAG(
        "Attention UNet",
        "AttentionUNet",
        arch_kwargs=_MAG_PLAN,
        published=_millions(118.51),
        note=_BLOCKS,
    ),
    _MAG(
        "SegNet",
        "SegNet",
        arch_kwargs=_plan(3, (*_WIDE, 512), [2] * 6, [2] * 5, convs_per_stage=[2, 2, 3, 3, 3, 0]),
        published=_millions(76.80),
        note=_THEIRS,
    ),
    _MAG(
        "UNETR",
        "UNETR",
        arch_kwargs=_plan(3, (16, 32, 64, 128, 256), [2] * 5, [2] * 4),
        published=_millions(106.27),
        note=_THEIRS,
    ),
    _MAG(
        "DeepLabv3+",
        "DeepLabV3Plus",
        configuration="2d",
        patch=(256, 256),
        arch_kwargs=_plan(2, _WIDE, [2] * 5, [2] * 4),
        published=_millions(52.85),
        note=_FLAT,
    ),
    _MAG("MAG-UNet", "MAGUNet", arch_kwargs=_MAG_PLAN, published=_millions(23.98), proposed=True),
    Topology(
        "ours (2.5D)",
        "AttentionUNet25D",
        "002",
        "code",
        "3d_fullres",
        input_channels=1,
        classes=2,
        patch=(16, 192, 192),
        arch_kwargs=_25D_PLAN,
        published={"total": 10_532_520},
        proposed=True,
        note="Counted from the figures of the network that the authors published; the paper prints no count.",
    ),
    _DUAL(
        "U-Net",
        "UNet",
        # One of the bottleneck's two convolutions has no normalisation, else 9,728 statistics cannot be.
        arch_kwargs=_dual([2, 2, 2, 2, 1], bottleneck="conv"),
        published=_keras(31_040_386, 9_728),
    ),
    _DUAL(
        "ResUNet",
        "ResUNet",
        arch_kwargs=_dual([2] * 5),
        published=_keras(32_443_970, 17_664),
    ),
    _DUAL(
        "Attention U-Net",
        "AttentionUNet",
        arch_kwargs=_dual([2] * 5, skip_kwargs={"reduction": 1}),
        published=_keras(31_741_638, 11_776),
    ),
    _DUAL(
        "TransUNet",
        "TransUNet",
        arch_kwargs=_dual(
            [2, 2, 2, 2, 1],
            bottleneck_kwargs={"depth": 1, "heads": 8, "head_dim": 64, "hidden": 128},
        ),
        published=_keras(23_969_282, 9_728),
    ),
    _DUAL(
        "Proposed Model",
        "InceptionDualUNet",
        arch_kwargs=_dual([2] * 5),
        published=_keras(31_463_140, 12_256),
        proposed=True,
    ),
    _ASPP(
        "U-Net-2D",
        "UNet",
        arch_kwargs=_plan(2, _WIDE, _ASPP_CONVS, [2] * 4, **_POOLED),
        published=_millions(15.08),
        note="As fig. 4 draws the network, without ASPP.",
    ),
    _ASPP(
        "SegNet",
        "SegNet",
        arch_kwargs=_plan(2, _WIDE, [2] * 5, [2] * 4, convs_per_stage=[1, 2, 3, 3, 0]),
        published=_millions(15.21),
    ),
    _ASPP(
        "DeepLabV3",
        "DeepLabV3",
        arch_kwargs=_plan(2, _WIDE, [2] * 5, [2] * 4),
        published=_millions(46.9),
        note=_RESNET,
    ),
    _ASPP(
        "U-Net-3D",
        "UNet",
        configuration="3d_fullres",
        patch=(12, 464, 880),
        arch_kwargs=_plan(3, _WIDE, _ASPP_CONVS, [2] * 4, **_POOLED),
        published=_millions(31.03),
        note="31.03 M is a 2D U-Net of 64 to 1024 channels without normalisation (31,031,113 here); a 3D one "
        "of the text's 64 to 512 has more, and 12 slices cannot be halved four times.",
    ),
    _ASPP(
        "nnU-Net-2D",
        "ModularUNet",
        arch_kwargs=_plan(
            2,
            (32, 64, 128, 256, 512, 512, 512, 512),
            [2] * 8,
            [2] * 7,
            norm_op="torch.nn.modules.instancenorm.InstanceNorm2d",
            nonlin="torch.nn.LeakyReLU",
        ),
        published=_millions(60.5),
        note="What nnU-Net 2.8 plans for slices of 464 x 880; the paper's version is not known.",
    ),
    _ASPP(
        "ours",
        "ASPPUNet",
        arch_kwargs=_plan(2, _WIDE, _ASPP_CONVS, [2] * 4, **_POOLED),
        published=_millions(22.06),
        proposed=True,
        note="The width of ASPP's branches is not printed; half the stage's is the nearest.",
    ),
)
