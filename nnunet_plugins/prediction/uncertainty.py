"""Maps of how certain a prediction is, voxel by voxel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def entropy_of(probabilities: Tensor, *, regions: bool) -> Tensor:
    r"""Entropy of the predicted distribution in nats; with regions, the largest binary entropy of a region.

    Args:
        probabilities: (heads, \*S).
        regions: whether each head is a region of its own, instead of one of several classes.

    >>> entropy_of(torch.tensor([[0.5], [0.5]]), regions=False)
    tensor([0.6931])
    """
    if not regions:
        entropy: Tensor = torch.special.entr(probabilities).sum(0)
        return entropy
    both: Tensor = torch.special.entr(probabilities) + torch.special.entr(1 - probabilities)
    return both.amax(0)


def disagreement_of(labels: NDArray[Any], others: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    r"""Share of label maps that have another label than the final one, from 0 (all agree) to 1.

    The variation ratio (Freeman, Elementary Applied Statistics, 1965) as Beluch et al. (CVPR 2018) use it for
    ensembles of networks, counted against the final label in place of the most frequent one.

    Args:
        labels: (\*S), the final label map.
        others: (\*S) each: the label maps of the folds or models.

    >>> disagreement_of(np.array([1, 2]), [np.array([1, 1]), np.array([1, 2])]).tolist()
    [0.0, 0.5]
    """
    found = np.zeros(labels.shape, np.float32)
    for other in others:
        found += other != labels
    found /= len(others)
    return found
