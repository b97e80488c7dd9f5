"""The loss of the plans' ``training`` entry, for all outputs of the network."""

from __future__ import annotations

from torch import nn

from nnunet_plugins.errors import UserError
from nnunet_plugins.training.losses.attention import AttentionLoss
from nnunet_plugins.training.losses.boundary import BoundaryWeights
from nnunet_plugins.training.losses.names import channel_names
from nnunet_plugins.training.losses.outputs import OutputsLoss, output_weights
from nnunet_plugins.training.losses.segmentation import DEFAULT_LOSS, build_loss
from nnunet_plugins.training.recording import RecordingTrainer


class LossTrainer(RecordingTrainer):
    """nnUNetTrainer with the loss of the procedure."""

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
        for kind in sorted(set(self.procedure.get("output_weights", {})) - set(kinds)):
            self.print_to_log_file(
                f"training.output_weights names {kind}, an output that this network does not have"
            )
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
        return OutputsLoss(loss, AttentionLoss(**labels), list(zip(kinds, weights, strict=True)))

    def _voxel_weights(self) -> BoundaryWeights | None:
        entry, plan = self.procedure.get("voxel_weights", {}), self.configuration_manager
        near = {key: entry[key] for key in ("distance", "weight") if key in entry}
        if not near:
            return None
        if near["distance"] < min(plan.spacing):
            raise UserError(
                f"plans: training.voxel_weights.distance is {near['distance']:g} mm, but the voxels of "
                f"{self.configuration_name} are {' x '.join(f'{s:g}' for s in plan.spacing)} mm, so none is within "
                "it of another label; allowed: the smallest of these sizes or more"
            )
        return BoundaryWeights(**near, spacing=plan.spacing, size=plan.patch_size)
