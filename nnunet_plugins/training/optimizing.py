"""Optimizer and schedule of the plans' ``training`` entry."""

from __future__ import annotations

from typing import Any

import torch

from nnunet_plugins.training.accumulation import AccumulatingTrainer
from nnunet_plugins.training.fine_tuning.trainer import FineTuningTrainer
from nnunet_plugins.training.schedules import StepDecay, make_schedule


class OptimizingTrainer(FineTuningTrainer, AccumulatingTrainer):
    """nnUNetTrainer with the optimizer, schedule and steps of the procedure."""

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, Any]:
        """nnU-Net's SGD with polynomial decay, unless the procedure sets something else."""
        optimizer, _ = super().configure_optimizers()
        name = self.procedure.get("optimizer", "SGD")
        if name != "SGD":
            optimizer = getattr(torch.optim, name)(
                self.network.parameters(), self.initial_lr, weight_decay=self.weight_decay
            )
        elif "momentum" in self.procedure:
            momentum = self.procedure["momentum"]
            for group in optimizer.param_groups:  # Nesterov requires momentum
                group.update(momentum=momentum, nesterov=momentum > 0)
        self._set_rates(optimizer)
        return optimizer, make_schedule(
            self.procedure,
            optimizer,
            self.initial_lr,
            self.num_epochs,
            self.num_iterations_per_epoch,
        )

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """nnU-Net's step; a schedule that counts iterations then sets the rate of the next one."""
        result: dict[str, Any] = super().train_step(batch)
        if isinstance(self.lr_scheduler, StepDecay):
            self.lr_scheduler.advance()
        return result
