"""Items of STARD-AI, TRIPOD+AI and CLAIM 2024 that the files of a classifier can answer; paraphrased.

STARD-AI: Sounderajah et al., Nature Medicine 2025, 31, 3283, doi 10.1038/s41591-025-03953-8; 40 items: those of
STARD 2015 (Bossuyt et al., BMJ 2015, 351, h5527) with other numbers, four of them changed, and new ones. TRIPOD+AI:
Collins et al., BMJ 2024, 385, e078378; 27 items. CLAIM 2024 update: Tejani et al., Radiology: Artificial Intelligence
2024, 6(4), e240300; 44 items.
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
    threshold = f"{predictions.threshold_text}, Youden's index on the validation set, before test cases were scored"
    balance = "; ".join(
        f"{one.split}: {int(one.labels.sum())} of {len(one.labels)} positive" for one in results
    )
    precision = "95 % intervals: DeLong, Wilson, stratified bootstrap"
    sides = {one.split for one in results}
    external = (
        "see the external test set"
        if "external" in sides
        else "no external test set in these files"
    )
    grid = (
        f"slices first, {' x '.join(map(str, settings['size']))} voxels around the centre, z-score, "
        f"linear interpolation (masks: nearest)"
    )
    ensemble = f"mean of the probabilities of {len(predictions.seeds)} trainings"
    if predictions.folds:
        ensemble += f"; each patient is tested by one of {len(predictions.folds)} folds (external cases: mean of all)"
    return [
        ("STARD-AI 5, 7 to 10", "Design, eligibility, setting and dates, series", BY_AUTHORS),
        ("STARD-AI 6", "Approval by an ethics committee (new)", BY_AUTHORS),
        ("STARD-AI 11 to 13", "Source, annotation, devices and software of the data (new)", BY_AUTHORS),
        ("STARD-AI 14", "Acquisition and preprocessing (new)", f"preprocessing: {grid}; acquisition: {BY_AUTHORS}"),
        ("STARD-AI 15a", "Index test, so that it can be repeated", model),
        ("STARD-AI 15b", "Development of the index test, with sample sizes (new)", f"{split}; {procedure}"),
        ("STARD-AI 15c", "Positivity threshold of the index test, and whether it was specified before", threshold),
        ("STARD-AI 15d", "User of the index test, and the expertise that is required (new)", BY_AUTHORS),
        ("STARD-AI 16a to 16c", "Reference standard, its rationale and cut-offs", BY_AUTHORS),
        ("STARD-AI 17a, 17b", "Blinding of index test and reference standard", BY_AUTHORS),
        ("STARD-AI 18, 31", "Estimates of accuracy and their precision", f"AUC {auc}; {precision}: see the tables"),
        ("STARD-AI 20", "Missing data", "none: each case has image, mask and diagnosis, or the command stops"),
        ("STARD-AI 23", "Analysis of errors, bias and fairness (new)", BY_AUTHORS),
        ("STARD-AI 25", "Characteristics of all sets of patients (changed)", f"{balance}; {BY_AUTHORS}"),
        ("STARD-AI 28", "Whether the datasets represent the intended population (new)", BY_AUTHORS),
        ("STARD-AI 29", "How the external set differs from the others (new)", f"{external}; {BY_AUTHORS}"),
        ("STARD-AI 30", "Cross tabulation of index test and reference standard", "see Calls"),
        ("STARD-AI 35, 39", "Ethics and fairness of the use; commercial interests (new)", BY_AUTHORS),
        ("STARD-AI 40a, 40b", "Availability of data and code; whether outputs are stored and can be audited (new)",
         f"predictions.json and scores.json hold every probability and call; availability: {BY_AUTHORS}"),
        ("TRIPOD+AI 12a", "How the data were used for development and evaluation", split),
        ("TRIPOD+AI 12c", "Type of model, model building, internal validation", procedure),
        ("TRIPOD+AI 12e", "Measures and plots of performance",
         "discrimination, calls, calibration (Brier, curve, intercept and slope), decision curve"),
        ("TRIPOD+AI 12f, 24", "Updating of the model", "recalibration, fitted on validation; shown separately"),
        ("TRIPOD+AI 13", "Class imbalance", balance),
        ("TRIPOD+AI 14", "Fairness", BY_AUTHORS),
        ("TRIPOD+AI 15", "Output of the model, and thresholds", f"probability; {threshold}"),
        ("TRIPOD+AI 23a", "Performance with intervals", f"AUC {auc}; {precision}"),
        ("CLAIM 9", "Preprocessing", grid),
        ("CLAIM 19, 20", "How data were assigned to partitions, and at which level they are disjoint", split),
        ("CLAIM 22", "The model in detail", model),
        ("CLAIM 25, 26", "How the model was trained and selected", procedure),
        ("CLAIM 27", "Ensembles", ensemble),
        ("CLAIM 29", "Statistical measures of uncertainty", precision),
        ("CLAIM 32, 33", "Internal and external testing", sizes),
        ("CLAIM 37, 38", "Performance, with accuracy and intervals", f"AUC {auc}; see the tables"),
        ("CLAIM 39", "Analysis of failures, with a table of confusion", "see Calls; predictions.csv names the cases"),
    ]  # fmt: skip
