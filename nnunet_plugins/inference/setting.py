"""How cases are predicted: the options of nnUNetv2_predict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_plugins.errors import UserError
from nnunet_plugins.prediction.loading import load
from nnunet_plugins.prediction.model import Model
from nnunet_plugins.prediction.outputs import ONLY_LABELS, Outputs


@dataclass(frozen=True)
class Setting:
    """How all cases are predicted.

    Attributes:
        device: auto, cpu, cuda or mps.
        mirroring: average over mirrored images, if the model was trained for it.
        step_size: between windows, in window lengths.
        on_device: keep the logits in the memory of a CUDA device.
        outputs: what is written besides the label map.
        previous: folder of the label maps of a cascade's previous stage.
    """

    device: str = "auto"
    mirroring: bool = True
    step_size: float = 0.5
    on_device: bool = True
    outputs: Outputs = ONLY_LABELS
    previous: Path | None = None

    def previous_of(self, case: str, model: Model) -> Path | None:
        """The label map of a cascade's previous stage."""
        return None if self.previous is None else self.previous / f"{case}{model.ending}"

    def load(self, model: Model) -> Any:
        """Return nnU-Net's predictor of a model; see `prediction.load`.

        Raises:
            UserError: it cannot be loaded, or predictions of a previous stage are given to a model without one.
        """
        predictor = load(
            model, self.device, mirroring=self.mirroring, step_size=self.step_size,
            on_device=self.on_device, cascade=self.previous is not None,
        )  # fmt: skip
        if self.previous is not None and not predictor.configuration_manager.previous_stage_name:
            raise UserError(
                f"-prev_stage_predictions {self.previous}: {model.folder} is not the second stage of a cascade; omit "
                "the option"
            )
        return predictor
