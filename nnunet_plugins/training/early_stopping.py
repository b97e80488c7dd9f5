"""Stop a training that no longer improves (``training.early_stopping``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnunet_plugins.training.recording import RecordingTrainer


def is_over(averages: Sequence[float], patience: int, min_epochs: int = 0) -> bool:
    """Whether the last best value is ``patience`` epochs ago, and at least ``min_epochs`` epochs are done.

    Args:
        averages: nnU-Net's moving average of the pseudo-Dice, one per epoch; NaN counts as no improvement.
        patience: epochs without a new best value.
        min_epochs: epochs that are trained in any case.

    >>> is_over([0.1, 0.5, 0.4], 2), is_over([0.1, 0.5, 0.4, 0.5], 2), is_over([0.1, 0.5, 0.4, 0.5], 2, 5)
    (False, True, False)
    """
    done = len(averages)
    if done < max(min_epochs, 1):
        return False
    values = np.nan_to_num(np.asarray(averages, dtype=float), nan=-np.inf)
    return done - 1 - int(values.argmax()) >= patience


class _StoppedError(Exception):
    """Leaves nnU-Net's loop over the epochs."""


class EarlyStoppingTrainer(RecordingTrainer):
    """Ends the training as nnU-Net does after its last epoch: with checkpoint_final and the validation.

    The decision is made before each epoch and follows from the logged values. So a training that is continued stops
    at the same epoch, even if it was killed before it wrote checkpoint_final; one that has stopped is not continued.
    """

    def on_epoch_start(self) -> None:
        """nnU-Net's start of an epoch, unless the training is over."""
        entry = self.procedure.get("early_stopping")
        if entry is not None:
            averages = self.logger.get_value("ema_fg_dice", step=None)[: self.current_epoch]
            if is_over(averages, **entry):
                self.print_to_log_file(
                    f"early stopping after {self.current_epoch} of {self.num_epochs} epochs: no better moving "
                    f"average of the pseudo-Dice for {entry['patience']} epochs; the best is in checkpoint_best.pth"
                )
                raise _StoppedError
        super().on_epoch_start()

    def on_validation_epoch_end(self, val_outputs: list[dict[str, Any]]) -> None:
        """nnU-Net's end, after which an epoch without a pseudo-Dice leaves the moving average as it was.

        The pseudo-Dice is NaN if no batch holds a voxel of any label; nnU-Net's average would then be NaN for ever.
        """
        super().on_validation_epoch_end(val_outputs)
        averages = self.logger.get_value("ema_fg_dice", step=None)
        if "early_stopping" in self.procedure and np.isnan(averages[-1]):
            before = [one for one in averages if not np.isnan(one)]
            averages[-1] = before[-1] if before else self.logger.get_value("mean_fg_dice", step=-1)
            self.print_to_log_file("early stopping: no pseudo-Dice in this epoch")

    def run_training(self) -> None:
        """nnU-Net's training, which may end before its last epoch."""
        try:
            super().run_training()
        except _StoppedError:
            self.on_train_end()
