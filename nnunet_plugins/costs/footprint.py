"""Memory and operations of a training step, counted on tensors without data: no card, no memory needed."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from nnunet_plugins.costs.gc_paused import collector_off
from nnunet_plugins.costs.hollow import HollowMode
from nnunet_plugins.costs.live_bytes import LiveBytes
from nnunet_plugins.costs.optimizer import copies
from nnunet_plugins.costs.training_step import Setup, TrainingStep

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True)
class Footprint:
    """What one training step takes.

    Attributes:
        parameters: number of trainable parameters.
        flops: floating-point operations of forward and backward (a multiply-add is two).
        moved_bytes: what its operations read and write.
        weight_bytes: parameters and buffers.
        state_bytes: the optimiser's.
        activation_bytes: what the forward pass leaves for the backward pass, the data included.
        peak_bytes: the most that is alive at once, all of the above and the gradients included. What a
            convolution takes for itself while it runs (cuDNN's workspace), the CUDA context and an
            allocator's gaps are not in it.
    """

    parameters: int
    flops: int
    moved_bytes: int
    weight_bytes: int
    state_bytes: int
    activation_bytes: int
    peak_bytes: int


class _CountedStep(TrainingStep):
    """A step that notes what is alive between forward and backward."""

    live: LiveBytes
    held = 0

    def after_forward(self) -> None:
        self.held = self.live.now

    def update(self) -> None:
        """Left out: what the optimiser takes is known without running it, see ``costs.optimizer``."""


#: Linux's number of 'send me a signal when my parent ends' (<linux/prctl.h>).
_PR_SET_PDEATHSIG = 1

#: What was counted already in this process: planning and its tables ask for the same again and again.
_COUNTED: dict[tuple[str, bool], Footprint] = {}


def count(setup: Setup, *, half: bool = True) -> Footprint:
    """Run one step of a setup without data and add up what is alive.

    Args:
        setup: what is trained.
        half: in fp16 under autocast, as on CUDA; else in fp32.

    Raises:
        UserError: the network cannot take the plan.
        ValueError: the network cannot run on the patch.
    """
    key = (repr(setup), half)
    if key not in _COUNTED:
        _COUNTED[key] = _count(setup, half=half)
    return _COUNTED[key]


def count_ahead(setups: Sequence[Setup]) -> None:
    """Count several at once, so that :func:`count` knows them; what fails here fails there, with its error.

    Processes are forked, as importing torch anew would take longer than counting. Where the system cannot fork,
    or torch could not work in a fork (a card is in use, threads for backward passes run), nothing is done ahead.
    """
    new = {key: setup for setup in setups if (key := (repr(setup), True)) not in _COUNTED}
    processes = min(len(new), os.cpu_count() or 1)
    # macOS can fork, but its libraries cannot bear it.
    if processes < 2 or torch.cuda.is_initialized() or sys.platform != "linux":
        return
    context = multiprocessing.get_context("fork")
    try:
        pool = ProcessPoolExecutor(processes, context, _begin, (os.getpid(),))
        try:
            found = list(pool.map(_count_or_none, new.values()))
        finally:
            pool.shutdown(cancel_futures=True)
    except (BrokenProcessPool, OSError, ImportError):  # ended from outside, no room, no semaphores
        return
    _COUNTED.update({key: cost for key, cost in zip(new, found, strict=True) if cost is not None})


def _begin(parent: int) -> None:
    """End with the parent, at Ctrl-C without a word, and see no card.

    Autograd would start a thread for each card, and a card cannot be shared with the process forked from.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked to be told
        os._exit(1)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


def _count_or_none(setup: Setup) -> Footprint | None:
    try:
        return _count(setup, half=True)
    except Exception:
        return None  # counted again, and raised, in the process that asks


def _count(setup: Setup, *, half: bool) -> Footprint:
    with collector_off():
        network = without_data(setup)
    # No cycle of a step holds tensors: counts are the same with the collector on.
    with collector_off(), live_without_data() as live:
        give_tensors(network, torch.device("cpu"))
        step = _CountedStep(setup, torch.device("cpu"), half=half, network=network)
        step.live = live
        weights = sum(t.nbytes for t in step.weights)
        trained = [p for p in step.network.parameters() if p.requires_grad]
        live.forget_peak()
        live.flops = live.moved = 0
        base = live.now
        step()
        given = sum(t.nbytes for t in [step.data, *step.targets])
        sizes = [p.nbytes for p in trained]
        kept, beside = copies(setup.training, together=half)
        state = kept * sum(sizes)
        at_work = beside * (sum if half else max)(sizes)
        return Footprint(
            parameters=sum(p.numel() for p in trained),
            flops=live.flops,
            moved_bytes=live.moved,
            weight_bytes=weights,
            state_bytes=state,
            activation_bytes=step.held - base + given,
            peak_bytes=max(live.peak + state, base + sum(sizes) + state + at_work),
        )


@contextmanager
def live_without_data() -> Iterator[LiveBytes]:
    """Tensors that are made have no data, and are counted."""
    live = LiveBytes()
    with HollowMode(live):
        yield live


def without_data(setup: Setup) -> nn.Module:
    """The setup's network on 'meta'. Its weights are not drawn: that would import torch's compiler, for seconds."""
    with torch.device("meta"):
        return setup.build(initialize=False)


def give_tensors(network: nn.Module, device: torch.device) -> None:
    """Give ``network`` new tensors without content; what is shared stays shared."""
    made: dict[int, torch.Tensor] = {}
    for module in network.modules():
        for own in (module._parameters, module._buffers):
            for name, old in own.items():
                if old is None:
                    continue
                if id(old) not in made:
                    # No nn.Parameter: making one costs more than the tensor, and nothing here asks for the class.
                    new = torch.empty(old.shape, dtype=old.dtype, device=device)
                    made[id(old)] = new.requires_grad_(old.requires_grad)
                own[name] = made[id(old)]  # type: ignore[assignment]
