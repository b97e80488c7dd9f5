"""New images for a trained model: `convert ... --images-only`.

The images are read and written as those of a training dataset, into one flat folder for `nnUNetv2_predict -i`. With
--model, their orientation, window, voxel size and file ending are those of the model's training images.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from dataset_conversion.datasets.key_file import check_key, write_key
from dataset_conversion.datasets.options import Common, option
from dataset_conversion.errors import DatasetError
from dataset_conversion.labels import Labels
from dataset_conversion.parallel import Progress
from dataset_conversion.raw_format.description import Description
from dataset_conversion.raw_format.images_folder import ENDING, ImagesReport, write_images
from dataset_conversion.raw_format.training_record import TrainingRecord, read_record, revealed

IMAGES_ONLY: bool = option(
    False, "new images for a trained model: write -o DIR for nnUNetv2_predict -i; -d is not used, masks are passed over"
)  # fmt: skip
MODEL: Path | None = option(
    None, "with --images-only: folder of the trained model; its orientation, channel, window, voxel size and file "
    "ending are used", type=Path, metavar="DIR",
)  # fmt: skip
#: Declared where no mask is read: an image of these values alone is a mask.
NO_LABELS = Labels({f"label {value}": value for value in range(1, 21)})

Find = Callable[[Path, Any, int, str, Progress | None], Description]


def convert_images(find: Find, source: Path, target: Path, options: Common,
                   progress: Progress | None = None) -> ImagesReport:  # fmt: skip
    """Convert the images of a source to a flat folder.

    Args:
        find: scans the source, see `Converter`.
        source: the patients, as for a training dataset; masks are passed over.
        target: a new or an empty folder.
        options: with `images_only`, and `model` or None.
        progress: wraps the list of sources, then the list of cases, e.g. tqdm.

    Raises:
        DatasetError: the conversion is impossible, or options differ from what the model records.
    """
    if options.key:
        check_key(Path(options.key), target)
    model = getattr(options, "model", None)
    record = None if model is None else read_record(Path(model))
    if record is not None:
        options = as_trained(options, record)
    dataset = find(source, options, 1, "Images", progress)
    orientation, notes = _orientation(dataset, record)
    if record is not None:
        notes += _check_channels(dataset, record)
    dataset = replace(
        dataset,
        output=replace(dataset.output, orientation=orientation),
        notes=[*dataset.notes, *notes],
    )
    ending = ENDING if record is None else record.ending
    report = write_images(dataset, target, options.run(), progress, ending=ending)
    if options.key and not options.dry_run:
        written = {
            c.name: os.path.abspath(c.where) for c in dataset.cases if c.name in report.cases
        }
        write_key(Path(options.key), written)
    return report


def as_trained(options: Common, record: TrainingRecord) -> Common:
    """Return options with the window and the voxel size of the training images.

    Raises:
        DatasetError: an option that was given differs from the record, the dataset has no such option, or
            the record lacks what is needed.
    """
    if not record.recorded:
        _check_unrecorded(options, record)
        return options
    options = _with(options, "window", record.window, record)
    spacings = [step["spacing"] for step in record.steps if step.get("step") == "Resample"]
    options = _with(options, "spacing", tuple(spacings[0]) if spacings else None, record)
    fixed = {"CentralSlice", "CropWidth"} & {str(step.get("step")) for step in record.steps}
    if fixed:
        raise DatasetError(
            f"{record.folder}: its training images went through {', '.join(sorted(fixed))}, which this source is not "
            "put through; convert new images as the training dataset was"
        )
    usual = {one.name: one.default for one in fields(options)}
    if len(record.channels) == 1 and getattr(options, "channel", None) == usual.get("channel", ""):
        options = replace(options, channel=record.channels[0])  # type: ignore[call-arg]
    return options


def _with(options: Common, name: str, recorded: Any, record: TrainingRecord) -> Common:
    """Set an option to the recorded value; the user may give the same value or none."""
    known = any(one.name == name for one in fields(options))
    given = getattr(options, name, None)
    given = None if given is None else tuple(float(value) for value in given)
    recorded = None if recorded is None else tuple(float(value) for value in recorded)
    if given is not None and given != recorded:
        raise DatasetError(
            f"--{name} {_shown(given)}: the training images of {record.folder} have "
            f"{_shown(recorded) if recorded else 'none'}; leave --{name} out"
        )
    if recorded is not None and not known:
        raise DatasetError(
            f"{record.folder}: its training images were converted with --{name} {_shown(recorded)}, an option that "
            "this dataset does not have; convert with the dataset of the training"
        )
    return options if recorded is None else replace(options, **{name: recorded})


def _check_unrecorded(options: Common, record: TrainingRecord) -> None:
    """Stop if the model's channel shows that a window was used, which is not recorded and not given."""
    window = getattr(options, "window", None)
    if record.ours and "noNorm" in record.channels and window is None:
        raise DatasetError(
            f"{record.folder}: its dataset.json does not record the window of its training images (channel noNorm); "
            "pass --window LOW HIGH as in their conversion, or pass the training dataset's folder in nnUNet_raw "
            "with --model"
        )


def _check_channels(dataset: Description, record: TrainingRecord) -> list[str]:
    """Compare the channels; return a note where another tool chose the model's name."""
    names = tuple(dataset.channel_names)
    if len(record.channels) != len(names):
        raise DatasetError(
            f"{record.folder}: the model takes {len(record.channels)} images per case "
            f"({', '.join(record.channels)}), and a patient's folder gives {len(names)}; only models of one channel "
            "are supported"
        )
    if names[0].casefold() == record.channels[0].casefold():
        return []
    differ = f"the model's channel is {record.channels[0]!r}, that of the images {names[0]!r}"
    if record.ours:
        raise DatasetError(
            f"{record.folder}: {differ}; convert with the dataset of the training and its --modality, --channel or "
            "--window"
        )
    return [f"{differ}: make sure that both have the same contrast and units"]


def _orientation(dataset: Description, record: TrainingRecord | None) -> tuple[str, list[str]]:
    """Return the orientation to write, and notes."""
    usual = dataset.output.orientation
    if record is None:
        return usual, [
            f"written as {usual}, like the training images of this converter; --model FOLDER takes orientation, "
            "channel and window from a trained model"
        ]
    notes = _unrecorded_notes(record)
    if record.orientation is not None:
        return record.orientation, notes
    seen = revealed(record.folder)
    if len(seen) == 1:
        (code,) = seen
        return code, [
            f"the model's dataset.json does not record an orientation; written as {code}, that of the predictions in "
            "its validation folders",
            *notes,
        ]
    why = (
        f"its validation folders hold {', '.join(sorted(seen))}"
        if seen
        else "no validation folder shows it"
    )
    return usual, [
        f"the model's dataset.json does not record an orientation, and {why}: written as {usual}; make sure that the "
        "training images were stored so",
        *notes,
    ]


def _unrecorded_notes(record: TrainingRecord) -> list[str]:
    if record.recorded:
        return []
    return [
        "the model's dataset.json does not record whether values were windowed or voxels resampled: the options "
        "given here apply (--window, --spacing)"
    ]


def _shown(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)
