"""The public names of the networks. Plans and checkpoints store them, so they must not change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import architectures
from architectures.aspp_unet import ASPPUNet
from architectures.attention_unet_25d import AttentionUNet25D
from architectures.deeplab import DeepLabV3, DeepLabV3Plus
from architectures.inception_dual_unet import InceptionDualUNet
from architectures.mag_unet import MAGUNet
from architectures.mednext import MedNeXt
from architectures.modular_unet import ModularUNet
from architectures.nnunet_networks import ResEncL, ResEncM, ResEncXL, nnUNetPlain
from architectures.se_unet import SEUNet
from architectures.segnet import SegNet
from architectures.suggestions import nearest_first
from architectures.unetr import UNETR
from architectures.unets import AttentionUNet, ResUNet, TransUNet, UNet
from architectures.vnet import VNet
from nnunet_plugins.errors import UserError
from nnunet_plugins.planned_network import build_planned, check_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

if getattr(architectures, "__owner__", None) != "nnunet-plugins":
    raise ImportError(
        f"the package 'architectures' at {architectures.__file__} is not that of nnunet-plugins: another "
        "installed package has the same name. Install nnunet-plugins into a separate environment."
    )

_CLASSES: tuple[type[nn.Module], ...] = (
    ModularUNet,
    nnUNetPlain,
    ResEncM,
    ResEncL,
    ResEncXL,
    SEUNet,
    MAGUNet,
    AttentionUNet25D,
    InceptionDualUNet,
    ASPPUNet,
    UNet,
    VNet,
    ResUNet,
    AttentionUNet,
    SegNet,
    UNETR,
    DeepLabV3,
    DeepLabV3Plus,
    TransUNet,
    MedNeXt,
)
#: Network name -> class. nnUNetPlain and ResEnc M, L and XL are nnU-Net's own; ModularUNet is its U-Net with slots
#: for blocks; from UNet on, networks to compare with.
NETWORKS: dict[str, type[nn.Module]] = {network.__name__: network for network in _CLASSES}

#: Networks of nnU-Net's own plans; ours accept the same arguments.
HOSTS = ("PlainConvUNet", "ResidualEncoderUNet")


def public_name(name: str) -> str:
    """The dotted name of the network ``name`` in plans.

    >>> public_name("MAGUNet")
    'nnunet_plugins.networks.MAGUNet'
    """
    find(name)
    return f"{__name__}.{name}"


def find(name: str) -> type[nn.Module]:
    """The network class called ``name``.

    Raises:
        UserError: unknown name; lists the known ones, nearest first.
    """
    if name not in NETWORKS:
        known = ", ".join(nearest_first(name, NETWORKS))
        raise UserError(f"no network called {name!r}; known, the nearest first: {known}")
    return NETWORKS[name]


def takes_input_size(name: str) -> bool:
    """Whether the network called ``name`` requires the patch size as an argument."""
    return bool(getattr(find(name), "takes_input_size", False))


def build(
    default: str,
    architecture: dict[str, Any],
    input_channels: int,
    output_channels: int,
    deep_supervision: bool,
    patch_size: Sequence[int] | None = None,
) -> nn.Module:
    """The network for the ``architecture`` entry of a plans configuration.

    If the plans name one of our networks, it is built. For plans of nnU-Net's own U-Nets the network ``default``
    is built with the topology of the plans: kernel sizes, strides, features, blocks.

    Args:
        default: name of the network for nnU-Net's own plans.
        architecture: with network_class_name, arch_kwargs and _kw_requires_import.
        input_channels: number of image channels.
        output_channels: number of classes, background included, or of regions.
        deep_supervision: whether the network returns a list of outputs.
        patch_size: checked against the network if given; networks with a fixed input size require it.

    Raises:
        UserError: the plans name another network or a layer that is not allowed (see `planned_network`), or a
            network that cannot be built from these plans.

    >>> architecture = {
    ...     "network_class_name": "nnunet_plugins.networks.MAGUNet",
    ...     "arch_kwargs": {
    ...         "n_stages": 2, "features_per_stage": [4, 8], "kernel_sizes": [[3, 3], [3, 3]],
    ...         "strides": [[1, 1], [2, 2]], "n_conv_per_stage": [1, 1], "n_conv_per_stage_decoder": [1],
    ...         "conv_op": "torch.nn.Conv2d", "conv_bias": True, "norm_op": "torch.nn.InstanceNorm2d",
    ...         "nonlin": "torch.nn.LeakyReLU",
    ...     },
    ...     "_kw_requires_import": ["conv_op", "norm_op", "nonlin"],
    ... }
    >>> network = build("UNet", architecture, 1, 3, deep_supervision=False)
    >>> type(network).__name__
    'MAGUNet'
    >>> import torch
    >>> network(torch.zeros(1, 1, 16, 16)).shape
    torch.Size([1, 3, 16, 16])
    """
    planned = str(architecture["network_class_name"])
    package, _, name = planned.rpartition(".")
    if package != __name__:
        if name not in HOSTS:
            raise UserError(
                f"plans: network_class_name is {planned}; {default} can only replace {' or '.join(HOSTS)}. "
                f"Train these plans with nnUNetTrainer, or create others: nnunet-plugins plan --network {default}"
            )
        name = default
    arguments = dict(architecture["arch_kwargs"])
    if patch_size is not None and takes_input_size(name):
        arguments.setdefault("input_size", [int(n) for n in patch_size])
    entry = {**architecture, "network_class_name": public_name(name), "arch_kwargs": arguments}
    check_names(entry)
    try:
        network: Any = build_planned(
            entry, input_channels, output_channels, deep_supervision=deep_supervision
        )
        if patch_size is not None:
            network.check_input_size(patch_size)
    except (ValueError, TypeError, ZeroDivisionError) as error:
        reason = str(error)
        raise UserError(f"plans: {reason if name in reason else f'{name}: {reason}'}") from error
    built: nn.Module = network
    return built
