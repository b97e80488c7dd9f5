"""What our trainers share: the network from the plans, the procedure as data, sides kept apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import build
from nnunet_plugins.procedure import read_procedure
from nnunet_plugins.sides import allowed_mirror_axes

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


class PluginTrainer(nnUNetTrainer):
    """nnUNetTrainer with a network of ours and the procedure of the plans' ``training`` entry."""

    #: Network that takes the place of nnU-Net's own where the plans do not name one of ours.
    network_name: ClassVar[str]

    # nnU-Net reads these parameter names from its own frame: they must be exactly its own.
    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.procedure = read_procedure(self.configuration_manager.configuration)
        for key, attribute in _ATTRIBUTES.items():
            if key in self.procedure:
                setattr(self, attribute, self.procedure[key])

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The network of the plans if it is ours, else ``network_name`` in the plans' topology."""
        return build(
            cls.network_name,
            configuration_manager.configuration["architecture"],
            num_input_channels,
            num_output_channels,
            enable_deep_supervision,
        )

    def on_train_start(self) -> None:
        """Say what is trained and how before the first epoch."""
        super().on_train_start()
        network = getattr(self.network, "module", self.network)
        network = getattr(network, "_orig_mod", network)
        self.print_to_log_file(
            f"network: {type(network).__name__}; procedure of the plans: {self.procedure}"
        )

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, Any]:
        """nnU-Net's SGD with polynomial decay unless the procedure says otherwise."""
        optimizer, schedule = super().configure_optimizers()
        name = self.procedure.get("optimizer", "SGD")
        if name != "SGD":
            optimizer = getattr(torch.optim, name)(
                self.network.parameters(), self.initial_lr, weight_decay=self.weight_decay
            )
        constant = self.procedure.get("lr_schedule") == "constant"
        if name != "SGD" or constant:
            exponent = 0.0 if constant else schedule.exponent
            schedule = PolyLRScheduler(optimizer, self.initial_lr, self.num_epochs, exponent)
        return optimizer, schedule

    def _build_loss(self) -> nn.Module:
        loss = super()._build_loss()
        weights = self.procedure.get("loss")
        if weights is not None:
            inner = loss.loss if isinstance(loss, DeepSupervisionWrapper) else loss
            inner.weight_dice = weights.get("dice", 0.0)
            inner.weight_ce = weights.get("ce", 0.0)
        return loss

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple:  # noqa: N802
        """nnU-Net's augmentation settings, with mirroring limited to what keeps left and right apart.

        Raises:
            UserError: the procedure asks to mirror left and right of a dataset whose labels have sides.
        """
        rotation, dummy_2d, initial, axes = (
            super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        )
        patch = self.configuration_manager.patch_size
        wanted = tuple(self.procedure.get("mirror_axes", axes))
        if any(a >= len(patch) for a in wanted):
            raise UserError(
                f"plans: training.mirror_axes is {list(wanted)}; a patch of {len(patch)} axes has "
                f"axes 0 to {len(patch) - 1}"
            )
        allowed, reason = allowed_mirror_axes(
            wanted, self.dataset_json, self.plans_manager.transpose_forward, len(patch)
        )
        if "mirror_axes" in self.procedure and allowed != wanted:
            raise UserError(f"plans: training.mirror_axes is {list(wanted)}, but {reason}")
        if self.procedure.get("augmentation") == "none":
            # What was not mirrored in training must not be mirrored at prediction.
            dummy_2d, initial, allowed = False, patch, ()
            reason = "mirroring is off: training.augmentation is none"
        self.print_to_log_file(reason)
        # The predictor takes None, not an empty tuple, for no mirroring.
        self.inference_allowed_mirroring_axes = allowed or None
        return rotation, dummy_2d, initial, allowed

    def get_training_transforms(self, *args: Any, **kwargs: Any) -> Any:
        """nnU-Net's augmentation, or its plain validation transforms for ``augmentation: none``."""
        if self.procedure.get("augmentation") != "none":
            return super().get_training_transforms(*args, **kwargs)
        scales = args[2]  # patch_size, rotation_for_DA, deep_supervision_scales, ...
        taken = ("is_cascaded", "foreground_labels", "regions", "ignore_label")
        return self.get_validation_transforms(scales, **{k: kwargs[k] for k in taken})
