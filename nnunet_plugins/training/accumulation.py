"""Batches that do not fit the memory, in parts (``training.accumulate``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch

from nnunet_plugins.errors import UserError
from nnunet_plugins.training.recording import RecordingTrainer

_CLIP = 12  # nnU-Net's limit for the norm of the gradient


def parts_of(batch: dict[str, Any], count: int) -> Iterator[tuple[Any, Any]]:
    """Data and target of each of ``count`` equal parts of a batch of nnU-Net's loader.

    >>> batch = {"data": torch.zeros(4, 1, 8, 8), "target": [torch.zeros(4, 1, 8, 8)]}
    >>> [(data.shape[0], target[0].shape[0]) for data, target in parts_of(batch, 2)]
    [(2, 2), (2, 2)]
    """
    data, target = batch["data"], batch["target"]
    several = isinstance(target, list)
    pieces = [one.chunk(count) for one in (target if several else [target])]
    for i, part in enumerate(data.chunk(count)):
        targets = [piece[i] for piece in pieces]
        yield part, targets if several else targets[0]


class AccumulatingTrainer(RecordingTrainer):
    """Adds up the gradients of the parts of a batch and then takes one step.

    With a loss that is a mean over samples and normalisation by instance, the step is that of the whole batch. Batch
    Dice is computed over each part, and batch normalisation uses the statistics of each part.
    """

    def initialize(self) -> None:
        """nnU-Net's initialisation.

        Raises:
            UserError: the batch cannot be divided into that many equal parts.
        """
        super().initialize()
        count = self.procedure.get("accumulate", 1)
        if self.batch_size % count:
            gpus = " per GPU" if self.is_ddp else ""
            raise UserError(
                f"plans: training.accumulate is {count}, but the batch of {self.batch_size}{gpus} cannot be divided "
                "into that many equal parts; choose a divisor, or plan with --batch-size"
            )

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """nnU-Net's step; with ``accumulate`` the same over the parts of the batch."""
        count = self.procedure.get("accumulate", 1)
        if count == 1:
            whole: dict[str, Any] = super().train_step(batch)
            return whole
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for data, target in parts_of(batch, count):
            data = data.to(self.device, non_blocking=True)
            move = [one.to(self.device, non_blocking=True) for one in _listed(target)]
            # As nnU-Net: half precision on CUDA only. MPS has no autocast, not even one that is switched off.
            cuda = self.device.type == "cuda"
            with torch.autocast("cuda") if cuda else nullcontext():
                loss = self.loss(self.network(data), move if isinstance(target, list) else move[0])
            loss = loss / count
            (loss if self.grad_scaler is None else self.grad_scaler.scale(loss)).backward()
            total += loss.detach()
        if self.grad_scaler is not None:
            self.grad_scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
        if self.grad_scaler is None:
            self.optimizer.step()
        else:
            self.grad_scaler.step(self.optimizer)
            self.grad_scaler.update()
        return {"loss": total.cpu().numpy()}


def _listed(target: Any) -> list[torch.Tensor]:
    return target if isinstance(target, list) else [target]
