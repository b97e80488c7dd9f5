"""Masks: each reader and arm against the reference, alone against assisted, the model against the readers."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import attrgetter

from nnunet_plugins.comparison.case_values import MEAN, Case, gains, measured_gains, values_of
from nnunet_plugins.comparison.statistics import interval, paired
from nnunet_plugins.evaluation.cases import listed
from nnunet_plugins.evaluation.definitions import METRICS as DEFINITIONS
from nnunet_plugins.readers.accuracy import means
from nnunet_plugins.readers.findings import GAIN, Finding, corrected
from nnunet_plugins.readers.mask_scoring import MaskScoring
from nnunet_plugins.readers.reads import ALONE, ASSISTED, MODEL
from nnunet_plugins.readers.several import Scores, common_cases, stacked, together

MASKS, GAINS, AGAINST_MODEL = (
    "masks",
    "masks, alone against assisted",
    "masks, model against readers",
)
AGAINST = "model - alone"
#: Differences of masks, of all metrics; of which lower values, or those near 0, are better have their sign turned.
TURNED = "positive if better"
METRICS = ("dice", "precision", "recall")


def of_masks(
    found: MaskScoring, metrics: Sequence[str] = METRICS
) -> tuple[list[Finding], list[str]]:
    """Means, gains with Wilcoxon's test, and all readers together, for each metric and label; and notes."""
    names = list(found.labels.values)
    findings: list[Finding] = []
    left_out: dict[str, list[str]] = {}
    readers = list(dict.fromkeys(reader for reader, _ in found.scores if reader != MODEL))
    for metric in metrics:
        for label in [MEAN, *names] if len(names) > 1 else names:
            cases = {key: values_of(scores, label, metric) for key, scores in found.scores.items()}
            findings += [_mean(found, metric, label, key, values) for key, values in cases.items()]
            for reader in readers:
                alone, assisted = cases.get((reader, ALONE)), cases.get((reader, ASSISTED))
                if alone and assisted:
                    findings += _gain(found, GAINS, metric, label, reader, alone, assisted)
                model = cases.get((MODEL, MODEL))
                if alone and model:
                    findings += _gain(found, AGAINST_MODEL, metric, label, reader, alone, model)
            together_, why = _together(found, cases, readers, metric, label)
            findings += together_
            for one in why:
                left_out.setdefault(one, []).append(f"{DEFINITIONS[metric].title} of {label}")
    notes = [f"masks of all readers ({listed(of)}): {one}" for one, of in left_out.items()]
    return corrected(findings, lambda one: (one.table, one.measure)), notes


def _mean(
    found: MaskScoring, metric: str, label: str, key: tuple[str, str], values: Mapping[str, Case]
) -> Finding:
    known = {name: one.value for name, one in values.items() if one.value is not None}
    numbers = [*known.values()]
    low, high = interval(numbers, _patients(found, known)) or (None, None)
    return Finding(
        MASKS, metric, *key, statistics.fmean(numbers) if numbers else None, low, high, len(numbers),
        sd=statistics.stdev(numbers) if len(numbers) > 1 else None, label=label, method="bootstrap interval",
    )  # fmt: skip


def _gain(
    found: MaskScoring, table: str, metric: str, label: str, reader: str,
    first: Mapping[str, Case], second: Mapping[str, Case],
) -> list[Finding]:  # fmt: skip
    """How much better the second is, in the cases that both have; the test ranks those without a value, too."""
    both = [name for name in first if name in second]
    first, second = ({name: of[name] for name in both} for of in (first, second))
    better, measured = gains(first, second), measured_gains(first, second)
    if not better:
        return []
    test = paired([*better.values()], _patients(found, better))
    patients = _patients(found, measured)
    low, high = interval([*measured.values()], patients) or (None, None)
    return [
        Finding(
            table, metric, reader, GAIN if table == GAINS else AGAINST,
            statistics.fmean(measured.values()) if measured else None, low, high,
            len(set(patients or measured)), n_test=test.n, better=test.wins, worse=test.losses, p=test.p, label=label,
            method=f"Wilcoxon, {test.method}; bootstrap interval; {TURNED}",
        )
    ]  # fmt: skip


def _together(
    found: MaskScoring,
    cases: Mapping[tuple[str, str], Mapping[str, Case]],
    readers: Sequence[str],
    metric: str,
    label: str,
) -> tuple[list[Finding], list[str]]:
    known, turned = (
        {
            key: {name: of(one) for name, one in values.items() if one.value is not None}
            for key, values in cases.items()
        }
        for of in (attrgetter("value"), attrgetter("good"))
    )
    shared, notes = common_cases(known, readers)
    patients = _patients(found, dict.fromkeys(shared))
    if len(set(patients or shared)) < 2:
        return [], notes

    def of_all(scores: Scores) -> list[Finding]:
        values = means(stacked(scores, readers, shared), patients)
        return together(*values, metric, len(shared), label=label)

    return [
        replace(gain, method=f"{gain.method}; {TURNED}") if gain.arm == GAIN else one
        for one, gain in zip(of_all(known), of_all(turned), strict=True)
    ], notes


def _patients(found: MaskScoring, cases: Mapping[str, object]) -> list[int] | None:
    return [found.patients[case] for case in cases] if found.patients else None
