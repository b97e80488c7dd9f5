"""Parameters of a trained network, counted on torch's meta device without memory for the weights."""

from __future__ import annotations

from typing import Any

from nnunet_plugins.model_folder import ModelFolder
from nnunet_plugins.planned_network import NotAllowedError, build_planned
from nnunet_plugins.plans_file import resolve
from nnunet_plugins.prediction import quiet


def count_parameters(model: ModelFolder) -> int | None:
    """Count the parameters of a model's network; None if neither its plans nor its trainer define one known here.

    Raises:
        NotAllowedError: the plans name a network or layer of another package, which is not imported.
    """
    import warnings

    import torch
    from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    from nnunet_plugins.networks import NETWORKS, build

    ours = model.trainer.removesuffix("Trainer")
    try:
        with quiet(), torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nnU-Net warns that it searches for the class
            manager = PlansManager(model.plans)
            configuration = manager.get_configuration(model.configuration)
            channels = determine_num_input_channels(manager, configuration, model.dataset)
            heads = manager.get_label_manager(model.dataset).num_segmentation_heads
            planned = resolve(model.plans, model.configuration)
            architecture = planned["architecture"]
            if ours in NETWORKS:
                patch = planned["patch_size"]
                network: Any = build(ours, architecture, channels, heads, True, patch)
            elif model.trainer.startswith("nnUNetTrainer"):
                network = build_planned(
                    architecture, channels, heads, deep_supervision=True, initialized=False
                )
            else:
                return None
    except NotAllowedError:
        raise
    # Plans of another release may lack anything; a missing count must not stop a comparison.
    except Exception:
        return None
    return sum(int(one.numel()) for one in network.parameters())
