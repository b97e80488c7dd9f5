"""Checks that runs are comparable: labels, cases, references, metrics."""

from __future__ import annotations

from collections.abc import Sequence

from dataset_conversion.errors import some
from nnunet_plugins.comparison.runs import Run
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.definitions import METRICS, check_metrics
from nnunet_plugins.evaluation.patients import numbered, patients_of
from nnunet_plugins.evaluation.summary import CaseScores
from nnunet_plugins.evaluation.units import tolerance_of


def check_labels(runs: Sequence[Run]) -> None:
    """Raise UserError unless all runs have the same labels."""
    first = runs[0].scores.labels
    for run in runs[1:]:
        if run.scores.labels.values != first.values:
            raise UserError(
                f"compare: {run.name} has other labels than {runs[0].name}: {_labels(run)} against "
                f"{_labels(runs[0])}; evaluate both with the same dataset.json (-djfile)"
            )


def _labels(run: Run) -> str:
    return ", ".join(f"{name} {list(values)}" for name, values in run.scores.labels.values.items())


def same_cases(runs: Sequence[Run], *, common: bool) -> tuple[list[Run], list[str]]:
    """The runs reduced to their common cases, and notes on the cases that were left out.

    Raises:
        UserError: the cases differ and ``common`` is false, or no case is common.
    """
    names = [{case.name for case in run.scores.cases} for run in runs]
    shared, every = set.intersection(*names), set.union(*names)
    gaps = [
        f"{run.name} lacks {len(every - own)} of {len(every)} cases: {some(sorted(every - own))}"
        for run, own in zip(runs, names, strict=True)
        if every - own
    ]
    if gaps and not (common and shared):
        fix = (
            "score the missing cases, or pass --common to compare on the cases that all runs have"
            if shared
            else "no case is in all runs"
        )
        raise UserError(f"compare: {'; '.join(gaps)}; {fix}")
    if not gaps:
        return list(runs), []
    kept = [run.on(shared) for run in runs]
    return kept, [f"only the {len(shared)} cases that all runs have: {gap}" for gap in gaps]


def check_references(runs: Sequence[Run]) -> None:
    """Raise UserError if the references of a case differ between runs in the volume of a label."""
    first: dict[str, tuple[Run, CaseScores]] = {}
    for run in runs:
        for case in run.scores.cases:
            earlier, known = first.setdefault(case.name, (run, case))
            for label, found in case.labels.items():
                reference = known.labels[label]
                if found.reference_voxels != reference.reference_voxels:
                    raise UserError(
                        f"compare: {run.name} and {earlier.name} were scored against different references: case "
                        f"{case.name}, {label}: {found.reference_voxels} and {reference.reference_voxels} voxels; "
                        "score both against the same reference (--reference REF)"
                    )


def same_patients(runs: Sequence[Run]) -> dict[str, int]:
    """Case -> number of its patient, by the first run that knows it; empty if no run does.

    Raises:
        UserError: two runs group the cases differently.
    """
    known = {run.name: numbered(found) for run in runs if (found := patients_of(run.scores))}
    if len({tuple(found.items()) for found in known.values()}) > 1:
        raise UserError(
            f"compare: {', '.join(known)} have different patients for the same cases; pass --groups FILE.csv"
        )
    return next(iter(known.values()), {})


def check_measured(
    runs: Sequence[Run], metrics: Sequence[str] | None
) -> tuple[tuple[str, ...], list[str]]:
    """The metrics of the comparison, and notes.

    Raises:
        UserError: a run does not have a metric, or NSD has several tolerances.
    """
    if metrics is None:
        lacking = [run.name for run in runs if "hd95_mm" not in run.scores.metrics]
        if not lacking:
            return ("dice", "hd95_mm"), []
        return ("dice",), [
            f"no HD95: not measured in {', '.join(lacking)}; it needs the label maps and their references "
            "(--reference REF)"
        ]
    chosen = check_metrics(metrics, METRICS)
    for run in runs:
        for metric in chosen:
            if metric not in run.scores.metrics:
                raise UserError(
                    f"compare: --metrics {metric}: not measured in {run.name}, which has "
                    f"{', '.join(run.scores.metrics)}; evaluate again (distances: --reference REF, pixels: --pixels, "
                    f"others: evaluate --metrics {metric})"
                )
    tolerances = {tolerance_of(run.scores) for run in runs}
    if {"nsd", "nsd_area"}.intersection(chosen) and len(tolerances) > 1:
        raise UserError(
            f"compare: NSD was measured at {', '.join(sorted(tolerances))}; evaluate all runs with the same "
            "--tolerance"
        )
    return chosen, []
