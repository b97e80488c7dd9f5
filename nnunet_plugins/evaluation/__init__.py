"""Scores of predicted label maps against references."""

from nnunet_plugins.evaluation.scoring import evaluate
from nnunet_plugins.evaluation.summary import Scores
from nnunet_plugins.evaluation.table import score_table

__all__ = ["Scores", "evaluate", "score_table"]
