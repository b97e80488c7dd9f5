"""One case in bounded memory: nnU-Net's preprocessing, windows and files; logits slab by slab.

nnU-Net's predictor holds the logits of all classes on the grid of the image, in float64 while they are resampled.
Here they are held on the grid of the network, and only for the depth of a window where the resampling allows it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray

from nnunet_plugins.atomic_files import placed_in
from nnunet_plugins.errors import UserError
from nnunet_plugins.image_files import check_channels, read_channels
from nnunet_plugins.model_orientation import read, returned, turned
from nnunet_plugins.prediction.case_files import check_case, check_labels, resampled_size
from nnunet_plugins.prediction.label_maps import Grids, label_map
from nnunet_plugins.prediction.loading import quiet
from nnunet_plugins.prediction.model import Model
from nnunet_plugins.prediction.outputs import ONLY_LABELS, Outputs
from nnunet_plugins.prediction.probabilities import Stored, store
from nnunet_plugins.prediction.results import Back, Results
from nnunet_plugins.prediction.uncertainty import disagreement_of
from nnunet_plugins.prediction.windows import logit_rows
from nnunet_plugins.scratch import scratch_in


@dataclass(frozen=True)
class Job:
    """A case to predict.

    Attributes:
        images: one file per channel, in any orientation.
        target: output path without its ending.
        previous: label map of the previous stage of a cascade, on the images' grid.
        outputs: what is written besides the label map.
        back: puts the results on the grid where they belong; None for the grid of the images.
    """

    images: tuple[Path, ...]
    target: Path
    previous: Path | None = None
    outputs: Outputs = ONLY_LABELS
    back: Back | None = None


def predict_bounded(predictor: Any, model: Model, job: Job) -> Path:
    """Predict one case; the label map equals nnUNetv2_predict's and appears last, complete.

    Args:
        predictor: from `load`.
        model: the model folder.
        job: the case.

    Raises:
        UserError: an image cannot be read or written, contains NaN, or is not on the grid of the others.
        RuntimeError: a logit is not finite in float16.
    """
    names = job.outputs.files(job.target.name, model.ending)
    with placed_in(job.target.parent) as scratch, scratch_in(scratch) as work:
        given = [*job.images, *([job.previous] if job.previous else [])]
        rank = len(predictor.configuration_manager.patch_size)
        check_channels(job.images, model.channels)
        check_case(given, rank=rank, any_order=model.orientation is not None)
        if job.previous:
            check_labels(job.previous, max(predictor.label_manager.foreground_labels))
        files = turned(given, model.orientation, work / "turned")
        back = job.back or (_back_to(job.images[0]) if files != given else None)
        with quiet():
            _predict(predictor, job, files, work, back)
        for name in names:
            os.replace(work / name, scratch / name)
        for other in work.glob("*.json"):  # spacing of a natural image
            os.replace(other, scratch / other.name)
        for name in names[:-1]:  # the label map shows that the case is complete
            os.replace(scratch / name, job.target.with_name(name))
    return job.target.with_name(names[-1])


def _back_to(image: Path) -> Back:
    """To the orientation in which an image is stored, which is read on first use."""
    own = cache(lambda: read(image))
    return lambda volume, _: returned(volume, own())


def _predict(
    predictor: Any, job: Job, files: Sequence[Path], work: Path, back: Back | None
) -> None:
    """Predict one case in the model's orientation and write its files to a folder."""
    outputs = job.outputs
    images, previous = files[: len(job.images)], files[len(job.images) :]
    data, properties = _preprocessed(predictor, images, previous)
    threads = torch.get_num_threads()
    grids = Grids.of(predictor, data.shape[1:], properties)
    whole = tuple(map(int, properties["shape_before_cropping"]))
    box = tuple(slice(*map(int, ends)) for ends in properties["bbox_used_for_cropping"])
    kind = np.uint8 if len(predictor.label_manager.foreground_labels) < 255 else np.uint16
    found = np.zeros(whole, kind)
    maps = {name: np.zeros(whole, np.float32) for name in outputs.maps}
    votes: list[NDArray[Any]] = []

    def vote(rows: Iterable[torch.Tensor]) -> None:
        votes.append(np.zeros(grids.shape, kind))
        label_map(rows, grids, votes[-1])

    stored: Stored | None = None
    try:
        torch.set_num_threads(_threads(threads))
        rows = logit_rows(predictor, data, vote if outputs.disagreement else None)
        del data
        if outputs.probabilities or outputs.entropy:
            inside = maps["entropy"][box] if outputs.entropy else None
            stored = store(rows, grids, found[box], work, inside)
        else:
            label_map(rows, grids, found[box])
        if outputs.disagreement:
            maps["disagreement"][box] = disagreement_of(found[box], votes)
    finally:
        torch.set_num_threads(threads)
    results = Results(found, box, maps, stored if outputs.probabilities else None)
    results.write(predictor, work / job.target.name, properties, back)


def _preprocessed(
    predictor: Any, images: Sequence[Path], previous: Sequence[Path]
) -> tuple[torch.Tensor, dict[str, Any]]:
    """The image as nnU-Net preprocesses it, with one channel per label of the previous stage in a cascade."""
    from nnunetv2.utilities.label_handling.label_handling import convert_labelmap_to_one_hot

    settings = predictor.configuration_manager
    try:
        data, labels, properties = settings.preprocessor_class(verbose=False).run_case(
            [str(path) for path in images], str(previous[0]) if previous else None,
            predictor.plans_manager, settings, predictor.dataset_json,
        )  # fmt: skip
    except (RuntimeError, ValueError):
        _check_readable(images, settings.spacing, predictor.plans_manager.transpose_forward)
        raise
    if not np.isfinite(data).all():
        raise UserError(
            "the image has NaN or infinite values after nnU-Net's normalisation; replace such "
            "voxels (for CT by -1024)"
        )
    if previous:
        known = predictor.label_manager.foreground_labels
        data = np.vstack((data, convert_labelmap_to_one_hot(labels[0], known, data.dtype)))
    return torch.from_numpy(data).to(torch.float32), properties


def _check_readable(images: Sequence[Path], target: Sequence[float], order: Sequence[int]) -> None:
    """State what is wrong with images that nnU-Net cannot preprocess, where it is known.

    Args:
        images: the files that nnU-Net read.
        target: the model's spacing in mm along the transposed axes; 2D models have none of the first.
        order: nnU-Net's ``transpose_forward``.

    Raises:
        UserError: sheared axes, a damaged file, or an image too thin for the model's spacing.
    """
    channels = [one for path in images for one in read_channels(path)]
    inside = np.any([sitk.GetArrayViewFromImage(one) != 0 for one in channels], 0).transpose(order)
    size = (
        [int(np.ptp(places)) + 1 for places in np.nonzero(inside)] if inside.any() else inside.shape
    )
    spacing = [channels[0].GetSpacing()[::-1][axis] for axis in order]
    resampled_size(size, spacing, [*spacing[: len(spacing) - len(target)], *target])


def _threads(most: int) -> int:
    """The number of threads of nnU-Net's predictor."""
    from nnunetv2.configuration import default_num_processes

    return min(int(default_num_processes), most)
