"""Loss of all outputs of a network under deep supervision, and the weight of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import repeat
from typing import Any

import torch
from torch import Tensor, nn

#: Weights of outputs other than the decoder's: 1 for the bottleneck head of silveira2025-inception-dual, 0.2 for
#: the attention maps of sij-fm-25d-attention-unet.
DEFAULT_WEIGHTS = {"auxiliary": 1.0, "attention": 0.2}


class OutputsLoss(nn.Module):
    """Weighted sum over the outputs of a network under deep supervision.

    Like nnU-Net's DeepSupervisionWrapper, but attention maps among the outputs are compared with the first,
    full-size target, and the number of outputs is checked.

    Args:
        segmentation: loss of (logits, target).
        attention: loss of (map, full-size target).
        outputs: (kind, weight) of each output in order; kinds as in ``architectures.outputs.Output``. Outputs of
            weight 0 are skipped.

    Raises:
        ValueError: unknown kind, or no weight above 0; in the call, another number of outputs or targets than
            given here.
    """

    def __init__(
        self, segmentation: nn.Module, attention: nn.Module, outputs: Sequence[tuple[str, float]]
    ) -> None:
        super().__init__()
        losses = {"logits": segmentation, "auxiliary": segmentation, "attention": attention}
        for kind, weight in outputs:
            if kind not in losses or not weight >= 0:
                raise ValueError(
                    f"outputs loss: ({kind!r}, {weight}) is not an output; kinds: {', '.join(losses)}; weights of "
                    "0 or more"
                )
        if not any(weight for _, weight in outputs):
            raise ValueError(
                "outputs loss: no output has a weight above 0; give one of them a weight"
            )
        self.segmentation = segmentation
        self.attention = attention
        self.outputs = tuple(outputs)

    def forward(
        self,
        outputs: Sequence[Tensor],
        targets: Sequence[Tensor],
        maps: Sequence[Tensor] | None = None,
    ) -> Tensor:
        for name, given in (("outputs", outputs), ("targets", targets)):
            if isinstance(given, Tensor) or len(given) != len(self.outputs):
                found = "one tensor" if isinstance(given, Tensor) else f"{len(given)} {name}"
                raise ValueError(
                    f"outputs loss: got {found} for {len(self.outputs)} outputs "
                    f"({', '.join(kind for kind, _ in self.outputs)}); deep supervision must be on or off "
                    f"for network, loss and data alike"
                )
        losses = [
            weight
            * (
                self.attention(output, targets[0])
                if kind == "attention"
                else self.segmentation(output, target, weight_map)
            )
            for (kind, weight), output, target, weight_map in zip(
                self.outputs, outputs, targets, maps or repeat(None, len(outputs)), strict=True
            )
            if weight != 0
        ]
        total: Tensor = reduce(torch.add, losses)
        return total

    def extra_repr(self) -> str:
        return f"outputs={self.outputs}"


def output_weights(
    kinds: Sequence[str], decoder: Any, extra: Mapping[str, float], *, keep_all: bool = False
) -> list[float]:
    """Weight of each output: for the decoder as in nnU-Net, for others from the procedure.

    nnU-Net halves the weight from level to level, drops the coarsest and normalises the sum to 1. The coarsest
    counts if it is the only one, or if the plans chose the levels.

    Args:
        kinds: kind of each output, in order.
        decoder: the number of its ``stages`` is the number of levels that could have a head.
        extra: weights of outputs other than the decoder's; they replace :data:`DEFAULT_WEIGHTS`.
        keep_all: avoid weights of 0, because DDP rejects parameters without gradient.

    >>> output_weights(["logits", "logits", "attention"], None, {"attention": 0.5})
    [0.6666666666666666, 0.3333333333333333, 0.5]
    """
    logits = list(kinds).count("logits")
    levels = [0.5**i for i in range(logits)]
    if logits > 1 and logits == len(getattr(decoder, "stages", ())):
        levels[-1] = 1e-6 if keep_all else 0.0
    levels = [weight / sum(levels) for weight in levels]
    shares = DEFAULT_WEIGHTS | dict(extra)
    return [levels.pop(0) if kind == "logits" else shares[kind] for kind in kinds]
