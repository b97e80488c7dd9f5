"""The Python API: what the commands do, as functions. Import them from `nnunet_plugins`.

Arguments are named after the long options of the commands. Every function imports what it needs when it is
called, so that `import nnunet_plugins` stays light. Lengths are in mm and memory is in GB unless stated otherwise.
"""

from __future__ import annotations

from nnunet_plugins.api.comparing import compare
from nnunet_plugins.api.data import check, convert
from nnunet_plugins.api.diagnosis import classify, evaluate_classifier, train_classifier
from nnunet_plugins.api.networks import build_network, plan

__all__ = [
    "build_network",
    "check",
    "classify",
    "compare",
    "convert",
    "evaluate_classifier",
    "plan",
    "train_classifier",
]
