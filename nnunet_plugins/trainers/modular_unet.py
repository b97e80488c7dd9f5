"""`nnUNetv2_train -tr ModularUNetTrainer`: the baseline U-Net under the same procedure as the others."""

from __future__ import annotations

from typing import ClassVar

from nnunet_plugins.training import PluginTrainer


class ModularUNetTrainer(PluginTrainer):
    """Trains ModularUNet, or the network of ours that the plans name."""

    network_name: ClassVar[str] = "ModularUNet"
