"""New images for a trained model: `convert ... --images-only`.

The images are read and written as those of a training dataset, into one flat folder for `nnUNetv2_predict -i`. With
--model, their orientation, window, voxel size and file ending are those of the model's training images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dataset_conversion.cases.transforms import Resample
from dataset_conversion.datasets.key_file import check_key, sources_of, write_key
from dataset_conversion.datasets.options import Common, option
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.orientation import SLICES_FIRST
from dataset_conversion.labels import Labels
from dataset_conversion.parallel import Progress
from dataset_conversion.raw_format.description import ENDING, Description
from dataset_conversion.raw_format.images_folder import ImagesReport, check_new, write_images
from dataset_conversion.raw_format.training_record import TrainingRecord, read_record

IMAGES_ONLY: bool = option(
    False, "new images for a trained model: -o is a new folder for nnUNetv2_predict -i, -d is not used, "
    "and masks are passed over",
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

    `target` is a new or an empty folder. The options have `images_only`, and `model` or None.

    Raises:
        DatasetError: the conversion is impossible, or options differ from what the model records.
    """
    check_new(target)
    if options.key:
        check_key(Path(options.key), target)
        if Path(options.key).exists():
            raise DatasetError(
                f"{options.key}: exists, and its cases would be lost; pass a new file with --key"
            )
    if options.groups:
        raise DatasetError("--groups: used for folds only; leave it out with --images-only")
    model = getattr(options, "model", None)
    record = None if model is None else read_record(Path(model))
    dataset = find(source, options, 1, "Images", progress)
    if record is None:
        usual = dataset.output.orientation
        notes = [
            f"written as {usual}, like the training images of this converter; --model FOLDER takes orientation, "
            "window and voxel size from a trained model"
        ]
    else:
        dataset, notes = _as_trained(dataset, record)
    dataset = replace(dataset, notes=[*dataset.notes, *notes])
    ending = ENDING if record is None else record.ending
    report = write_images(dataset, target, options.run(), progress, ending=ending)
    if options.key and not options.dry_run:
        write_key(Path(options.key), sources_of(dataset.cases, report.cases))
    return report


def _as_trained(dataset: Description, record: TrainingRecord) -> tuple[Description, list[str]]:
    """Return the dataset with the output of the training images, and notes."""
    given = dataset.output
    code, why = record.written_as(given.orientation)
    if not record.recorded and (given.window or given.steps):
        notes = [*why, *_check_channels(dataset, record), *record.notes()]
        return replace(dataset, output=replace(given, orientation=code)), notes
    if given.orientation == SLICES_FIRST != code:
        raise DatasetError(
            f"--slices-first: the training images of {record.folder} are stored as {code}; leave it out"
        )
    trained = record.output(code)
    if given.window not in (None, trained.window):
        raise _differs("window", given.window, trained.window, record)
    sizes = [
        next((s.spacing for s in o.steps if isinstance(s, Resample)), None)
        for o in (given, trained)
    ]
    if sizes[0] not in (None, sizes[1]):
        raise _differs("spacing", sizes[0], sizes[1], record)
    output = replace(given, window=trained.window, steps=trained.steps, orientation=code)
    notes = [*why, *_check_channels(dataset, record), *record.notes()]
    return replace(dataset, output=output), notes


def _differs(name: str, given: Sequence[float] | None, trained: Sequence[float] | None,
             record: TrainingRecord) -> DatasetError:  # fmt: skip
    def shown(values: Sequence[float] | None) -> str:
        return " ".join(f"{value:g}" for value in values) if values else "none"

    return DatasetError(
        f"--{name} {shown(given)}: the training images of {record.folder} have {shown(trained)}; leave --{name} out"
    )


def _check_channels(dataset: Description, record: TrainingRecord) -> list[str]:
    """Compare the channels; return a note where another tool chose the model's name."""
    names, wanted = tuple(dataset.channel_names), record.channels
    if len(wanted) != len(names):
        raise DatasetError(
            f"{record.folder}: the model takes {len(wanted)} images per case ({', '.join(wanted)}), and a patient's "
            f"folder gives {len(names)}; only models of one channel are supported"
        )
    windowed = record.window is not None and wanted[0] == "noNorm"
    if windowed or names[0].casefold() == wanted[0].casefold():
        return []
    differ = f"the model's channel is {wanted[0]!r}, that of the images {names[0]!r}"
    if record.ours and wanted[0] != "noNorm":
        raise DatasetError(
            f"{record.folder}: {differ}; convert with the dataset of the training and its --modality or --channel"
        )
    return [f"{differ}: make sure that both have the same contrast and units"]
