"""Batches that do not fit the memory, in parts (``training.accumulate``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from nnunet_plugins.errors import UserError
from nnunet_plugins.training.losses.terms import divided_by
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

    With Dice per sample and normalisation by instance, the step is that of the whole batch; means that are weighted
    (classes, voxels, ignored voxels) divide by the weights of the whole batch. Batch Dice is computed over each part,
    and batch normalisation uses the statistics of each part.
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
        parts = [(data, _moved(target, self.device)) for data, target in parts_of(batch, count)]
        weights: Tensor | None = None
        for data, target in parts:
            data = data.to(self.device, non_blocking=True)
            # As nnU-Net: half precision on CUDA only. MPS has no autocast, not even one that is switched off.
            cuda = self.device.type == "cuda"
            with torch.autocast("cuda") if cuda else nullcontext():
                output = self.network(data)
                if weights is None:
                    weights = self._mean_weights(output, [target for _, target in parts])
                loss = self._loss_of_part(output, target, weights) / count
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

    def _loss_of_part(self, output: Any, target: Any, weights: Tensor) -> Tensor:
        rest = iter(weights)
        with divided_by(lambda _: next(rest)):
            loss: Tensor = self.loss(output, target)
        return loss

    @torch.no_grad()
    def _mean_weights(self, output: Any, targets: Sequence[Any]) -> Tensor:
        """Mean over the parts of each sum of weights that the loss divides by, in the order in which it does.

        The sums follow from the targets, so the output of any part serves to compute them.
        """
        sums: list[Tensor] = []

        def seen(total: Tensor) -> Tensor:
            sums.append(total.float())
            return total

        with divided_by(seen):
            for target in targets:
                self.loss(output, target)
                if not sums:
                    return torch.zeros(0)
        return torch.stack(sums).view(len(targets), -1).mean(0)


def _moved(target: Any, device: torch.device) -> Any:
    if isinstance(target, list):
        return [_moved(one, device) for one in target]
    return target.to(device, non_blocking=True)
