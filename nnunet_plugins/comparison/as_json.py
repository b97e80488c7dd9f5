"""A comparison as JSON: every number with full precision, how it was computed, and the agreement of volumes."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from nnunet_plugins.comparison.agreement import METHOD, volume_agreement
from nnunet_plugins.comparison.compare import Comparison, Line
from nnunet_plugins.comparison.signed_rank import EXACT_UP_TO
from nnunet_plugins.comparison.statistics import FEW
from nnunet_plugins.comparison.tables import notes_of, warnings_of

FORMAT = "nnunet-plugins comparison"
FORMAT_VERSION = 1
METHODS = {
    "ci": "95 % interval of the mean: bootstrap, BCa, seeded; by patient if patients have several cases. ci_of_few: "
    f"of fewer than {FEW} cases or patients, for which it is too short",
    "median_ci": "95 % interval of the median: order statistics by the binomial distribution, null below 6; by "
    "patient: percentiles of a bootstrap that draws patients",
    "against_first": "each run against the first: Wilcoxon's signed-rank test, two-sided, zeros left out; exact for "
    f"up to {EXACT_UP_TO} differences, ties included. Cases of a patient are averaged first",
    "sd_of_trainings": "of a run with several trainings, which differ in the seed: SD of their means over the cases "
    "that all of them have. All other numbers are of each case's mean over the trainings",
    "spread": "SD of the difference between one training of each run; a run with one training is taken to vary as "
    "much as the other. within_spread: the mean gain over the first run is smaller",
    "p_holm": "Holm's correction over the tests of a metric",
    "volumes": METHOD,
}


def comparison_json(comparison: Comparison) -> str:
    """The text of a JSON file, without paths and dates, so that equal inputs give equal bytes."""
    content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "runs": [run.name for run in comparison.runs],
        "cases": len(comparison.runs[0].scores.cases),
        "patients": len(set(comparison.patients.values())) or None,
        "by_patient": comparison.by_patient,
        "methods": METHODS,
        "warnings": warnings_of(comparison),
        "notes": notes_of(comparison),
        "metrics": {
            table.metric: {"tests": table.tests, "lines": [_line(line) for line in table.lines]}
            for table in comparison.tables
        },
        "volumes": {
            run.name: {label: asdict(one) for label, one in volume_agreement(run.scores).items()}
            for run in comparison.runs
        },
    }
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _line(line: Line) -> dict[str, Any]:
    found = asdict(line)
    return {
        "label": line.label,
        "run": line.run,
        "n": line.n,
        "patients": line.patients,
        "without_value": line.lost,
        "mean": line.mean,
        "sd": line.sd,
        "ci": line.ci,
        "ci_of_few": line.few,
        "median": line.median,
        "median_ci": line.median_ci,
        "against_first": found["against"],
        "p_holm": line.p,
        "trainings": line.trainings,
        "sd_of_trainings": line.sd_of_trainings,
        "gain": line.gain,
        "spread": line.spread,
        "within_spread": line.within_spread,
    }
