"""nnU-Net's experiment planner for a network of ours, with the training procedure in the plans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (
    ExperimentPlanner,
)

from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import find, public_name, takes_input_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from nnunet_plugins.published import Topology


class NetworkPlanner(ExperimentPlanner):
    """Plans patch, batch and topology with the feature maps that ``network`` itself keeps.

    nnU-Net's reference values (feature maps that fit 8 GB) stay; the count for a patch is the network's
    ``compute_conv_feature_map_size``. Configurations of a rank that the network does not have are left out.

    Args:
        dataset_name_or_id: as in nnU-Net; raw data and fingerprint must exist.
        network: name of a network of ours.
        training: the ``training`` entry of every configuration; {} writes none.
        base_features: channels of the first stage; None is nnU-Net's 32.
        batch_size: fixed batch size; None lets nnU-Net decide.
        topology: takes the place of nnU-Net's topology in the configurations of its rank. Spacing and patch
            stay nnU-Net's, the patch fits the memory with this topology.
        **kwargs: as for ExperimentPlanner.
    """

    def __init__(
        self,
        dataset_name_or_id: str | int,
        *,
        network: str,
        training: dict[str, Any],
        base_features: int | None = None,
        batch_size: int | None = None,
        topology: Topology | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dataset_name_or_id, **kwargs)
        self.network_name = network
        self.UNet_class = find(network)
        self.ranks: tuple[int, ...] = getattr(self.UNet_class, "ranks", (2, 3))
        self.training = training
        self.batch_size = batch_size
        self.topology = topology
        if base_features is not None:
            self.UNet_base_num_features = base_features

    def architecture(
        self, patch_size: Sequence[int], arch_kwargs: dict[str, Any], imported: Sequence[str]
    ) -> dict[str, Any]:
        """The ``architecture`` entry for a patch, where nnU-Net would have ``arch_kwargs``."""
        entry: dict[str, Any] = {
            "arch_kwargs": dict(arch_kwargs),
            "_kw_requires_import": list(imported),
        }
        if self.topology is not None and self.topology.rank == len(patch_size):
            entry = self.topology.architecture()
        entry["network_class_name"] = public_name(self.network_name)
        if takes_input_size(self.network_name):
            entry["arch_kwargs"]["input_size"] = [int(n) for n in patch_size]
        return entry

    def static_estimate_VRAM_usage(  # noqa: N802 - nnU-Net's name; its static method is called through self
        self,
        patch_size: Sequence[int],
        input_channels: int,
        output_channels: int,
        arch_class_name: str,
        arch_kwargs: dict[str, Any],
        arch_kwargs_req_import: Sequence[str],
    ) -> Any:
        """Elements of the feature maps that the network keeps for a patch; its weights take no memory.

        Raises:
            OverflowError: nnU-Net has come down to patches that nothing can halve.
            UserError: the network cannot take the plan.
        """
        if arch_kwargs["n_stages"] < 2:
            raise OverflowError("no patch of two stages or more fits the memory")
        name, kwargs, imported = public_name("ModularUNet"), arch_kwargs, arch_kwargs_req_import
        if len(patch_size) in self.ranks:
            entry = self.architecture(patch_size, arch_kwargs, arch_kwargs_req_import)
            name, kwargs = entry["network_class_name"], entry["arch_kwargs"]
            imported = entry["_kw_requires_import"]
        try:
            with torch.device("meta"):
                return super().static_estimate_VRAM_usage(
                    patch_size, input_channels, output_channels, name, kwargs, imported
                )
        except ValueError as error:  # what a network says of a plan that it cannot take
            raise UserError(str(error)) from error

    def get_plans_for_configuration(
        self,
        spacing: np.ndarray,
        median_shape: np.ndarray,
        data_identifier: str,
        approximate_n_voxels_dataset: float,
        _cache: dict,
    ) -> dict[str, Any]:
        """nnU-Net's plan of one configuration, under our public network name and with our procedure."""
        plan = super().get_plans_for_configuration(
            spacing, median_shape, data_identifier, approximate_n_voxels_dataset, _cache
        )
        planned = plan["architecture"]
        plan["architecture"] = self.architecture(
            plan["patch_size"], planned["arch_kwargs"], planned["_kw_requires_import"]
        )
        if self.batch_size is not None:
            plan["batch_size"] = self.batch_size
        if self.training:
            plan["training"] = dict(self.training)
        return plan

    def save_plans(self, plans: dict[str, Any]) -> None:
        """Leave out what the network cannot do, then write as nnU-Net does."""
        able = tuple(f"{rank}d" for rank in self.ranks)
        plans["configurations"] = {
            name: plan for name, plan in plans["configurations"].items() if name.startswith(able)
        }
        super().save_plans(plans)
