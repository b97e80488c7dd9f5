"""`nnUNetv2_train -tr SEUNetTrainer`: paper 000's network in nnU-Net's plans."""

from __future__ import annotations

from typing import ClassVar

from nnunet_plugins.training import PluginTrainer


class SEUNetTrainer(PluginTrainer):
    """Trains SEUNet, or the network of ours that the plans name."""

    network_name: ClassVar[str] = "SEUNet"
