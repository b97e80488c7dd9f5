"""Prediction with a trained model folder: nnU-Net's predictor, and label maps in bounded memory."""

from nnunet_plugins.prediction.loading import find_device, load, plain_network, quiet
from nnunet_plugins.prediction.model import CHECKPOINT, READERS, Model, find_model
from nnunet_plugins.prediction.one_case import predict, predict_on_grid

__all__ = [
    "CHECKPOINT",
    "READERS",
    "Model",
    "find_device",
    "find_model",
    "load",
    "plain_network",
    "predict",
    "predict_on_grid",
    "quiet",
]
