"""Loss curves of several trainings in one figure, training and validation next to each other."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnunet_plugins.errors import UserError
from nnunet_plugins.figures import PAGE, check_figure, figure
from nnunet_plugins.model_folder import is_model, read_model
from nnunet_plugins.reports.colours import LINES
from nnunet_plugins.training_log import TrainingLog, read_training_log

_STYLES = ("-", "--", ":", "-.")
_LEGEND = 4  # columns
Curve = dict[int, tuple[float, float, float]]


def loss_curves(path: Path, runs: Mapping[str, Path | Sequence[Path]]) -> None:
    """Draw the training and the validation loss of several runs by epoch, from nnU-Net's training logs.

    A run with several folds or seeds is drawn as their mean, over the epochs that all of them have, in a band from
    the lowest to the highest. Losses of runs that minimise different functions are on different scales.

    Args:
        path: .png, .pdf or .svg.
        runs: title -> a model folder of nnU-Net, the folder of a fold, or several of either.

    Raises:
        UserError: a run without losses in its logs, or the path has another ending.
    """
    check_figure(path)
    if not runs:
        raise UserError("loss curves: no run; pass at least one model folder")
    logs = {name: _logs(name, folders) for name, folders in runs.items()}
    rows = -(-len(runs) // _LEGEND)
    look = {"axes_spines_top": False, "axes_spines_right": False}
    with figure([path], (PAGE, 2.5 + 0.16 * rows), runs, **look) as drawing:
        axes = drawing.subplots(1, 2, sharey=True, sharex=True)
        for panel, part in zip(axes, ("train", "val"), strict=True):
            for number, of_run in enumerate(logs.values()):
                _draw(panel, number, mean_curve([getattr(log, part) for log in of_run]))
            panel.set_title({"train": "training", "val": "validation"}[part], fontsize=8)
            panel.set_xlabel("epoch")
            panel.xaxis.get_major_locator().set_params(integer=True)
            panel.grid(color="#dddddd", linewidth=0.6)
        axes[0].set_ylabel("loss")
        columns = min(_LEGEND, len(runs))
        drawing.legend(
            axes[0].lines, list(runs), loc="outside lower center", ncols=columns, frameon=False
        )


def mean_curve(curves: Sequence[Mapping[int, float]]) -> Curve:
    """Epoch -> mean, lowest and highest value, of the epochs that all curves have.

    >>> mean_curve([{0: 1.0, 1: 0.5}, {0: 2.0}])
    {0: (1.5, 1.0, 2.0)}
    """
    common = sorted(set.intersection(*(set(curve) for curve in curves))) if curves else []
    values = {epoch: [curve[epoch] for curve in curves] for epoch in common}
    return {epoch: (statistics.fmean(v), min(v), max(v)) for epoch, v in values.items()}


def _logs(name: str, folders: Path | Sequence[Path]) -> list[TrainingLog]:
    every = [folders] if isinstance(folders, Path) else list(folders)
    folds = [
        fold for folder in every for fold in (read_model(folder).folds if is_model(folder) else [folder])
    ]  # fmt: skip
    logs = [read_training_log(fold) for fold in folds]
    silent = [str(fold) for fold, log in zip(folds, logs, strict=True) if not log.train]
    if silent or not logs:
        raise UserError(
            f"loss curves: {name}: no losses in the training logs of {', '.join(silent) or 'no folder'}; pass a "
            "model folder as nnUNetv2_train wrote it (nnU-Net's zip of a model leaves the logs out)"
        )
    return logs


def _draw(panel: Any, number: int, curve: Curve) -> None:
    colour = LINES[number % len(LINES)]
    style = _STYLES[number // len(LINES) % len(_STYLES)]
    epochs = [epoch + 1 for epoch in curve]
    means, lows, highs = zip(*curve.values(), strict=True) if curve else ((), (), ())
    few = "o" if len(epochs) < 20 else None
    panel.plot(epochs, means, style, color=colour, linewidth=1.2, marker=few, markersize=2.5)
    if lows != highs:
        panel.fill_between(epochs, lows, highs, color=colour, alpha=0.18, linewidth=0)
