"""Distances of files without a voxel size are in pixels, and are named so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nnunet_plugins.evaluation.cases import MM, listed
from nnunet_plugins.evaluation.definitions import METRICS
from nnunet_plugins.evaluation.summary import CaseScores, Scores
from nnunet_plugins.evaluation.tolerances import Tolerances


def in_unit(case: CaseScores, unit: str) -> CaseScores:
    """Return the scores with the unit of their distances; volumes in pixels have no millilitres."""
    if unit == MM:
        return case
    labels = {name: replace(one, volume_error_ml=None) for name, one in case.labels.items()}
    return replace(case, labels=labels, unit=unit)


def unit_notes(cases: Sequence[CaseScores]) -> list[str]:
    """A note if some files have no voxel size."""
    without = [case.name for case in cases if case.unit != MM]
    if not without:
        return []
    if len(without) == len(cases):
        return ["the files have no voxel size: distances and the tolerance of NSD are in pixels"]
    return [
        f"{len(without)} of {len(cases)} cases have no voxel size: 1 mm is assumed for {listed(without)}"
    ]


def title_of(metric: str, scores: Scores) -> str:
    """The heading of a metric, with the unit of the scores."""
    title = METRICS[metric].title
    return title if scores.unit == MM else title.replace(f" {MM}", f" {scores.unit}")


def tolerance_of(scores: Scores) -> str:
    """The tolerances of NSD with their unit."""
    return Tolerances(scores.tolerance, scores.tolerances).text(scores.unit)
