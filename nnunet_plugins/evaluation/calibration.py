"""Calibration of saved probabilities: expected calibration error per label, and reliability curves.

Of each label against the rest: voxels are sorted by the predicted probability into bins of equal width, and the
mean probability of a bin is compared with the share of its voxels that have the label (Guo et al. 2017, arXiv
1706.04599; per class as in Nixon et al. 2019, arXiv 1904.01685).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_plugins.atomic_files import placed_in
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.boxes import box_of
from nnunet_plugins.evaluation.cases import LabelMap, check_geometry, read, with_axes_of
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.evaluation.pairs import Pair
from nnunet_plugins.evaluation.parallel import each
from nnunet_plugins.evaluation.probabilities import classes, shape_of
from nnunet_plugins.figures import PAGE, figure
from nnunet_plugins.text_table import number, ruled

BINS = 15
MARGIN = 10  # voxels
DEFINITION = (
    f"ece: sum over {BINS} bins of equal width of |share of voxels with the label - mean probability|, weighted by "
    "the bin's share of the voxels; bins are of the voxels of all cases, without ignored ones. ece_near: the same "
    f"over the voxels in the label's box in reference and prediction, enlarged by {MARGIN} voxels, as the background "
    "far away lowers any ece"
)
Progress = Callable[[list[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Curve:
    """Bins of one label: numbers of voxels, and sums of their probabilities and of those that have the label."""

    voxels: NDArray[np.float64]
    probability: NDArray[np.float64]
    true: NDArray[np.float64]

    def __add__(self, other: Curve) -> Curve:
        return Curve(
            self.voxels + other.voxels,
            self.probability + other.probability,
            self.true + other.true,
        )

    @property
    def ece(self) -> float | None:
        """Expected calibration error, 0 to 1; None without voxels."""
        total = self.voxels.sum()
        return float(np.abs(self.true - self.probability).sum() / total) if total else None

    @property
    def means(self) -> tuple[list[float | None], list[float | None]]:
        """Mean probability and share of the label of each bin; None for empty bins."""
        filled = np.maximum(self.voxels, 1)
        x, y = ([*map(float, sums / filled)] for sums in (self.probability, self.true))
        return _or_none(x, self.voxels), _or_none(y, self.voxels)


def bins_of(probability: NDArray[Any], true: NDArray[Any]) -> Curve:
    """Bins of voxels by their probability.

    >>> curve = bins_of(np.array([0.1, 0.9, 0.9]), np.array([False, True, False]))
    >>> round(curve.ece, 3)  # (1 * 0.1 + 2 * 0.4) / 3
    0.3

    Args:
        probability: in 0 to 1, any shape.
        true: whether each voxel has the label, of the same shape.
    """
    at = np.minimum((probability * BINS).astype(np.intp), BINS - 1).ravel()
    return Curve(
        np.bincount(at, minlength=BINS).astype(float),
        np.bincount(at, probability.ravel(), BINS).astype(float),
        np.bincount(at, true.ravel(), BINS).astype(float),
    )


def probability_files(pairs: Sequence[Pair]) -> dict[str, Path]:
    """Case -> the .npz file next to its prediction.

    Raises:
        UserError: a case has none.
    """
    found = {pair.name: pair.prediction.parent / f"{pair.name}.npz" for pair in pairs}
    missing = [path for path in found.values() if not path.is_file()]
    if missing:
        raise UserError(
            f"--calibration: {missing[0]}: no probabilities ({len(missing)} of {len(pairs)} cases have none); "
            "predict with --save_probabilities, or validate with nnUNetv2_train ... --val --npz"
        )
    return found


def calibrate(
    pairs: Sequence[Pair], labels: Labels, *, jobs: int = 1, progress: Progress | None = None
) -> dict[str, tuple[Curve, Curve]]:
    """Label -> its bins over all voxels, and over the voxels near the label.

    Args:
        pairs: predictions with probabilities next to them, and references.
        labels: declared; the probabilities have one channel per value from 0, or one per region.
        jobs: processes.
        progress: wraps the list of pairs.

    Raises:
        UserError: probabilities are missing or damaged, or have another grid or number of channels.
    """
    files = probability_files(pairs)
    work = partial(_case, labels=labels, files=files)
    found: dict[str, tuple[Curve, Curve]] = {}
    shown = progress(list(pairs)) if progress else pairs
    for _, case in zip(shown, each(work, list(pairs), jobs), strict=True):
        for name, (far, near) in case.items():
            found[name] = (
                (found[name][0] + far, found[name][1] + near) if name in found else (far, near)
            )
    return found


def calibration_table(curves: dict[str, tuple[Curve, Curve]]) -> str:
    """ECE of each label, as text."""
    rows = [("label", "ECE", "ECE near")]
    rows += [(name, number(a.ece, 4), number(b.ece, 4)) for name, (a, b) in curves.items()]
    return "\n".join(ruled(rows))


def write_calibration(
    curves: dict[str, tuple[Curve, Curve]], cases: int, folder: Path
) -> list[Path]:
    """Write calibration.json and calibration.png: reliability curves and numbers of voxels near each label.

    Raises:
        UserError: the folder cannot be written to.
    """
    content = {
        "format": "nnunet-plugins calibration",
        "format_version": 1,
        "definition": DEFINITION,
        "cases": cases,
        "labels": {
            name: {"ece": far.ece, "ece_near": near.ece, "all": _entry(far), "near": _entry(near)}
            for name, (far, near) in curves.items()
        },
    }
    with placed_in(folder) as scratch:
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        (scratch / "calibration.json").write_text(text, encoding="utf-8")
        with figure([scratch / "calibration.png"], (PAGE / 2, PAGE * 0.6), curves) as drawing:
            axes, counts = drawing.subplots(2, sharex=True, height_ratios=(4, 1))
            axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
            for name, (_, near) in curves.items():
                if near.ece is None:
                    continue
                x, y = (np.array(means, float) for means in near.means)  # None becomes nan
                look = {"label": f"{name} (ECE near {number(near.ece, 4)})", "clip_on": False}
                axes.plot(x[near.voxels > 0], y[near.voxels > 0], marker="o", markersize=3, **look)
                counts.stairs(near.voxels, np.linspace(0, 1, BINS + 1))
            axes.set(ylabel="share of voxels with the label", xlim=(0, 1), ylim=(0, 1))
            axes.legend(frameon=False, fontsize=6)
            counts.set(
                xlabel="predicted probability", ylabel="voxels", yscale="log", ylim=(0.5, None)
            )
            counts.yaxis.set_major_formatter("{x:,.0f}")
    return [folder / "calibration.json", folder / "calibration.png"]


def _case(pair: Pair, labels: Labels, files: dict[str, Path]) -> dict[str, tuple[Curve, Curve]]:
    path = files[pair.name]
    predicted = read(pair.prediction)
    # The probabilities have the axes of the prediction.
    true, _ = with_axes_of(read(pair.reference), predicted)
    check_geometry(predicted, true)
    shape = shape_of(path)
    _check_shape(path, shape[1:], predicted)
    channels = _channels(path, shape[0], labels)
    reference, other = (one.voxels.reshape(shape[1:]) for one in (true, predicted))
    counted = None if labels.ignore is None else reference != labels.ignore
    found = {}
    for index, probability in enumerate(classes(path)):
        if index not in channels:
            continue
        name = channels[index]
        probability = probability.clip(0, 1)
        inside = np.isin(reference, labels.values[name])
        either = inside | np.isin(other, labels.values[name])
        box = box_of(either, [MARGIN] * either.ndim) or slice(0, 0)
        found[name] = (
            _counted(probability, inside, counted, ...),
            _counted(probability, inside, counted, box),
        )
    return {name: found[name] for name in labels.values}


def _counted(probability: Any, inside: Any, counted: Any, at: Any) -> Curve:
    """Bins of the voxels at an index, without ignored ones."""
    p, y = probability[at], inside[at]
    return bins_of(p, y) if counted is None else bins_of(p[counted[at]], y[counted[at]])


def _channels(path: Path, count: int, labels: Labels) -> dict[int, str]:
    """Channel -> label: by value, or in the order of the regions."""
    names = list(labels.values)
    if any(len(values) > 1 for values in labels.values.values()):
        if count == len(names):
            return dict(enumerate(names))
    elif labels.known == frozenset(range(count)):
        return {values[0]: name for name, values in labels.values.items()}
    raise UserError(
        f"{path}: {count} channels; the labels {', '.join(names)} ({labels.source}) need one per value from 0, or "
        "one per region: pass the model's dataset.json with -djfile"
    )


def _check_shape(path: Path, shape: Sequence[int], predicted: LabelMap) -> None:
    stored = predicted.voxels.shape
    if [n for n in shape if n > 1] != [n for n in stored if n > 1]:
        raise UserError(
            f"{path}: probabilities of {tuple(shape)} voxels, the label map has {stored}; predict both again"
        )


def _entry(curve: Curve) -> dict[str, Any]:
    x, y = curve.means
    return {"voxels": [int(n) for n in curve.voxels], "mean_probability": x, "share_of_label": y}


def _or_none(values: Sequence[float], voxels: NDArray[Any]) -> list[float | None]:
    return [value if n else None for value, n in zip(values, voxels, strict=True)]
