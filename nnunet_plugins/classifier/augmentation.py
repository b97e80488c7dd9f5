"""Random changes of a batch within the slice: flip, turn, zoom, shift; and of the image's brightness and contrast."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

_TURN, _ZOOM, _SHIFT = np.radians(10), 0.1, 0.1  # the shift: of half the width
_CONTRAST, _BRIGHTNESS = 0.15, 0.1


def augmented(batch: Tensor, random: np.random.Generator, *, flip: bool) -> Tensor:
    """Return a changed copy.

    Args:
        batch: image, and image within the mask; (B, 2, z, y, x).
        random: decides.
        flip: whether left and right are along x, so that a flip gives another possible patient.
    """
    count = len(batch)
    turn = random.uniform(-_TURN, _TURN, count)
    zoom = np.exp(random.uniform(-_ZOOM, _ZOOM, count))
    shift = random.uniform(-_SHIFT, _SHIFT, (count, 2))
    sign = random.choice([1.0, -1.0], count) if flip else np.ones(count)
    contrast = np.exp(random.uniform(-_CONTRAST, _CONTRAST, count))
    brightness = random.uniform(-_BRIGHTNESS, _BRIGHTNESS, count)
    tall, wide = batch.shape[-2:]
    matrix = np.zeros((count, 3, 4))
    # Coordinates run from -1 to 1 along both axes, of different lengths.
    matrix[:, 0, 0], matrix[:, 1, 1] = sign * zoom * np.cos(turn), zoom * np.cos(turn)
    matrix[:, 0, 1] = -zoom * np.sin(turn) * tall / wide
    matrix[:, 1, 0] = sign * zoom * np.sin(turn) * wide / tall
    matrix[:, :2, 3], matrix[:, 2, 2] = shift, 1.0
    grid = F.affine_grid(torch.from_numpy(matrix).to(batch), list(batch.shape), align_corners=False)
    moved = F.grid_sample(batch, grid, padding_mode="zeros", align_corners=False)
    factor = torch.from_numpy(contrast).to(batch)[:, None, None, None, None]
    offset = torch.from_numpy(brightness).to(batch)[:, None, None, None]
    moved = moved * factor
    image = moved[:, 0] + offset
    inside = torch.where(moved[:, 1] != 0, moved[:, 1] + offset, moved[:, 1])
    return torch.stack([image, inside], dim=1)
