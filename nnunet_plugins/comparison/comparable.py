"""Whether runs can be compared at all: labels, cases, references, metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nnunet_plugins.comparison.runs import Run
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.metrics import METRICS, check_metrics


def check_labels(runs: Sequence[Run]) -> None:
    """Raise UserError unless all runs have the same labels."""
    first = runs[0].scores.labels
    for run in runs[1:]:
        if run.scores.labels.values != first.values:
            raise UserError(
                f"compare: {run.name} has other labels than {runs[0].name}: {_labels(run)} against "
                f"{_labels(runs[0])}; evaluate both with one dataset.json (-djfile)"
            )


def _labels(run: Run) -> str:
    return ", ".join(f"{name} {list(values)}" for name, values in run.scores.labels.values.items())


def same_cases(runs: Sequence[Run], *, common: bool) -> tuple[list[Run], list[str]]:
    """The runs on the cases that all have, and notes on those that were left out.

    Raises:
        UserError: they have not the same, and ``common`` does not allow that.
    """
    names = [{case.name for case in run.scores.cases} for run in runs]
    shared, every = set.intersection(*names), set.union(*names)
    gaps = [
        f"{run.name} lacks {len(every - there)} of {len(every)} cases: {_listed(sorted(every - there))}"
        for run, there in zip(runs, names, strict=True)
        if every - there
    ]
    if gaps and not (common and shared):
        cure = (
            "score the missing ones, or pass --common to compare on the cases that all have"
            if shared
            else "no case is in all of them"
        )
        raise UserError(f"compare: {'; '.join(gaps)}; {cure}")
    if not gaps:
        return list(runs), []
    kept = [
        replace(
            run,
            scores=replace(
                run.scores, cases=tuple(c for c in run.scores.cases if c.name in shared)
            ),
        )
        for run in runs
    ]
    return kept, [f"only the {len(shared)} cases that all runs have: {gap}" for gap in gaps]


def check_references(runs: Sequence[Run]) -> None:
    """Raise UserError where a label of a case has another volume in another run's reference."""
    first = {case.name: case for case in runs[0].scores.cases}
    for run in runs[1:]:
        for case in run.scores.cases:
            for label, found in case.labels.items():
                theirs = first[case.name].labels[label]
                if found.reference_voxels != theirs.reference_voxels:
                    raise UserError(
                        f"compare: {run.name} and {runs[0].name} were scored against different references: case "
                        f"{case.name}, {label}: {found.reference_voxels} and {theirs.reference_voxels} voxels; "
                        "score both against one (--reference REF)"
                    )


def check_measured(
    runs: Sequence[Run], metrics: Sequence[str] | None
) -> tuple[tuple[str, ...], list[str]]:
    """The metrics to compare by, and notes.

    Raises:
        UserError: a metric that a run does not have, or NSD at several tolerances.
    """
    if metrics is None:
        lacking = [run.name for run in runs if "hd95_mm" not in run.scores.metrics]
        if not lacking:
            return ("dice", "hd95_mm"), []
        return ("dice",), [
            f"no HD95: not measured in {', '.join(lacking)}; --reference REF measures it"
        ]
    wanted = check_metrics(metrics, METRICS)
    for run in runs:
        for metric in wanted:
            if metric not in run.scores.metrics:
                raise UserError(
                    f"compare: --metrics {metric}: {run.name} was not measured by it; it has "
                    f"{', '.join(run.scores.metrics)}; evaluate again (distances: --reference REF, pixels: --pixels)"
                )
    tolerances = {run.scores.tolerance for run in runs}
    if "nsd" in wanted and len(tolerances) > 1:
        raise UserError(
            f"compare: NSD was measured at {', '.join(f'{t:g}' for t in sorted(tolerances))} mm; evaluate all runs "
            "with one --tolerance"
        )
    return wanted, []


def _listed(names: Sequence[str], most: int = 5) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
