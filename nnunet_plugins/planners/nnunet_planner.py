"""nnU-Net's own plans for its own networks, under our public names and with the training procedure."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (
    ExperimentPlanner,
)
from nnunetv2.experiment_planning.experiment_planners.residual_unets.residual_encoder_unet_planners import (
    nnUNetPlannerResEncL,
    nnUNetPlannerResEncM,
    nnUNetPlannerResEncXL,
)

from nnunet_plugins.costs.training_step import Setup
from nnunet_plugins.networks import public_name
from nnunet_plugins.planners.network_planner import memory_entry

#: Network -> nnU-Net's planner, whose estimate of the memory decides patch and batch.
PLANNERS: dict[str, type[ExperimentPlanner]] = {
    "nnUNetPlain": ExperimentPlanner,
    "ResEncM": nnUNetPlannerResEncM,
    "ResEncL": nnUNetPlannerResEncL,
    "ResEncXL": nnUNetPlannerResEncXL,
}


def memory_of(network: str) -> float:
    """Memory in GB for which nnU-Net plans one of its networks.

    >>> memory_of("ResEncL")
    24.0
    """
    parameters = inspect.signature(PLANNERS[network]).parameters
    return float(parameters["gpu_memory_target_in_gb"].default)


def nnunet_planner(
    dataset: str,
    *,
    network: str,
    training: dict[str, Any],
    base_features: int | None = None,
    batch_size: int | None = None,
    **kwargs: Any,
) -> Any:
    """Return nnU-Net's planner for one of PLANNERS; arguments as for `NetworkPlanner`."""
    own = PLANNERS[network]
    named = type(own.__name__, (_Named, own), {})  # the plans state its name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a memory target that was chosen
        planner = named(dataset, **kwargs)
    planner.network, planner.training, planner.batch_size = network, training, batch_size
    if base_features is not None:
        planner.UNet_base_num_features = base_features
    return planner


class _Named(ExperimentPlanner):
    """Changes neither patch nor topology of the planner that it precedes."""

    ranks = (2, 3)
    network: str
    training: dict[str, Any]
    batch_size: int | None

    def generate_data_identifier(self, configuration_name: str) -> str:
        """Data of its own: nnU-Net's planners of residual encoders would replace the data of its default plans."""
        return f"{self.plans_identifier}_{configuration_name}"

    def static_estimate_VRAM_usage(self, *args: Any) -> Any:  # noqa: N802 - nnU-Net's name
        """nnU-Net's estimate.

        Raises:
            OverflowError: nnU-Net has reached patches that cannot be halved.
        """
        if args[4]["n_stages"] < 2:
            raise OverflowError("no patch of two stages or more fits the memory")
        return super().static_estimate_VRAM_usage(*args)

    def get_plans_for_configuration(self, *args: Any) -> dict[str, Any]:
        """nnU-Net's plan of one configuration, with our public name and the procedure."""
        plan: dict[str, Any] = super().get_plans_for_configuration(*args)
        architecture = plan["architecture"]
        architecture["network_class_name"] = public_name(self.network)
        architecture["_kw_requires_import"] = list(architecture["_kw_requires_import"])
        parts = self.training.get("accumulate", 1)
        plan["batch_size"] = self.batch_size or plan["batch_size"] * parts
        if self.training:
            plan["training"] = dict(self.training)
        return plan

    def save_plans(self, plans: dict[str, Any]) -> None:
        """Add the counted memory, and save."""
        for plan in plans["configurations"].values():
            if "inherits_from" not in plan:
                setup = Setup.of(plan, self.dataset_json)
                plan["memory"] = memory_entry(setup, self.UNet_vram_target_GB)
        super().save_plans(plans)
