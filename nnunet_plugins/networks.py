"""The public names of our networks. Plans and checkpoints carry them, so they outlive any layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

import architectures
from architectures.aspp_unet import ASPPUNet
from architectures.attention_unet_25d import AttentionUNet25D
from architectures.deeplab import DeepLabV3, DeepLabV3Plus
from architectures.inception_dual_unet import InceptionDualUNet
from architectures.mag_unet import MAGUNet
from architectures.modular_unet import ModularUNet
from architectures.se_unet import SEUNet
from architectures.segnet import SegNet
from architectures.suggestions import nearest_first
from architectures.unetr import UNETR
from architectures.unets import AttentionUNet, ResUNet, TransUNet, UNet, VNet
from nnunet_plugins.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

if getattr(architectures, "__owner__", None) != "nnunet-plugins":
    raise ImportError(
        f"the package 'architectures' at {architectures.__file__} is not the one of nnunet-plugins: another "
        "installed package has the same name. Install nnunet-plugins into an environment of its own."
    )

_CLASSES: tuple[type[nn.Module], ...] = (
    ModularUNet,
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
)
#: Network name -> class. ModularUNet is the plain U-Net of nnU-Net; from UNet on, what the papers compare with.
NETWORKS: dict[str, type[nn.Module]] = {network.__name__: network for network in _CLASSES}

#: What nnU-Net's own plans name; ours take the same arguments.
HOSTS = ("PlainConvUNet", "ResidualEncoderUNet")


def public_name(name: str) -> str:
    """The dotted name that plans carry for the network called ``name``."""
    find(name)
    return f"{__name__}.{name}"


def find(name: str) -> type[nn.Module]:
    """The network class called ``name``.

    Raises:
        UserError: unknown name, with the known ones, the nearest first.
    """
    if name not in NETWORKS:
        known = ", ".join(nearest_first(name, NETWORKS))
        raise UserError(f"no network called {name!r}; known, the nearest first: {known}")
    return NETWORKS[name]


def takes_input_size(name: str) -> bool:
    """Whether the network called ``name`` wants the patch size among its arguments."""
    return getattr(find(name), "takes_input_size", False)


def build(
    default: str,
    architecture: dict[str, Any],
    input_channels: int,
    output_channels: int,
    deep_supervision: bool,
    patch_size: Sequence[int] | None = None,
) -> nn.Module:
    """The network for the ``architecture`` entry of a plans configuration.

    Plans that name a network of ours get it. Plans of nnU-Net's own U-Nets get the network called
    ``default`` with the plans' topology: kernel sizes, strides, features, blocks.

    Raises:
        UserError: the plans name a network that is neither, or one that cannot take these plans.
    """
    planned = architecture["network_class_name"]
    package, _, name = planned.rpartition(".")
    if package != __name__:
        if name not in HOSTS:
            raise UserError(
                f"plans: network_class_name is {planned}; {default} can stand in for {' or '.join(HOSTS)} only. "
                f"Train these plans with nnUNetTrainer, or make others: nnunet-plugins plan --network {default}"
            )
        name = default
    arguments = dict(architecture["arch_kwargs"])
    if patch_size is not None and takes_input_size(name):
        arguments.setdefault("input_size", [int(n) for n in patch_size])
    try:
        network = get_network_from_plans(
            public_name(name),
            arguments,
            architecture["_kw_requires_import"],
            input_channels,
            output_channels,
            allow_init=True,
            deep_supervision=deep_supervision,
        )
        if patch_size is not None:
            network.check_input_size(patch_size)
    except (ValueError, TypeError, ZeroDivisionError) as error:
        said = str(error)
        raise UserError(f"plans: {said if name in said else f'{name}: {said}'}") from error
    return network
