"""From files to scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import (
    LabelMap,
    Pair,
    check_geometry,
    check_known,
    find_pairs,
    listed,
    read,
    values_in,
    with_axes_of,
)
from nnunet_plugins.evaluation.labels import Labels, find_labels, labels_from_values
from nnunet_plugins.evaluation.metrics import TOLERANCE, compare, metric_names
from nnunet_plugins.evaluation.overlap import counts_of, encode, joint_counts
from nnunet_plugins.evaluation.parallel import each
from nnunet_plugins.evaluation.patients import find_patients, with_patients
from nnunet_plugins.evaluation.reference_identity import identify
from nnunet_plugins.evaluation.summary import CaseScores, Scores, check_output
from nnunet_plugins.evaluation.surfaces import measured_axes

Progress = Callable[[list[Pair]], Iterable[Pair]]


def evaluate(
    prediction: Path | str,
    reference: Path | str,
    *,
    dataset_json: Path | str | None = None,
    output: Path | str | None = None,
    progress: Progress | None = None,
    chill: bool = False,
    tolerance: float = TOLERANCE,
    pixels: bool = False,
    groups: Path | str | None = None,
    jobs: int = 1,
) -> Scores:
    """Score predicted label maps against references: overlap, volumes, surface distances.

    Files are paired by name. Labels come from `dataset_json`, else from a dataset.json next to the predictions
    (nnU-Net copies it there), else from one next to or above the references, else they are the values found. Regions
    are unions of their values. A prediction that is stored in another orientation is compared at the positions of its
    reference. Voxels where the reference is the ignore label are background in both label maps.
    `metrics.EMPTY_RULE` defines the scores of empty masks.

    Args:
        prediction: a label map (.nii.gz, .nii, .nrrd, .mha) or a folder of them.
        reference: likewise.
        dataset_json: nnU-Net's dataset.json.
        output: path of a JSON file for the scores, written atomically.
        progress: wraps the list of pairs, as tqdm does.
        chill: score the cases that were predicted; references without a prediction are left out.
        tolerance: of the normalised surface Dice, mm.
        pixels: measure distances in voxels as well.
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
    if not (np.isfinite(tolerance) and tolerance >= 0):
        raise UserError(f"--tolerance {tolerance}: a distance in mm of 0 or more is required")
    pairs, notes = find_pairs(prediction, reference, chill=chill)
    labels = find_labels(prediction, reference, Path(dataset_json) if dataset_json else None)
    names = [pair.name for pair in pairs]
    patients, more = find_patients(names, reference, Path(groups) if groups else None)
    if labels is None:
        files = [file for pair in pairs for file in (pair.prediction, pair.reference)]
        labels = labels_from_values(set().union(*each(_values_of, files, jobs)))
    scores = score_pairs(
        pairs,
        labels,
        [*notes, *more],
        tolerance=tolerance,
        pixels=pixels,
        jobs=jobs,
        progress=progress,
    )
    scores = with_patients(scores, patients)
    if output is not None:
        scores.write(Path(output))
    return scores


def score_pairs(
    pairs: list[Pair],
    labels: Labels,
    notes: Sequence[str] = (),
    *,
    tolerance: float = TOLERANCE,
    pixels: bool = False,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Scores:
    """Score given pairs; the arguments are those of `evaluate`."""
    work = partial(score_case, labels=labels, tolerance=tolerance, pixels=pixels)
    shown = progress(pairs) if progress else pairs
    scored = [case for _, case in zip(shown, each(work, pairs, jobs), strict=True)]
    return Scores(
        labels,
        tuple(scored),
        (*notes, *_turned(scored), *_mixed(scored)),
        tolerance,
        metric_names(pixels=pixels),
    )


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


def score_case(
    pair: Pair, labels: Labels, tolerance: float = TOLERANCE, pixels: bool = False
) -> CaseScores:
    """Read, check and score one case.

    Raises:
        UserError: the two files cannot be compared.
    """
    predicted, true = read(pair.prediction), read(pair.reference)
    predicted, stored = with_axes_of(predicted, true)
    check_geometry(predicted, true)
    scores = score_voxels(pair.name, predicted, true, labels, tolerance=tolerance, pixels=pixels)
    return replace(scores, stored=stored, reference=identify(true))


def score_voxels(
    name: str,
    predicted: LabelMap,
    true: LabelMap,
    labels: Labels,
    *,
    tolerance: float = TOLERANCE,
    pixels: bool = False,
) -> CaseScores:
    """Score every label of two label maps on one grid.

    Raises:
        UserError: a map holds values that are not declared.
    """
    values = sorted(labels.known)  # 0 is first
    if labels.ignore is not None and labels.ignore not in values:
        values.append(labels.ignore)
    # Voxels that are background in both, most of a CT, only add to one count: cropping makes this fast.
    box = _box_of_both(predicted.voxels, true.voxels)
    a, b = encode(predicted.voxels[box], values), encode(true.voxels[box], values)
    joint = joint_counts(a, b, len(values) + 1)
    joint[0, 0] += true.voxels.size - a.size
    seen = [*values, None]
    check_known(predicted, labels, _seen(joint.sum(axis=1), seen), may_ignore=False)
    check_known(true, labels, _seen(joint.sum(axis=0), seen), may_ignore=True)
    joint = joint[: len(values), : len(values)]
    if labels.ignore is not None:
        left_out = values.index(labels.ignore)
        joint[:, left_out] = 0
        a[b == left_out] = 0
        b[b == left_out] = 0

    members = {
        label: [values.index(value) for value in of_label]
        for label, of_label in labels.values.items()
    }
    axes = measured_axes(true.voxels.shape)
    boxes = _boxes(a, b, len(values))
    scores = {}
    for label, codes in members.items():
        place = _around([boxes[code] for code in codes if boxes[code] is not None], a.ndim)
        scores[label] = compare(
            _mask(a[place], codes, len(values)),
            _mask(b[place], codes, len(values)),
            true.spacing,
            counts=counts_of(joint, codes),
            axes=axes,
            tolerance=tolerance,
            pixels=pixels,
        )
    agreeing = _agreeing(joint, list(members.values()))
    return CaseScores(
        name, true.spacing, scores, counts_of(joint, [0]), agreeing, dimensions=len(axes)
    )


def _values_of(file: Path) -> set[int]:
    return values_in(read(file).voxels)


def _seen(counts: NDArray[Any], values: Sequence[int | None]) -> set[int | None]:
    return {value for value, count in zip(values, counts, strict=True) if count}


def _box_of_both(*images: NDArray[Any]) -> tuple[slice, ...]:
    """The smallest box around the voxels that are not 0 in any of the images; one voxel if there are none."""
    box = []
    for axis in range(images[0].ndim):
        others = tuple(other for other in range(images[0].ndim) if other != axis)
        used = np.flatnonzero(sum(image.max(axis=others) != 0 for image in images))
        if not used.size:
            return (slice(0, 1),) * images[0].ndim
        box.append(slice(int(used[0]), int(used[-1]) + 1))
    return tuple(box)


def _boxes(a: NDArray[Any], b: NDArray[Any], codes: int) -> list[Any]:
    """Code -> the box around it in both images, None if it does not occur."""
    found: list[Any] = [None]
    for one, other in zip(*(find_objects(x, codes - 1) for x in (a, b)), strict=True):
        there = [box for box in (one, other) if box is not None]
        found.append(_around(there, a.ndim) if there else None)
    return found


def _around(boxes: Sequence[tuple[slice, ...]], rank: int) -> tuple[slice, ...]:
    """The smallest box around boxes; an empty one without boxes."""
    if not boxes:
        return (slice(0, 0),) * rank
    return tuple(
        slice(min(part.start for part in axis), max(part.stop for part in axis))
        for axis in zip(*boxes, strict=True)
    )


def _mask(image: NDArray[Any], codes: Sequence[int], known: int) -> NDArray[np.bool_]:
    if len(codes) == 1:
        one: NDArray[np.bool_] = image == codes[0]
        return one
    inside = np.zeros(known + 1, dtype=bool)
    inside[list(codes)] = True
    mask: NDArray[np.bool_] = inside[image]
    return mask


def _agreeing(joint: NDArray[Any], members: Sequence[Sequence[int]]) -> int:
    """Number of voxels that belong to the same labels in both maps."""
    inside = np.array([[code in of_label for of_label in members] for code in range(len(joint))])
    same = (inside[:, None] == inside[None]).all(axis=-1)
    return int(joint[same].sum())
