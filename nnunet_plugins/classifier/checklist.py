"""Items of STARD 2015, TRIPOD+AI and CLAIM 2024 that the files of a classifier can answer; paraphrased.

STARD 2015: Bossuyt et al., BMJ 2015, 351, h5527; STARD-AI (Sounderajah et al., Nature Medicine 2025) keeps these
items and adds others, which files cannot answer. TRIPOD+AI: Collins et al., BMJ 2024, 385, e078378. CLAIM 2024
update: Tejani et al., Radiology: Artificial Intelligence 2024, 6(4) e240300.
"""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_plugins.classifier.measures import Result

BY_AUTHORS = "not in the files: for the authors"


def filled(results: Sequence[Result]) -> list[tuple[str, str, str]]:
    """Checklist and number, what it asks for, and the answer.

    Args:
        results: of one classifier, one per split.
    """
    predictions = results[0].predictions
    training = predictions.training
    settings, cases = training["settings"], training["cases"]
    auc = "; ".join(f"{one.split} {one.measure('auc').value:.3f}" for one in results)
    sizes = ", ".join(f"{one.split} {len(one.labels)} patients" for one in results)
    split = f"training {cases['train']} and validation {cases['validation']} cases; {sizes}; no patient on two sides"
    masks = (
        f"predicted by {predictions.segmenter}, which was not trained on the cases as far as its files show"
        if predictions.segmenter
        else "DRAWN, not predicted"
    )
    model = (
        f"{predictions.network} on {' x '.join(map(str, settings['size']))} voxels of "
        f"{' x '.join(f'{mm:g}' for mm in settings['spacing'])} mm; image and image within the mask; masks {masks}"
    )
    procedure = (
        f"Adam {settings['learning_rate']:g}, {settings['epochs']} epochs, batch {settings['batch']}, weight of "
        f"positive cases {settings['positive_weight']:g}, epoch with the highest validation AUC; seeds "
        f"{', '.join(map(str, predictions.seeds))}"
    )
    threshold = f"{predictions.threshold:.4f}, Youden's index on the validation set, before test cases were scored"
    balance = "; ".join(
        f"{one.split}: {int(one.labels.sum())} of {len(one.labels)} positive" for one in results
    )
    precision = "95 % intervals: DeLong, Wilson, stratified bootstrap"
    return [
        ("STARD 5, 6, 8", "Design, eligibility, setting and dates", BY_AUTHORS),
        ("STARD 10a", "Index test, so that it can be repeated", model),
        ("STARD 10b, 11", "Reference standard and its rationale", BY_AUTHORS),
        ("STARD 12a", "Positivity threshold of the index test, and whether it was specified before", threshold),
        ("STARD 13a, 13b", "Blinding of index test and reference standard", BY_AUTHORS),
        ("STARD 14, 24", "Estimates of accuracy and their precision", f"AUC {auc}; {precision}: see the tables"),
        ("STARD 23", "Cross tabulation of index test and reference standard", "see Calls"),
        ("TRIPOD+AI 12a", "How the data were used for development and evaluation", split),
        ("TRIPOD+AI 12c", "Type of model, model building, internal validation", procedure),
        ("TRIPOD+AI 12e", "Measures and plots of performance",
         "discrimination, calls, calibration (Brier, curve, intercept and slope), decision curve"),
        ("TRIPOD+AI 12f", "Updating of the model", "recalibration, fitted on the validation set; shown separately"),
        ("TRIPOD+AI 13", "Class imbalance", balance),
        ("TRIPOD+AI 14", "Fairness", BY_AUTHORS),
        ("TRIPOD+AI 15", "Output of the model, and thresholds", f"probability; {threshold}"),
        ("CLAIM 19", "How data were assigned to partitions", split),
        ("CLAIM 22", "The model in detail", model),
        ("CLAIM 25", "How the model was trained", procedure),
        ("CLAIM 29", "Statistical measures of uncertainty", precision),
        ("CLAIM 37", "Performance", f"AUC {auc}"),
    ]  # fmt: skip
