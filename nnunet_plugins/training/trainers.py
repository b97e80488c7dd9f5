"""`nnUNetv2_train -tr MAGUNetTrainer`: one trainer per network, for nnU-Net's own plans and ours.

Trainers differ only in the network, so the classes are generated. What the training of a network requires is part
of the plans (``nnunet_plugins.training.procedure``) or an attribute of the network (its ``outputs``).
"""

from __future__ import annotations

from nnunet_plugins.networks import NETWORKS
from nnunet_plugins.training.trainer import PluginTrainer


def _trainer(network: str) -> type[PluginTrainer]:
    about = f"Trains {network}, or the network of this package that the plans name."
    attributes = {"network_name": network, "__doc__": about, "__module__": __name__}
    return type(f"{network}Trainer", (PluginTrainer,), attributes)


#: Trainer name -> class.
TRAINERS = {f"{network}Trainer": _trainer(network) for network in NETWORKS}
# Pickle, checkpoints and nnU-Net's look-up find a class by name in its module.
globals().update(TRAINERS)
