"""The tables of an evaluation: measures, calls, calibration, readers, two classifiers, and the paper's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnunet_plugins.classifier.measures import TITLES, Measure, Result
from nnunet_plugins.classifier.paired import Comparison, Discordant, Reader
from nnunet_plugins.comparison.tables import NOTHING, Sheet
from nnunet_plugins.diagnosis.calls import SHARES
from nnunet_plugins.diagnosis.proportions import Interval, wilson
from nnunet_plugins.papers.sij_fm_25d_attention_unet import CLASSIFIER, CLASSIFIER_AUC, PAPER
from nnunet_plugins.text_table import count, number

SPLITS = {"test": "Internal test set", "external": "External test set"}
_PRINTED = {
    "accuracy": "Accuracy", "sensitivity": "Sensitivity", "specificity": "Specificity", "ppv": "PPV", "npv": "NPV",
    "kappa": "kappa",
}  # fmt: skip
_RISES = "Calls do not change, nor does the AUC of one validation set."
_FALLS = "THE SLOPE IS NOT POSITIVE: on a validation set, the score does not rise with the disease."
_DEPENDENT = (
    "By case, of {} patients: cases of one patient are alike, so intervals are too short and p is too small. The "
    "other tables are by patient."
)
#: Why the paper's kappa and n differ from what its percentages give.
_COUNTS_OF_PAPER = {
    "internal": "54 true positives, 7 false negatives, 24 true negatives, 11 false positives",
    "external": "34 true positives, 3 false negatives, 11 true negatives, 10 false positives",
}


def measures_sheet(result: Result) -> Sheet:
    """All measures with both intervals."""
    rows = tuple(
        (
            TITLES[one.name],
            number(one.value, 3),
            _limits(one.interval),
            _limits(one.bootstrap),
            "" if one.part is None else f"{one.part[0]}/{one.part[1]}",
        )
        for one in result.measures
    )
    patients = count(len(result.labels), "patient")
    cases = f" ({count(result.cases, 'case')}; probabilities are averaged by patient)"
    positive = result.predictions.classes[1]
    return Sheet(
        f"{SPLITS[result.split]}: {patients}, {int(result.labels.sum())} of class {positive}"
        + (cases if result.cases != len(result.labels) else ""),
        ("measure", "value", "95 % interval", "bootstrap", "counts"),
        rows,
        notes=(
            "Intervals: AUC by DeLong, shares by Wilson, kappa by Fleiss, Cohen and Everitt; bootstrap: percentiles "
            "of resamples within each class.",
            f"Calls at the threshold {result.predictions.threshold_text}, Youden's on the validation set.",
        ),
    )


def calls_sheet(result: Result) -> Sheet:
    """The table of calls and truth."""
    negative, positive = result.predictions.classes
    c = result.counts
    return Sheet(
        "Calls",
        ("diagnosis", f"called {positive}", f"called {negative}"),
        ((positive, str(c.tp), str(c.fn)), (negative, str(c.fp), str(c.tn))),
    )


def trainings_sheet(result: Result) -> Sheet | None:
    """AUC of each seed and of each fold; None for one training."""
    predictions = result.predictions
    rows = [
        (f"seed {seed}", number(auc, 3))
        for seed, auc in zip(predictions.seeds, result.of_seeds, strict=True)
        if len(result.of_seeds) > 1
    ]
    rows += [
        (f"fold {part.training['cross_validation']['fold']}", number(auc, 3))
        for part, auc in zip(predictions.folds, result.of_folds, strict=True)
    ]
    if not rows:
        return None
    notes: tuple[str, ...] = ()
    if result.of_folds and result.split == "test":
        rows.append(("mean of the folds", number(float(np.mean(result.of_folds)), 3)))
        rows.append(("patients of all folds together", number(result.measure("auc").value, 3)))
        notes = (
            "The AUC of all folds together also ranks patients of different folds, which different networks scored. "
            "DeLong's interval takes them for scores of one network.",
        )
    else:
        rows.append(("mean of the probabilities", number(result.measure("auc").value, 3)))
    return Sheet("Trainings", ("training", "AUC"), tuple(rows), notes=notes)


def calibration_sheet(result: Result) -> Sheet:
    """Brier score, intercept and slope, before and after recalibration."""
    found = result.calibration
    line, fits = found.line, found.recalibrations
    rows = [
        ("as predicted", number(result.measure("brier").value, 3), number(line.intercept if line else None, 2),
         number(line.slope if line else None, 2)),
    ]  # fmt: skip
    notes = ["Intercept 0 and slope 1: calibrated."]
    if not line:
        notes.append("The score separates the classes, so there is neither intercept nor slope.")
    if fits:
        rows.append(("recalibrated", number(found.brier_after, 3), NOTHING, NOTHING))
        each = "; ".join(f"intercept {one.intercept:.2f}, slope {one.slope:.2f}" for one in fits)
        rising = all(one.slope > 0 for one in fits)
        notes.append(
            f"Recalibration, fitted on the validation set{' of each fold' if len(fits) > 1 else ''}: {each} on the "
            f"logit. {_RISES if rising else _FALLS}"
        )
    return Sheet(
        "Calibration",
        ("probabilities", "Brier score", "intercept", "slope"),
        tuple(rows),
        notes=tuple(notes),
    )


def readers_sheet(readers: Sequence[Reader], patients: int) -> Sheet:
    """Readers, and McNemar's test of each against the classifier.

    Args:
        readers: with their calls of cases.
        patients: of these cases.
    """
    rows = tuple(
        (
            one.name,
            str(one.counts.n),
            *(
                f"{number(one.counts.share(name), 3)} {_limits(wilson(*one.counts.parts[name]))}"
                for name in ("accuracy", "sensitivity", "specificity")
            ),
            *_discordant(one.against),
        )
        for one in readers
    )
    return Sheet(
        "Readers",
        (
            "reader",
            "cases",
            "accuracy",
            "sensitivity",
            "specificity",
            "classifier right",
            "reader right",
            "p",
            "chi-square p",
        ),
        rows,
        notes=(
            "Intervals by Wilson. Cases that only one of the two is right about; p by McNemar's exact test.",
            *([_DEPENDENT.format(patients)] if readers[0].counts.n > patients else []),
        ),
    )


def comparison_sheet(names: tuple[str, str], found: Comparison) -> Sheet:
    """Two classifiers."""
    areas = found.areas
    rows = (
        ("difference of AUC", f"{areas.value:+.3f} {_limits(areas.interval)}"),
        ("p (DeLong, paired)", _p(areas.p)),
        (f"patients that only {names[0]} is right about", str(found.calls.first)),
        (f"patients that only {names[1]} is right about", str(found.calls.second)),
        ("p (McNemar, exact)", _p(found.calls.exact)),
        ("p (McNemar, chi-square)", _p(found.calls.chi_square)),
    )
    return Sheet(
        f"{names[0]} against {names[1]}",
        ("comparison", "value"),
        rows,
        notes=(
            "The chi-square test is an approximation; below 25 discordant patients use the exact one.",
        ),
    )


def paper_sheet(result: Result) -> Sheet:
    """Table 4 and the AUCs of paper 002 next to ours."""
    rows = []
    for one in result.measures:
        if one.name != "auc" and one.name not in _PRINTED:
            continue
        own = f"{number(one.value, 3)} {_limits(one.interval)}"
        rows.append((TITLES[one.name], *(_printed(one, side) for side in CLASSIFIER), own))
    footnotes = [one for one in PAPER.footnotes if one.startswith("Table 4")]
    counts = "; ".join(f"{side}: {text}" for side, text in _COUNTS_OF_PAPER.items())
    return Sheet(
        f"{PAPER.key}, table 4, and this classifier",
        ("measure", *(f"paper, {side}" for side in CLASSIFIER), f"here, {result.split}"),
        tuple(rows),
        notes=(
            *footnotes,
            f"Counts that give the paper's percentages: {counts}.",
            "Different patients, masks and training: the columns are not a comparison of methods.",
        ),
    )


def _printed(one: Measure, side: str) -> str:
    if one.name == "auc":
        value, low, high = CLASSIFIER_AUC[side]
        return f"{value:.3f} {_limits((low, high))}"
    title, table = _PRINTED[one.name], CLASSIFIER[side]
    if one.name not in SHARES:
        return f"{table[title]:.3f}"
    limits = (table[f"{title}.low"] / 100, table[f"{title}.high"] / 100)
    return f"{table[title] / 100:.3f} {_limits(limits)}"


def _discordant(one: Discordant) -> tuple[str, str, str, str]:
    return str(one.first), str(one.second), _p(one.exact), _p(one.chi_square)


def _limits(interval: Interval | None) -> str:
    return "-" if interval is None else f"({interval[0]:.3f} to {interval[1]:.3f})"


def _p(value: float | None) -> str:
    return "-" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"
