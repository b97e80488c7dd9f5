"""`nnUNetv2_train -tr MAGUNetTrainer`: paper 001's network in nnU-Net's plans."""

from __future__ import annotations

from typing import ClassVar

from nnunet_plugins.training import PluginTrainer


class MAGUNetTrainer(PluginTrainer):
    """Trains MAGUNet, or the network of ours that the plans name."""

    network_name: ClassVar[str] = "MAGUNet"
