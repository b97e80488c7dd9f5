"""Augmentation and mirroring of the plans' ``training`` entry, with left and right kept apart."""

from __future__ import annotations

from typing import Any

from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.nnunet_masking import MaskImageTransform

from nnunet_plugins.errors import UserError
from nnunet_plugins.training.augmentation import check_rank, initial_patch, mirrors, transforms
from nnunet_plugins.training.mirroring import allowed_mirror_axes
from nnunet_plugins.training.recording import RecordingTrainer


class AugmentingTrainer(RecordingTrainer):
    """nnUNetTrainer with the augmentation of the procedure, and without mirroring that exchanges left and right."""

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
        if not mirrors(chosen):
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
