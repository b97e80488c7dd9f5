"""The public names of our networks. Plans and checkpoints carry them, so they outlive any layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

import architectures
from architectures.mag_unet import MAGUNet
from architectures.modular_unet import ModularUNet
from architectures.se_unet import SEUNet
from nnunet_plugins.errors import UserError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["NETWORKS", "MAGUNet", "ModularUNet", "SEUNet", "build", "find", "public_name"]

if getattr(architectures, "__owner__", None) != "nnunet-plugins":
    raise ImportError(
        f"the package 'architectures' at {architectures.__file__} is not the one of nnunet-plugins: another "
        "installed package has the same name. Install nnunet-plugins into an environment of its own."
    )

#: Network name -> class. ModularUNet is the plain U-Net of nnU-Net, the papers' baseline.
NETWORKS: dict[str, type[nn.Module]] = {
    "ModularUNet": ModularUNet,
    "SEUNet": SEUNet,
    "MAGUNet": MAGUNet,
}

#: What nnU-Net's own plans name; ours take the same arguments.
HOSTS = ("PlainConvUNet", "ResidualEncoderUNet")


def public_name(name: str) -> str:
    """The dotted name that plans carry for the network called ``name``."""
    find(name)
    return f"{__name__}.{name}"


def find(name: str) -> type[nn.Module]:
    """The network class called ``name``.

    Raises:
        UserError: unknown name, with the known ones.
    """
    if name not in NETWORKS:
        raise UserError(f"no network called {name!r}; known: {', '.join(NETWORKS)}")
    return NETWORKS[name]


def build(
    default: str,
    architecture: dict[str, Any],
    input_channels: int,
    output_channels: int,
    deep_supervision: bool,
) -> nn.Module:
    """The network for the ``architecture`` entry of a plans configuration.

    Plans that name a network of ours get it. Plans of nnU-Net's own U-Nets get the network called
    ``default`` with the plans' topology: kernel sizes, strides, features, blocks.

    Raises:
        UserError: the plans name a network that is neither.
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
    return get_network_from_plans(
        public_name(name),
        architecture["arch_kwargs"],
        architecture["_kw_requires_import"],
        input_channels,
        output_channels,
        allow_init=True,
        deep_supervision=deep_supervision,
    )
