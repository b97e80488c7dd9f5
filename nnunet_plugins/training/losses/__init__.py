"""Losses of the plans' ``training`` entry: of a segmentation, of an attention map, of all outputs.

With :data:`DEFAULT_LOSS`, value and gradient equal those of nnU-Net's own loss.
"""

from nnunet_plugins.training.losses.attention import AttentionLoss
from nnunet_plugins.training.losses.outputs import DEFAULT_WEIGHTS, OutputsLoss, output_weights
from nnunet_plugins.training.losses.segmentation import DEFAULT_LOSS, SegmentationLoss, build_loss

__all__ = [
    "DEFAULT_LOSS",
    "DEFAULT_WEIGHTS",
    "AttentionLoss",
    "OutputsLoss",
    "SegmentationLoss",
    "build_loss",
    "output_weights",
]
