"""Learning rates that are computed from epoch and iteration, so that a restart does not change them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class StepDecay(LRScheduler):
    """``initial_lr * factor ** (iterations done // every)``, a staircase.

    With ``every = per_epoch`` it is an exponential decay per epoch.

    Args:
        optimizer: its learning rate is set.
        initial_lr: of the first iteration.
        factor: from one step of the staircase to the next.
        every: iterations per step.
        per_epoch: iterations per epoch.
    """

    def __init__(
        self, optimizer: Optimizer, initial_lr: float, *, factor: float, every: int, per_epoch: int
    ) -> None:
        self.initial_lr, self.factor, self.every = initial_lr, factor, every
        self.per_epoch, self.done = per_epoch, 0
        super().__init__(optimizer)

    def step(self, epoch: int | None = None) -> None:
        """Set the rate of the first iteration of an epoch, as nnU-Net does when an epoch starts."""
        self._set((epoch or 0) * self.per_epoch)

    def advance(self) -> None:
        """Set the rate of the next iteration."""
        self._set(self.done + 1)

    def _set(self, done: int) -> None:
        self.done = done
        rate = self.initial_lr * self.factor ** (done // self.every)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("factor", 1)
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]


class PolyDecay(PolyLRScheduler):  # type: ignore[misc]
    """nnU-Net's polynomial decay, times the ``factor`` of each group of parameters."""

    def step(self, current_step: int | None = None) -> None:
        """Set the rates of an epoch."""
        super().step(current_step)
        for group in self.optimizer.param_groups:
            group["lr"] *= group.get("factor", 1)
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]


def make_schedule(
    training: Mapping[str, Any],
    optimizer: Optimizer,
    initial_lr: float,
    epochs: int,
    per_epoch: int,
) -> Any:
    """The schedule of a ``training`` entry; nnU-Net's polynomial decay if it names none."""
    kind = training.get("lr_schedule", "poly")
    if kind in ("exponential", "step"):
        every = training["lr_step"] if kind == "step" else per_epoch
        return StepDecay(
            optimizer, initial_lr, factor=training["lr_decay"], every=every, per_epoch=per_epoch
        )
    exponent = {"exponent": 0.0} if kind == "constant" else {}
    return PolyDecay(optimizer, initial_lr, epochs, **exponent)
