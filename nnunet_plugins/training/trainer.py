"""The base of our trainers: network and procedure from the plans, left and right kept apart."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.nnunet_masking import MaskImageTransform

from dataset_conversion.raw_format.preprocessed import recorded_source
from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import build
from nnunet_plugins.training.augmentation import check_rank, initial_patch, transforms
from nnunet_plugins.training.data import check_complete, check_current
from nnunet_plugins.training.early_stopping import EarlyStoppingTrainer
from nnunet_plugins.training.initial_weights import digest_of, initial_weights, recorded_weights
from nnunet_plugins.training.losses import (
    DEFAULT_LOSS,
    AttentionLoss,
    OutputsLoss,
    build_loss,
    output_weights,
)
from nnunet_plugins.training.losses.boundary import BoundaryWeights
from nnunet_plugins.training.losses.names import channel_names
from nnunet_plugins.training.mirroring import allowed_mirror_axes
from nnunet_plugins.training.mlflow_logger import log_to_mlflow
from nnunet_plugins.training.optimizing import OptimizingTrainer
from nnunet_plugins.training.procedure import read_procedure
from nnunet_plugins.training.resuming import (
    ENTRY,
    check_data,
    check_fold,
    check_same,
    fold_record,
)

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


class PluginTrainer(OptimizingTrainer, EarlyStoppingTrainer):
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
        self.procedure = read_procedure(self.configuration_manager.configuration)
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
            UserError: the preprocessed cases are incomplete, or of an earlier version of the dataset.
        """
        if self.local_rank == 0:
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

    def _get_deep_supervision_scales(self) -> list[list[float]] | None:
        """Size of the target of each output, as shares of the patch, from the network's outputs."""
        if not self.enable_deep_supervision:
            return None
        patch = self.configuration_manager.patch_size
        return [
            [-(-n // s) / n for n, s in zip(patch, output.stride, strict=True)]
            for output in self._bare_network.outputs
        ]

    def _build_loss(self) -> nn.Module:
        labels = {
            "regions": self.label_manager.has_regions,
            "ignore_label": self.label_manager.ignore_label,
        }
        loss = build_loss(
            self.procedure.get("loss", DEFAULT_LOSS),
            batch_dice=self.configuration_manager.batch_dice,
            ddp=self.is_ddp,
            compiled=self._do_i_compile(),
            names=channel_names(self.dataset_json, regions=self.label_manager.has_regions),
            near=self._voxel_weights(),
            **labels,
        )
        kinds = [output.kind for output in self._bare_network.outputs]
        if not self.enable_deep_supervision:
            extra = sorted(set(kinds) - {"logits"})
            if extra:
                raise UserError(
                    f"plans: training.deep_supervision is false, which would leave the {' and '.join(extra)} output "
                    f"of {type(self._bare_network).__name__} untrained; to supervise it and the final output only, "
                    "leave deep_supervision on and set deep_levels to 1 in the architecture's arch_kwargs"
                )
            return loss
        weights = output_weights(
            kinds,
            self._bare_network.decoder,
            self.procedure.get("output_weights", {}),
            keep_all=self.is_ddp and not self._do_i_compile(),
        )
        for kind in sorted(set(self.procedure.get("output_weights", {})) - set(kinds)):
            self.print_to_log_file(
                f"training.output_weights names {kind}, an output that this network does not have"
            )
        return OutputsLoss(loss, AttentionLoss(**labels), list(zip(kinds, weights, strict=True)))

    def _voxel_weights(self) -> BoundaryWeights | None:
        entry = self.procedure.get("voxel_weights")
        if entry is None:
            return None
        plan = self.configuration_manager
        return BoundaryWeights(**entry, spacing=plan.spacing, size=plan.patch_size)

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple[Any, ...]:  # noqa: N802
        """nnU-Net's augmentation settings, without mirroring that exchanges left and right.

        Raises:
            UserError: the procedure mirrors left and right although labels have sides.
        """
        rotation, dummy_2d, initial, axes = (
            super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        )
        patch = self.configuration_manager.patch_size
        axes = tuple(self.procedure.get("mirror_axes", axes))
        if any(a >= len(patch) for a in axes):
            raise UserError(
                f"plans: training.mirror_axes is {list(axes)}; a patch of {len(patch)} axes has "
                f"axes 0 to {len(patch) - 1}"
            )
        allowed, reason = allowed_mirror_axes(
            axes, self.dataset_json, self.plans_manager.transpose_forward, len(patch)
        )
        if "mirror_axes" in self.procedure and allowed != axes:
            raise UserError(f"plans: training.mirror_axes is {list(axes)}, but {reason}")
        chosen = self.procedure.get("augmentation", "nnunet")
        if chosen != "nnunet":
            dummy_2d, initial = False, list(patch)
        if isinstance(chosen, dict):
            check_rank(chosen, len(patch))
            initial = initial_patch(chosen, patch)
        if chosen == "none" or (isinstance(chosen, dict) and "flip" not in chosen):
            # Prediction must not mirror what training did not mirror.
            allowed, reason = (), f"mirroring is off: training.augmentation is {chosen}"
        self.print_to_log_file(reason)
        # A recipe may name axes that are not mirrored here because a label has a side.
        predicted = self.procedure.get("prediction_mirror_axes", allowed)
        predicted = tuple(axis for axis in allowed if axis in predicted)
        self.print_to_log_file(f"mirroring axes {list(predicted)} at prediction")
        # The predictor expects None, not an empty tuple, for no mirroring.
        self.inference_allowed_mirroring_axes = predicted or None
        return rotation, dummy_2d, initial, allowed

    def get_training_transforms(self, *args: Any, **kwargs: Any) -> Any:
        """nnU-Net's augmentation, or the transforms of ``augmentation`` and nnU-Net's for validation."""
        chosen = self.procedure.get("augmentation", "nnunet")
        if chosen == "nnunet":
            return super().get_training_transforms(*args, **kwargs)
        patch, _, scales, mirror_axes = args[:4]
        keys = ("is_cascaded", "foreground_labels", "regions", "ignore_label")
        targets = self.get_validation_transforms(scales, **{k: kwargs[k] for k in keys})
        if chosen == "none":
            return targets
        made = transforms(chosen, patch, mirror_axes)
        masked = [i for i, used in enumerate(kwargs["use_mask_for_norm"] or ()) if used]
        if masked:  # as nnU-Net does: what was outside the image remains zero
            made.append(MaskImageTransform(masked, channel_idx_in_seg=0, set_outside_to=0))
        return ComposeTransforms([*made, targets])
