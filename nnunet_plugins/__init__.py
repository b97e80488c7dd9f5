"""nnU-Net v2 plugins for spine and sacroiliac-joint segmentation.

`convert`, `check`, `plan`, `evaluate`, `compare`, `train_classifier`, `classify`, `evaluate_classifier`,
`build_network` and `register_trainers` do what the commands do.
Importing this package imports neither torch nor nnU-Net; a function imports what it needs when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnunet_plugins.api import (
        build_network,
        check,
        classify,
        compare,
        convert,
        evaluate_classifier,
        plan,
        train_classifier,
    )
    from nnunet_plugins.environment import register_trainers
    from nnunet_plugins.evaluation import evaluate

__version__ = "0.2.0"
__all__ = [
    "build_network",
    "check",
    "classify",
    "compare",
    "convert",
    "evaluate",
    "evaluate_classifier",
    "plan",
    "register_trainers",
    "train_classifier",
]

_ELSEWHERE = {"evaluate": "evaluation", "register_trainers": "environment"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'api')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
