"""Scores of predicted label maps against references: `evaluate` and what it is made of."""

from nnunet_plugins.evaluation.scoring import evaluate
from nnunet_plugins.evaluation.summary import Scores

__all__ = ["Scores", "evaluate"]
