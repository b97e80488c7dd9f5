"""One case in bounded memory: nnU-Net's preprocessing, windows and files; logits slab by slab.

nnU-Net's predictor holds the logits of all classes on the grid of the image, in float64 while they are resampled.
Here they are held on the grid of the network, and only for the depth of a window where the resampling allows it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray

from nnunet_plugins.atomic_files import placed_in
from nnunet_plugins.model_orientation import read, returned, turned
from nnunet_plugins.prediction.label_maps import Grids, label_map
from nnunet_plugins.prediction.loading import quiet
from nnunet_plugins.prediction.model import Model
from nnunet_plugins.prediction.probabilities import Stored, store, write_npz
from nnunet_plugins.prediction.windows import logit_rows
from nnunet_plugins.scratch import scratch_in

ENTROPY = "_entropy"  # CASE_entropy.nii.gz


@dataclass(frozen=True)
class Job:
    """A case to predict.

    Attributes:
        images: one file per channel, in any orientation.
        target: output path without its ending.
        previous: label map of the previous stage of a cascade, on the images' grid.
        probabilities: also write TARGET.npz and TARGET.pkl, as nnU-Net does.
        entropy: also write TARGET_entropy, the voxel-wise uncertainty.
    """

    images: tuple[Path, ...]
    target: Path
    previous: Path | None = None
    probabilities: bool = False
    entropy: bool = False

    def files(self, ending: str) -> list[Path]:
        """What is written for the case, the label map last."""
        stem = self.target.name
        names = [f"{stem}.npz", f"{stem}.pkl"] if self.probabilities else []
        names += [f"{stem}{ENTROPY}{ending}"] if self.entropy else []
        return [self.target.with_name(name) for name in (*names, f"{stem}{ending}")]


def predict_bounded(predictor: Any, model: Model, job: Job) -> Path:
    """Predict one case; the label map equals nnUNetv2_predict's and appears last, complete.

    Args:
        predictor: from `load`.
        model: the model folder.
        job: the case.

    Raises:
        UserError: an image cannot be read or written.
        RuntimeError: a logit is infinite in float16.
    """
    ending = model.ending
    with placed_in(job.target.parent) as scratch, scratch_in(scratch) as work:
        given = [*job.images, *([job.previous] if job.previous else [])]
        files = turned(given, model.orientation, work / "turned")
        images = files[: len(job.images)]
        with quiet():
            _predict(predictor, job, images, files[len(images) :], work)
        for path in job.files(ending):
            made = work / path.name
            if files != given and path.name.endswith(ending):
                back = returned(sitk.ReadImage(str(made)), read(job.images[0]))
                sitk.WriteImage(back, str(made))
            os.replace(made, scratch / path.name)
        for other in work.glob("*.json"):  # spacing of a natural image
            os.replace(other, scratch / other.name)
        for path in job.files(ending)[:-1]:  # the label map shows that the case is complete
            os.replace(scratch / path.name, path)
    return job.files(ending)[-1]


def _predict(
    predictor: Any, job: Job, images: Sequence[Path], previous: Sequence[Path], work: Path
) -> None:
    """Predict one case in the model's orientation and write its files to a folder."""
    plans = predictor.plans_manager
    labels = predictor.label_manager
    data, properties = _preprocessed(predictor, images, previous)
    threads = torch.get_num_threads()
    grids = Grids.of(predictor, data.shape[1:], properties)
    whole = tuple(map(int, properties["shape_before_cropping"]))
    box = tuple(slice(*map(int, ends)) for ends in properties["bbox_used_for_cropping"])
    kind = np.uint8 if len(labels.foreground_labels) < 255 else np.uint16
    found = np.zeros(whole, kind)
    entropy = np.zeros(whole, np.float32) if job.entropy else None
    stored: Stored | None = None
    try:
        torch.set_num_threads(_threads(threads))
        rows = logit_rows(predictor, data)
        del data
        if job.probabilities or entropy is not None:
            inside = None if entropy is None else entropy[box]
            stored = store(rows, grids, found[box], work, inside)
        else:
            label_map(rows, grids, found[box])
    finally:
        torch.set_num_threads(threads)
    back = plans.transpose_backward
    writer, stem = plans.image_reader_writer_class(), job.target.name
    ending = predictor.dataset_json["file_ending"]
    writer.write_seg(found.transpose(back), str(work / f"{stem}{ending}"), properties)
    if entropy is not None:
        _write_map(
            entropy.transpose(back), work / f"{stem}{ENTROPY}{ending}", work / f"{stem}{ending}"
        )
    if job.probabilities and stored is not None:
        _write_probabilities(predictor, job, images, stored, (whole, box), properties, work)


def _preprocessed(
    predictor: Any, images: Sequence[Path], previous: Sequence[Path]
) -> tuple[torch.Tensor, dict[str, Any]]:
    """The image as nnU-Net preprocesses it, with one channel per label of the previous stage in a cascade."""
    from nnunetv2.utilities.label_handling.label_handling import convert_labelmap_to_one_hot

    settings = predictor.configuration_manager
    data, labels, properties = settings.preprocessor_class(verbose=False).run_case(
        [str(path) for path in images], str(previous[0]) if previous else None,
        predictor.plans_manager, settings, predictor.dataset_json,
    )  # fmt: skip
    if previous:
        known = predictor.label_manager.foreground_labels
        data = np.vstack((data, convert_labelmap_to_one_hot(labels[0], known, data.dtype)))
    return torch.from_numpy(data).to(torch.float32), properties


def _threads(most: int) -> int:
    """The number of threads of nnU-Net's predictor."""
    from nnunetv2.configuration import default_num_processes

    return min(int(default_num_processes), most)


def _write_map(values: NDArray[np.float32], target: Path, grid: Path) -> None:
    """Write a map on the grid of a label map."""
    image = sitk.GetImageFromArray(values)
    image.CopyInformation(sitk.ReadImage(str(grid)))
    sitk.WriteImage(image, str(target))


def _write_probabilities(predictor: Any, job: Job, images: Sequence[Path], stored: Stored,
                         grid: tuple[Any, Any], properties: dict[str, Any], work: Path) -> None:  # fmt: skip
    """Write nnU-Net's .npz and .pkl, in the orientation in which the case's images are stored."""
    from batchgenerators.utilities.file_and_folder_operations import save_pickle

    (whole, box), back = grid, predictor.plans_manager.transpose_backward
    stem, own = job.target.name, tuple(images) != job.images
    image = read(job.images[0]) if own else None
    like = read(images[0]) if own else None

    def place(values: NDArray[np.float32], outside: float) -> NDArray[np.float32]:
        full: NDArray[np.float32] = np.full(whole, outside, np.float32)
        full[box] = values
        full = full.transpose(back)
        if image is None:
            return full
        turned_one = sitk.GetImageFromArray(full)
        turned_one.CopyInformation(like)
        return np.asarray(sitk.GetArrayFromImage(returned(turned_one, image)))

    shape = tuple(whole[axis] for axis in back) if image is None else image.GetSize()[::-1]
    regions = predictor.label_manager.has_regions
    write_npz(stored, work / f"{stem}.npz", tuple(shape), place, regions=regions)
    if own:
        reader = predictor.plans_manager.image_reader_writer_class()
        properties = reader.read_images([str(path) for path in job.images])[1]
    save_pickle(properties, str(work / f"{stem}.pkl"))
