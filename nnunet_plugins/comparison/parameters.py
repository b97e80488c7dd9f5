"""Parameters of the network that plans and a trainer stand for, built without memory for its weights."""

from __future__ import annotations

from typing import Any

from nnunet_plugins.plans_file import resolve


def count_parameters(
    plans: dict[str, Any], dataset_json: dict[str, Any], configuration: str, trainer: str
) -> int | None:
    """Count them; None where the network is not known here.

    Args:
        plans: of the model.
        dataset_json: its channels and labels.
        configuration: which of the plans' was trained.
        trainer: name of the trainer; one of ours stands for its network where the plans name nnU-Net's.
    """
    import warnings

    import torch
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    from nnunet_plugins.networks import NETWORKS, build

    try:
        manager = PlansManager(plans)
        channels = determine_num_input_channels(
            manager, manager.get_configuration(configuration), dataset_json
        )
        heads = manager.get_label_manager(dataset_json).num_segmentation_heads
        planned = resolve(plans, configuration)
        architecture = planned["architecture"]
        ours = trainer.removesuffix("Trainer")
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nnU-Net's, that it looks for the class elsewhere
            if ours in NETWORKS:
                patch = planned["patch_size"]
                network: Any = build(ours, architecture, channels, heads, True, patch)
            elif trainer.startswith("nnUNetTrainer"):
                network = get_network_from_plans(
                    architecture["network_class_name"],
                    architecture["arch_kwargs"],
                    architecture["_kw_requires_import"],
                    channels,
                    heads,
                    allow_init=False,
                    deep_supervision=True,
                )
            else:
                return None
    # Plans of another release may lack anything; a count is worth no stop.
    except Exception:
        return None
    return sum(one.numel() for one in network.parameters())
