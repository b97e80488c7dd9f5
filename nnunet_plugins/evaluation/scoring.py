"""From files to scores."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from nnunet_plugins.evaluation.cases import (
    LabelMap,
    Pair,
    check_geometry,
    check_values,
    find_pairs,
    read,
    values_in,
)
from nnunet_plugins.evaluation.labels import Labels, find_labels, labels_from_values
from nnunet_plugins.evaluation.metrics import MaskScores, bounding_box, compare
from nnunet_plugins.evaluation.summary import CaseScores, Scores, check_output

Progress = Callable[[list[Pair]], Iterable[Pair]]


def evaluate(
    prediction: Path,
    reference: Path,
    *,
    dataset_json: Path | None = None,
    output: Path | None = None,
    progress: Progress | None = None,
    chill: bool = False,
) -> Scores:
    """Score predicted label maps against references: overlap, HD95 and ASSD (mm), volumes (mm^3).

    Files are paired by name. Labels come from `dataset_json`, else a dataset.json beside the
    predictions (nnU-Net copies it there), else one beside or above the references, else they are
    the values found. Regions are unions of their values; voxels where the reference is the ignore
    label are background in both. `metrics.EMPTY_RULE` says what happens when a mask is empty.

    Args:
        prediction: a label map (.nii.gz, .nii, .nrrd, .mha) or a folder of them.
        reference: likewise.
        dataset_json: nnU-Net's dataset.json.
        output: where to write the scores as JSON, in one step: whole or not at all.
        progress: wraps the list of pairs, as tqdm does.
        chill: score what was predicted, even where references have no prediction.

    Raises:
        UserError: files missing, unreadable or not comparable; values that are not declared.
    """
    prediction, reference = Path(prediction), Path(reference)
    if output is not None:
        check_output(Path(output))  # before the work, not after it
    pairs, notes = find_pairs(prediction, reference, chill=chill)
    labels = find_labels(prediction, reference, dataset_json and Path(dataset_json))
    if labels is None:
        files = (file for pair in pairs for file in (pair.prediction, pair.reference))
        labels = labels_from_values(set().union(*(values_in(read(file).voxels) for file in files)))
    scored = [score_case(pair, labels) for pair in (progress(pairs) if progress else pairs)]
    scores = Scores(labels, tuple(scored), tuple(notes))
    if output is not None:
        scores.write(Path(output))
    return scores


def score_case(pair: Pair, labels: Labels) -> CaseScores:
    """Read, check and score one case.

    Raises:
        UserError: the two files cannot be compared.
    """
    predicted, true = read(pair.prediction), read(pair.reference)
    check_geometry(predicted, true)
    check_values(predicted, labels, may_ignore=False)
    check_values(true, labels, may_ignore=True)
    return CaseScores(pair.name, true.spacing, score_voxels(predicted, true, labels))


def score_voxels(predicted: LabelMap, true: LabelMap, labels: Labels) -> dict[str, MaskScores]:
    """Score every label of two label maps on one grid."""
    a, b = predicted.voxels, true.voxels
    counted = np.ones_like(b, dtype=bool) if labels.ignore is None else b != labels.ignore
    # What is background in both decides nothing, and is most of a CT: without it this is fast.
    box = bounding_box((a != 0) | (b != 0), margin=1)
    a, b, counted = a[box], b[box], counted[box]
    return {
        name: compare(np.isin(a, values) & counted, np.isin(b, values) & counted, true.spacing)
        for name, values in labels.values.items()
    }
