"""`nnUNetv2_train -tr MAGUNetTrainer`: a trainer for every network, so that nnU-Net's own plans can take it.

Trainers differ in nothing but the network, hence no class of its own for each: what a network's training wants
is data of the plans (``nnunet_plugins.training.procedure``) or told by the network itself (its ``outputs``).
"""

from __future__ import annotations

from nnunet_plugins.networks import NETWORKS
from nnunet_plugins.training.trainer import PluginTrainer


def _trainer(network: str) -> type[PluginTrainer]:
    about = f"Trains {network}, or the network of ours that the plans name."
    attributes = {"network_name": network, "__doc__": about, "__module__": __name__}
    return type(f"{network}Trainer", (PluginTrainer,), attributes)


#: Trainer name -> class.
TRAINERS = {f"{network}Trainer": _trainer(network) for network in NETWORKS}
# Pickles, checkpoints and nnU-Net's look-up find a class by its name in its module.
globals().update(TRAINERS)
