"""Our formula for the memory of optimizers against what torch's optimizers allocate."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nnunet_plugins.costs.live_bytes import LiveBytes
from nnunet_plugins.costs.optimizer import copies
from nnunet_plugins.costs.training_step import make_optimizer
from nnunet_plugins.training.procedure import OPTIMIZERS

ELEMENTS = 4096


@pytest.mark.parametrize("options", [
    {}, {"weight_decay": 0.0}, {"momentum": 0.0}, {"momentum": 0.0, "weight_decay": 0.0},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("name", [None, *OPTIMIZERS])
@pytest.mark.parametrize("foreach", [True, False])
def test_copies_match_torchs_optimizer(foreach: bool, name: str | None, options: dict) -> None:
    training = options if name is None else {"optimizer": name, **options}
    weights = nn.Parameter(torch.zeros(ELEMENTS))
    optimizer = make_optimizer([weights], training)
    for group in optimizer.param_groups:
        group["foreach"] = foreach
    with LiveBytes() as live:
        for _ in range(2):  # the first step makes the state
            weights.grad = torch.zeros_like(weights)
            before = live.now
            live.reset()
            optimizer.step()
    state = [t for t in optimizer.state[weights].values() if isinstance(t, torch.Tensor)]
    kept = sum(t.numel() == ELEMENTS for t in state)
    assert copies(training, foreach=foreach) == (kept, (live.peak - before) // weights.nbytes)


def test_an_unknown_optimizer_is_named() -> None:
    with pytest.raises(ValueError, match="'Lion'"):
        copies({"optimizer": "Lion"}, foreach=True)
