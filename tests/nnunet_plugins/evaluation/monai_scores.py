"""MONAI's scores of two masks, under our names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from monai import metrics


def tensors(*masks: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(mask != 0)[None, None] for mask in masks]


def monai(
    prediction: np.ndarray, reference: np.ndarray, spacing: Sequence[float], tolerance: float = 2.0
) -> dict[str, float]:
    x, y = tensors(prediction, reference)
    near = {"include_background": True, "spacing": list(spacing)}
    found = {
        "hd_mm": metrics.compute_hausdorff_distance(x, y, **near),
        "hd95_mm": metrics.compute_hausdorff_distance(x, y, percentile=95, **near),
        "assd_mm": metrics.compute_average_surface_distance(x, y, symmetric=True, **near),
        "nsd": metrics.compute_surface_dice(x, y, [tolerance], **near),
        "dice": metrics.compute_dice(x, y, include_background=True),
        "iou": metrics.compute_iou(x, y, include_background=True),
    }
    return {name: score.item() for name, score in found.items()}
