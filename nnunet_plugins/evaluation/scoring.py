"""From files to scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.case_scoring import score_case
from nnunet_plugins.evaluation.cases import listed, read, values_in
from nnunet_plugins.evaluation.definitions import METRICS, TOLERANCE, check_metrics
from nnunet_plugins.evaluation.instance_groups import read_instances
from nnunet_plugins.evaluation.instances import (
    THRESHOLD,
    Connectivity,
)
from nnunet_plugins.evaluation.labels import Labels, find_labels, labels_from_values, read_labels
from nnunet_plugins.evaluation.measuring import Measuring, Scoring, more_of
from nnunet_plugins.evaluation.pairs import Pair, find_pairs
from nnunet_plugins.evaluation.parallel import each
from nnunet_plugins.evaluation.patients import find_patients, with_patients
from nnunet_plugins.evaluation.saw_model import saw_model_notes
from nnunet_plugins.evaluation.structures import gaps, number_structures
from nnunet_plugins.evaluation.summary import CaseScores, Scores, check_output
from nnunet_plugins.evaluation.swapped_sides import swapped_notes
from nnunet_plugins.evaluation.tolerances import Given as GivenTolerances
from nnunet_plugins.evaluation.tolerances import read_tolerances
from nnunet_plugins.evaluation.units import unit_notes
from nnunet_plugins.evaluation.validation import TRAINED_ON, doubt_of, fold_of, why_trained_on
from nnunet_plugins.evaluation.value_map import HINT, ValueMap, check_overlap, plan_map
from nnunet_plugins.evaluation.value_map import Given as GivenMap

Progress = Callable[[list[Pair]], Iterable[Pair]]


def evaluate(
    prediction: Path | str,
    reference: Path | str,
    *,
    dataset_json: Path | str | None = None,
    output: Path | str | None = None,
    progress: Progress | None = None,
    chill: bool = False,
    tolerance: GivenTolerances = TOLERANCE,
    pixels: bool = False,
    metrics: Sequence[str] = (),
    instances: Sequence[str] | str = (),
    instance_iou: float = THRESHOLD,
    connectivity: Connectivity = "corners",
    map: GivenMap | None = None,
    groups: Path | str | None = None,
    jobs: int = 1,
) -> Scores:
    """Score predicted label maps against references: overlap, volumes, surface distances, instances.

    Files are paired by name. Labels come from `dataset_json`, else from a dataset.json next to the predictions
    (nnU-Net copies it there), else from one next to or above the references, else they are the values found. Regions
    are unions of their values. A prediction that is stored in another orientation is compared at the positions of its
    reference. Voxels where the reference is the ignore label are background in both label maps.
    `definitions.EMPTY_RULE` defines the scores of empty masks.

    Args:
        prediction: a label map (.nii.gz, .nii, .nrrd, .mha, .gipl, .png, .bmp, .tif, .tiff), a folder of them, or a
            folder with one folder per case that holds one file per structure.
        reference: likewise.
        dataset_json: nnU-Net's dataset.json.
        output: path of a .json or .csv file for the scores, written atomically.
        progress: wraps the list of pairs, as tqdm does.
        chill: score the cases that were predicted; references without a prediction are left out.
        tolerance: of the normalised surface Dice, mm; per structure as ``{"default": 1, "sacrum": 2}``, a file, or
            texts like ``["1", "sacrum=2"]``.
        pixels: measure distances in voxels as well.
        metrics: measured in addition to the default ones, e.g. ``("nsd_area", "masd_mm")``, see `more.MORE`.
        instances: labels whose connected components are counted, and groups of label values such as
            ``"vertebrae=1-25"``.
        instance_iou: IoU above which a predicted and a true instance match.
        connectivity: voxels of a component share ``faces``, ``edges`` or ``corners``.
        map: numbering of predictions of another tool: its name, e.g. ``totalsegmentator``, ``{25: "sacrum"}``, or
            texts like ``["25=sacrum"]``.
        groups: CSV file of cases and their patients; without it, a converted dataset's conversion.json is used.
        jobs: processes; each takes about 300 MB for a case of 512x512x150 voxels.

    Raises:
        UserError: files are missing, unreadable or not comparable, or hold values that are not declared.

    >>> scores = evaluate("predictions", "labelsTs", output="scores.json")  # doctest: +SKIP
    >>> scores.summary["sacrum"].metrics["dice"].mean  # doctest: +SKIP
    0.912
    """
    prediction, reference = Path(prediction), Path(reference)
    if output is not None:
        check_output(Path(output))  # fail before the work
    pairs, notes = find_pairs(prediction, reference, chill=chill)
    declared = Path(dataset_json) if dataset_json else None
    # The dataset.json next to predictions of another tool has its numbers.
    of_others = bool(map) or any(pair.prediction.is_dir() for pair in pairs)
    labels = find_labels(None if of_others else prediction, reference, declared)
    fold = fold_of(prediction)
    if labels is None and fold and not of_others:
        labels = read_labels(fold.parent / "dataset.json", "dataset.json of the model")
    names = [pair.name for pair in pairs]
    patients, about = find_patients(names, reference, Path(groups) if groups else None)
    if labels is None:
        labels = _labels_of_files(pairs, jobs, predictions=not map)
    about = [*filter(None, [doubt_of(prediction, reference)]), *notes, *about]
    about += saw_model_notes(reference, names)
    scoring = Scoring(
        tolerance=tolerance, pixels=pixels, metrics=metrics, instances=instances, instance_iou=instance_iou,
        connectivity=connectivity, map=map, jobs=jobs, progress=progress,
    )  # fmt: skip
    scores = score_pairs(pairs, labels, scoring, about)
    scores = marked(with_patients(scores, patients), why_trained_on(fold) if fold else "")
    if output is not None:
        scores.write(Path(output))
    return scores


def marked(scores: Scores, trained_on: str) -> Scores:
    """Scores of training cases with the reason and a note; other scores, for '', as they are."""
    if not trained_on:
        return scores
    notes = (TRAINED_ON.format(trained_on), *scores.notes)
    return replace(scores, trained_on=trained_on, notes=notes)


def score_pairs(
    pairs: list[Pair], labels: Labels, scoring: Scoring, notes: Sequence[str] = ()
) -> Scores:
    """Score given pairs."""
    metrics = [scoring.metrics] if isinstance(scoring.metrics, str) else scoring.metrics
    asked = check_metrics(metrics, METRICS)
    values: ValueMap | None = None
    mapped: list[str] = []
    folders = [pair.prediction for pair in pairs if pair.prediction.is_dir()]
    names, structures = number_structures(folders), {}
    if scoring.map or names:
        values, labels, mapped = plan_map(scoring.map or (), labels, names)
        structures = {names[one]: to for one, to in values.values.items() if one in names}
        mapped += gaps(folders, structures)
    options = (scoring.instance_iou, scoring.connectivity)
    measuring = Measuring(
        read_tolerances(scoring.tolerance).named(labels.values),
        scoring.pixels,
        more_of(asked),
        read_instances(scoring.instances, labels, *options) if scoring.instances else None,
        values,
        structures,
    )
    work = partial(score_case, labels=labels, measuring=measuring)
    shown = scoring.progress(pairs) if scoring.progress else pairs
    scored = [case for _, case in zip(shown, each(work, pairs, scoring.jobs), strict=True)]
    sides = swapped_notes({case.name: case.sides for case in scored})
    found = [
        *_turned(scored),
        *_mixed(scored),
        *unit_notes(scored),
        *_apart(scored, values),
        *sides,
    ]
    return Scores(
        labels,
        tuple(scored),
        (*notes, *mapped, *found),
        measuring.tolerances.default,
        measuring.metrics,
        tolerances=dict(measuring.tolerances.labels),
        instances=measuring.instances,
    )


def _labels_of_files(pairs: Sequence[Pair], jobs: int, *, predictions: bool) -> Labels:
    """The values in the references, and in the predictions if they have the same numbers."""
    if any(pair.prediction.is_dir() for pair in pairs):
        raise UserError(
            "evaluate: predictions of one file per structure need the names of the reference's labels: pass -djfile "
            "DATASET.JSON"
        )
    files = [pair.reference for pair in pairs]
    files += [pair.prediction for pair in pairs] if predictions else []
    held = list(each(_values_of, files, jobs))
    true, predicted = set().union(*held[: len(pairs)]), set().union(*held[len(pairs) :])
    check_overlap(predicted, true)
    return labels_from_values(true | predicted)


def _apart(cases: Sequence[CaseScores], values: ValueMap | None) -> list[str]:
    """A note if no label overlaps in any case, although there are both."""
    scores = [one for case in cases for one in case.labels.values()]
    if any(one.common_voxels for one in scores) or not (
        any(one.prediction_voxels for one in scores) and any(one.reference_voxels for one in scores)
    ):
        return []
    fix = "check the numbers of --map" if values else HINT
    return [f"no label has a voxel in common with its reference in any case; {fix}"]


def _mixed(cases: Sequence[CaseScores]) -> list[str]:
    """A note if only some of the images are two-dimensional."""
    flat = [case.name for case in cases if case.dimensions == 2]
    if not flat or len(flat) == len(cases):
        return []
    return [
        f"{len(flat)} of {len(cases)} images have one slice and are measured in two dimensions, the others in three: "
        f"{listed(flat)}"
    ]


def _turned(cases: Sequence[CaseScores]) -> list[str]:
    """A note on predictions that are stored in another orientation than their references."""
    found = [case for case in cases if case.stored]
    if not found:
        return []
    ways = ", ".join(sorted({case.stored for case in found}))
    return [
        f"{len(found)} of {len(cases)} predictions are stored in another orientation than their references ({ways}): "
        "compared voxel by voxel at the same positions"
    ]


def _values_of(file: Path) -> set[int]:
    return values_in(read(file).voxels)
