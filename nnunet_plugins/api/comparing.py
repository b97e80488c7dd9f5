"""Runs: compare on the same cases."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_plugins.api.arguments import Progress, StrPath, several
from nnunet_plugins.errors import UserError

if TYPE_CHECKING:
    from nnunet_plugins.comparison.compare import Comparison


def compare(
    runs: Sequence[StrPath],
    *,
    reference: StrPath | None = None,
    fold: Sequence[int | str] | None = None,
    metrics: Sequence[str] | None = None,
    common: bool = False,
    strict: bool = False,
    tolerance: float | str | Mapping[str, float] | Sequence[float | str] = 2.0,
    pixels: bool = False,
    seed: int = 0,
    groups: StrPath | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Comparison:
    """Compare runs on the same cases with the first of them, as `nnunet-plugins compare` does.

    Args:
        runs: each a scores file of `evaluate`, a folder of predictions or a model folder of nnU-Net;
            ``"NAME=PATH"`` names it.
        reference: folder of the reference label maps, for runs that are not scored yet; model folders find
            theirs where nnU-Net keeps them.
        fold: folds of model folders; all without one.
        metrics: names such as ``dice`` or ``hd95_mm``; these two without any. Those that `evaluate` measures on
            request only, e.g. ``nsd_area``, are measured for runs that are scored here.
        common: compares on the cases that all runs have.
        strict: raises an error where the comparison is not fair.
        tolerance: tolerance of the normalised surface Dice in mm, or ``{"sacrum": 2, "default": 1}``.
        pixels: measures distances in voxels as well.
        seed: seed of the bootstrap.
        groups: CSV file of cases and their patients: intervals and tests are by patient.
        jobs: processes that score cases; above 1, a script must call this under
            ``if __name__ == "__main__":``.
        progress: wraps the list of cases that are scored, e.g. ``tqdm.tqdm``.

    Returns:
        Means, confidence intervals and paired tests per metric and label, and what makes runs differ.

    Raises:
        UserError: runs that cannot be read or compared, an unknown metric, or an unfair comparison under
            ``strict``.
    """
    from nnunet_plugins.comparison.compare import compare as compare_runs
    from nnunet_plugins.comparison.runs import Options, load
    from nnunet_plugins.comparison.tables import warnings_of
    from nnunet_plugins.evaluation.measuring import more_of

    names = None if metrics is None else several(metrics)
    options = Options(
        None if reference is None else Path(reference),
        None if fold is None else [str(one) for one in several(fold)],
        None if groups is None else Path(groups),
        tolerance=tolerance,
        pixels=pixels,
        jobs=jobs,
        progress=progress,
        metrics=more_of(tuple(names or ())),
    )
    loaded = load([os.fspath(run) for run in several(runs)], options)
    found = compare_runs(loaded, names, common=common, seed=seed)
    if strict and (warnings := warnings_of(found)):
        raise UserError("; ".join(warnings))
    return found
