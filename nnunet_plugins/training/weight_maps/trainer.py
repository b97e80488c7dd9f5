"""A training whose loss is weighted by a map of the dataset (``training.voxel_weights`` with ``map``).

The map travels through nnU-Net's loader as a last image channel, through the augmentation as a regression target,
which is moved and mirrored but not changed like an image, and to the loss as a last channel of each target.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from nnunet_plugins.training.options import has_map
from nnunet_plugins.training.recording import RecordingTrainer
from nnunet_plugins.training.resuming import check_data
from nnunet_plugins.training.weight_maps.files import PREPROCESSED, MappedCases, prepare_maps


class WithMap(BasicTransform):  # type: ignore[misc]
    """nnU-Net's transforms of a sample whose last image channel is a map of weights minus 1.

    The weights become the last channel of each target; those of a smaller one are means.
    """

    def __init__(self, transforms: Any) -> None:
        super().__init__()
        self.transforms = transforms

    def apply(self, data_dict: dict[str, Any], **params: Any) -> dict[str, Any]:
        image = data_dict["image"]
        moved = {**data_dict, "image": image[:-1], "regression_target": image[-1:]}
        made: dict[str, Any] = self.transforms(**moved)
        weights = made.pop("regression_target") + 1
        targets = made["segmentation"]
        several = isinstance(targets, list)
        joined = [
            torch.cat([one.float(), F.interpolate(weights[None], one.shape[1:], mode="area")[0]])
            for one in (targets if several else [targets])
        ]
        return {**made, "segmentation": joined if several else joined[0]}


class MapLoss(nn.Module):
    """``loss(output, target, map)`` of targets whose last channel is the map; in evaluation mode they have none."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, output: Any, target: Any) -> Tensor:
        if not self.training:
            found: Tensor = self.loss(output, target)
        elif isinstance(target, Tensor):
            found = self.loss(output, target[:, :-1], target[:, -1:])
        else:
            found = self.loss(output, [t[:, :-1] for t in target], [t[:, -1:] for t in target])
        return found


class WeightMapTrainer(RecordingTrainer):
    """Weights the loss of the training batches by the dataset's maps; that of the validation batches has no map."""

    def get_tr_and_val_datasets(self) -> tuple[Any, Any]:
        """nnU-Net's datasets; that of the training with the maps.

        Raises:
            UserError: a map is missing or not allowed, or has changed since the training started.
        """
        training, validation = super().get_tr_and_val_datasets()
        if not has_map(self.procedure):
            return training, validation
        data = Path(self.preprocessed_dataset_folder)
        if self.local_rank == 0:
            raw = os.environ.get("nnUNet_raw")
            now = prepare_maps(
                training.identifiers,
                raw=Path(raw) / data.parent.name if raw else None,
                data=data,
                plans=self.plans_manager,
                configuration=self.configuration_manager,
                ending=self.dataset_json["file_ending"],
            )
            check_data(self._started.setdefault("weight maps", now), now, data / PREPROCESSED)
        if self.is_ddp:
            distributed.barrier()
        return MappedCases(training, data / PREPROCESSED), validation

    def get_training_transforms(self, *args: Any, **kwargs: Any) -> Any:
        """The augmentation, which also moves the map."""
        made = super().get_training_transforms(*args, **kwargs)
        return WithMap(made) if has_map(self.procedure) else made

    def _build_loss(self) -> nn.Module:
        loss: nn.Module = super()._build_loss()
        return MapLoss(loss) if has_map(self.procedure) else loss

    def on_train_epoch_start(self) -> None:
        """nnU-Net's start; the loss expects maps."""
        super().on_train_epoch_start()
        self._expect_maps(True)

    def on_validation_epoch_start(self) -> None:
        """nnU-Net's start; the loss expects no maps."""
        super().on_validation_epoch_start()
        self._expect_maps(False)

    def _expect_maps(self, expected: bool) -> None:
        if isinstance(self.loss, MapLoss):
            self.loss.train(expected)
