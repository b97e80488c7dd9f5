"""The base of our trainers: network and procedure from the plans, left and right kept apart."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from dataset_conversion.raw_format.preprocessed import recorded_source
from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import build
from nnunet_plugins.training.augmenting import AugmentingTrainer
from nnunet_plugins.training.data import check_complete, check_current
from nnunet_plugins.training.early_stopping import EarlyStoppingTrainer
from nnunet_plugins.training.initial_weights import digest_of, initial_weights, recorded_weights
from nnunet_plugins.training.losses.trainer import LossTrainer
from nnunet_plugins.training.mlflow_logger import log_to_mlflow
from nnunet_plugins.training.optimizing import OptimizingTrainer
from nnunet_plugins.training.procedure import read_procedure
from nnunet_plugins.training.resuming import (
    ENTRY,
    check_data,
    check_fold,
    check_folds,
    check_same,
    fold_record,
)
from nnunet_plugins.training.weight_maps.trainer import WeightMapTrainer

if TYPE_CHECKING:
    from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
    from torch import nn

#: Key of the ``training`` entry -> attribute of nnUNetTrainer that it sets.
_ATTRIBUTES = {
    "epochs": "num_epochs",
    "iterations_per_epoch": "num_iterations_per_epoch",
    "validation_iterations_per_epoch": "num_val_iterations_per_epoch",
    "initial_lr": "initial_lr",
    "weight_decay": "weight_decay",
    "oversample_foreground": "oversample_foreground_percent",
    "deep_supervision": "enable_deep_supervision",
    "save_every": "save_every",
}


class PluginTrainer(
    WeightMapTrainer, AugmentingTrainer, LossTrainer, OptimizingTrainer, EarlyStoppingTrainer
):
    """nnUNetTrainer with one of our networks and the procedure of the plans' ``training`` entry."""

    #: Network to build for plans that name nnU-Net's own.
    network_name: ClassVar[str]

    # nnU-Net reads these parameters by name from its frame: the names must be the same.
    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int,
        dataset_json: dict[str, Any],
        device: torch.device = torch.device("cuda"),  # noqa: B008
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.procedure = read_procedure(self.configuration_manager.configuration, plans)
        for key, attribute in _ATTRIBUTES.items():
            if key in self.procedure:
                setattr(self, attribute, self.procedure[key])
        log_to_mlflow(self)

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The network of the plans if it is ours, otherwise ``network_name`` with the topology of the plans."""
        return build(
            cls.network_name,
            configuration_manager.configuration["architecture"],
            num_input_channels,
            num_output_channels,
            enable_deep_supervision,
            configuration_manager.patch_size,
        )

    def initialize(self) -> None:
        """nnU-Net's initialisation; remembers the weights that the network was made with."""
        super().initialize()
        self._made_with = digest_of(self._bare_network)

    def load_checkpoint(self, filename_or_checkpoint: dict[str, Any] | str) -> None:
        """Load a checkpoint of the same fold, plans and dataset; log its name, which may be that of the best epoch.

        Raises:
            UserError: it is of others; the differences are listed.
        """
        if isinstance(filename_or_checkpoint, str):
            # Like nnU-Net, which loads it next; "meta" reads no weights.
            started = torch.load(filename_or_checkpoint, map_location="meta", weights_only=False)
            arguments = started.get("init_args", {})
            check_same(arguments, self.my_init_kwargs, filename_or_checkpoint)
            self._continued = arguments.get(ENTRY, {}).get("pretrained")
        super().load_checkpoint(filename_or_checkpoint)
        if isinstance(filename_or_checkpoint, str):
            self.print_to_log_file(f"weights loaded from {Path(filename_or_checkpoint).name}")

    def do_split(self) -> tuple[Any, Any]:
        """The training and validation cases of the fold, the same as when the training started.

        Raises:
            UserError: they have changed.
        """
        train, validation = super().do_split()
        now = fold_record(train, validation)
        splits = Path(self.preprocessed_dataset_folder_base) / "splits_final.json"
        check_fold(self._started.setdefault("cases", now), now, self.fold, splits)
        return train, validation

    def on_train_start(self) -> None:
        """Check the preprocessed cases, record the start in debug.json, and log network and procedure.

        Raises:
            UserError: the preprocessed cases are incomplete, or of an earlier version of the dataset; other folds
                of the model were trained with other plans.
        """
        if self.local_rank == 0:
            check_folds(Path(self.output_folder_base), self.fold, self.my_init_kwargs)
            data = Path(self.preprocessed_dataset_folder)
            check_complete(data.parent, self.plans_manager.plans_name)
            check_current(data)
            recorded = recorded_source(data)
            check_data(self._started.setdefault("data", recorded), recorded, data)
        if not self.was_initialized:
            self.initialize()
        self._record_start()
        super().on_train_start()
        self.print_to_log_file(
            f"initial weights: {getattr(self, 'initial_weights', 'not recorded')}"
        )
        self.print_to_log_file(
            f"network: {type(self._bare_network).__name__}; procedure of the plans: {self.procedure}"
        )

    def _record_start(self) -> None:
        """Set what nnU-Net does not record; it writes all attributes into debug.json."""
        made_with = self.__dict__.pop("_made_with", None)
        found: str | None = initial_weights(made_with, digest_of(self._bare_network))
        if "pretrained" in self.procedure and not self.current_epoch:
            if found == "pretrained":
                raise UserError(
                    "-pretrained_weights would replace training.pretrained of the plans; omit one of them"
                )
            found = "pretrained"
        if self.current_epoch:  # continued: the first start knows
            found = recorded_weights(Path(self.output_folder) / "debug.json")
        if found:
            self.initial_weights = found
        self.nnunet_version = version("nnunetv2")

    def on_train_end(self) -> None:
        """Log the peak GPU memory, which `compare` and `report` read from the log."""
        super().on_train_end()
        if self.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(self.device)
            self.print_to_log_file(f"peak memory allocated: {peak / 2**30:.2f} GiB")
