"""Memory and operations of a training step, counted on fake tensors: no GPU and no memory needed."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nnunet_plugins.costs.fake_tensors import fake_tensors
from nnunet_plugins.costs.live_bytes import LiveBytes
from nnunet_plugins.costs.optimizer import copies
from nnunet_plugins.costs.training_step import Setup, TrainingStep


@dataclass(frozen=True)
class Footprint:
    """Cost of one training step.

    Attributes:
        parameters: number of trainable parameters.
        flops: floating-point operations of forward and backward pass (a multiply-add counts as two).
        moved_bytes: bytes that its operations read and write.
        weight_bytes: parameters and buffers.
        state_bytes: state of the optimizer.
        activation_bytes: what the forward pass keeps for the backward pass, including the data.
        peak_bytes: maximum of live bytes, including all of the above and the gradients. Excludes the
            workspace of convolutions (cuDNN), the CUDA context and the allocator's gaps.
    """

    parameters: int
    flops: int
    moved_bytes: int
    weight_bytes: int
    state_bytes: int
    activation_bytes: int
    peak_bytes: int


class _CountedStep(TrainingStep):
    """A step that records the live bytes between forward and backward pass."""

    live: LiveBytes
    held = 0

    def after_forward(self) -> None:
        self.held = self.live.now

    def update(self) -> None:
        """Skipped: the optimizer's memory is known without running it, see ``costs.optimizer``."""


#: Counts of this process: planning and its tables ask for the same setups repeatedly.
_COUNTED: dict[tuple[str, bool], Footprint] = {}


def count(setup: Setup, *, half: bool = True) -> Footprint:
    """Run one step of a setup on fake tensors and count its operations and live bytes.

    Args:
        setup: what is trained.
        half: in fp16 under autocast, as on CUDA; otherwise in fp32.

    Raises:
        UserError: the network does not support the plan.
        ValueError: the network does not support the patch.
    """
    key = (repr(setup), half)
    if key not in _COUNTED:
        _COUNTED[key] = _count(setup, half=half)
    return _COUNTED[key]


def _count(setup: Setup, *, half: bool) -> Footprint:
    with fake_tensors(), LiveBytes() as live:
        step = _CountedStep(setup, torch.device("cpu"), half=half)
        step.live = live
        live.reset()
        base = live.now
        step()
    trained = [p for p in step.network.parameters() if p.requires_grad]
    sizes = [p.nbytes for p in trained]
    kept, temporary = copies(setup.training, foreach=half)
    state = kept * sum(sizes)
    updating = temporary * (sum if half else max)(sizes)
    return Footprint(
        parameters=sum(p.numel() for p in trained),
        flops=live.flops,
        moved_bytes=live.moved,
        weight_bytes=sum(t.nbytes for t in step.weights),
        state_bytes=state,
        activation_bytes=step.held - base + sum(t.nbytes for t in [step.data, *step.targets]),
        peak_bytes=max(live.peak + state, base + sum(sizes) + state + updating),
    )
