"""nnU-Net's experiment planner for a network of ours, with the training procedure in the plans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (
    ExperimentPlanner,
)

from nnunet_plugins.networks import find, public_name

if TYPE_CHECKING:
    import numpy as np


class NetworkPlanner(ExperimentPlanner):
    """Plans patch, batch and topology with the feature maps that ``network`` itself keeps.

    nnU-Net's reference values (feature maps that fit 8 GB) stay; the count for a patch is the network's
    ``compute_conv_feature_map_size``.

    Args:
        dataset_name_or_id: as in nnU-Net; raw data and fingerprint must exist.
        network: name of a network of ours.
        training: the ``training`` entry of every configuration; {} writes none.
        base_features: channels of the first stage; None is nnU-Net's 32.
        batch_size: fixed batch size; None lets nnU-Net decide.
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
        **kwargs: Any,
    ) -> None:
        super().__init__(dataset_name_or_id, **kwargs)
        self.network_name = network
        self.UNet_class = find(network)
        self.training = training
        self.batch_size = batch_size
        if base_features is not None:
            self.UNet_base_num_features = base_features

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
        plan["architecture"]["network_class_name"] = public_name(self.network_name)
        if self.batch_size is not None:
            plan["batch_size"] = self.batch_size
        if self.training:
            plan["training"] = dict(self.training)
        return plan
