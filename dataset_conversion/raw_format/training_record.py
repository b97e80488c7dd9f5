"""What a trained model's folder, or a raw dataset, records about its training images.

nnU-Net copies dataset.json into the model's folder. Our converters add the entry `nnunet_plugins`, with the
orientation, the window and the transforms of the images. Older versions record window and transforms only in
conversion.json of the raw dataset.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_conversion.cases.case import Output
from dataset_conversion.cases.transforms import Resample
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.volumes import is_volume, read_header
from dataset_conversion.raw_format.manifest import read_json, read_manifest

ENTRY = "nnunet_plugins"
_ORIENTATION = re.compile(r"[LRAPIS]{3}|slices-first")
_CUT = "DropEmptySlices"  # depends on the mask
_MOST = 50  # predictions of the validation that are looked at


@dataclass(frozen=True)
class TrainingRecord:
    """How the training images of a model were stored.

    Attributes:
        folder: of the model or the raw dataset.
        channels: names of the channels, in their order.
        ending: file ending of the images.
        orientation: their orientation; None if it is not recorded.
        recorded: whether window and steps are known.
        window: (low, high) that was mapped to 0..1; None without one.
        steps: name and fields of each transform, as in conversion.json.
        ours: whether one of our converters wrote the dataset.
    """

    folder: Path
    channels: tuple[str, ...]
    ending: str
    orientation: str | None
    recorded: bool = False
    window: tuple[float, float] | None = None
    steps: tuple[Mapping[str, Any], ...] = ()
    ours: bool = False

    def written_as(self, usual: str = "LPS") -> tuple[str, list[str]]:
        """Return the orientation of the training images, and a note if it is not recorded.

        Args:
            usual: the orientation if it is neither recorded nor shown by the predictions of the validation.
        """
        if self.orientation is not None:
            return self.orientation, []
        seen = revealed(self.folder)
        if len(seen) == 1:
            (code,) = seen
            return code, [
                f"the model's dataset.json does not record an orientation; written as {code}, that of the "
                "predictions in its validation folders"
            ]
        shown = ", ".join(sorted(seen))
        why = f"its validation folders hold {shown}" if seen else "no validation folder shows it"
        return usual, [
            f"the model's dataset.json does not record an orientation, and {why}: written as {usual}; make sure that "
            "the training images were stored so"
        ]

    def output(self, orientation: str) -> Output:
        """Return how new images are written: with the window and voxel size of the training images.

        Raises:
            DatasetError: the window is needed and not recorded, or the training images went through a transform
                that is not repeated on new images.
        """
        if self.ours and not self.recorded and "noNorm" in self.channels:
            raise DatasetError(
                f"{self.folder}: its dataset.json does not record the window of its training images (channel "
                "noNorm); pass --window LOW HIGH to convert --images-only, as in their conversion"
            )
        names = [str(step.get("step")) for step in self.steps]
        foreign = sorted(set(names) - {"Resample", _CUT})
        if foreign:
            raise DatasetError(
                f"{self.folder}: its training images went through {', '.join(foreign)}, which is not repeated on "
                "new images; convert them with the dataset of the training"
            )
        steps = tuple(
            Resample(tuple(step["spacing"])) for step in self.steps if step["step"] == "Resample"
        )
        return Output(self.window, steps, orientation)

    def notes(self) -> list[str]:
        """Return what the user must know about new images of this model."""
        notes = []
        if not self.recorded:
            notes.append(
                "the model's dataset.json does not record whether the training images were windowed or resampled; "
                "new images are not, unless --window or --spacing is passed to convert"
            )
        if any(step.get("step") == _CUT for step in self.steps):
            notes.append(
                "the training images were cut to the slices with labels; new images keep all slices"
            )
        return notes


def read_record(folder: Path) -> TrainingRecord:
    """Read dataset.json, and conversion.json where there is one.

    Args:
        folder: a trained model (TRAINER__PLANS__CONFIGURATION) or a raw dataset.

    Raises:
        DatasetError: no dataset.json, or one that nnU-Net cannot have used.
    """
    path = folder / "dataset.json"
    if not path.is_file():
        raise DatasetError(f"{folder}: {_without_json(folder)}")
    content = _object(path)
    try:
        channels = tuple(
            str(name) for _, name in sorted(content["channel_names"].items(), key=_number)
        )
        ending = str(content["file_ending"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f"{path}: damaged ({error!r}); copy the model again") from error
    entry = content.get(ENTRY)
    entry = entry if isinstance(entry, dict) else {}
    settings = entry if "window" in entry else read_manifest(folder).get("settings", {})
    window = settings.get("window")
    return TrainingRecord(
        folder=folder,
        channels=channels,
        ending=ending,
        orientation=orientation_in(content, path),
        recorded="window" in settings,
        window=None if window is None else (float(window[0]), float(window[1])),
        steps=tuple(settings.get("steps", ())),
        ours=bool(entry),
    )


def orientation_in(dataset: Mapping[str, Any], where: Path) -> str | None:
    """Return the orientation that a dataset.json records; None without one.

    Args:
        dataset: the content of dataset.json.
        where: the file, for the message.

    Raises:
        DatasetError: it is not an orientation.

    >>> orientation_in({"nnunet_plugins": {"orientation": "LPS"}}, Path("dataset.json"))
    'LPS'
    """
    entry = dataset.get(ENTRY)
    found = entry.get("orientation") if isinstance(entry, dict) else None
    if found is None:
        return None
    if not (isinstance(found, str) and _ORIENTATION.fullmatch(found)):
        raise DatasetError(
            f"{where}: orientation {found!r} of {ENTRY}; allowed: three letters for the directions of x, y and z, "
            "such as LPS; copy dataset.json from the training dataset again"
        )
    return found


def revealed(folder: Path) -> Counter[str]:
    """Count the orientations of the predictions that nnU-Net wrote at the end of the training.

    They have the geometry of the training images.

    Args:
        folder: a trained model; at most 50 files of fold_*/validation are looked at.
    """
    found: Counter[str] = Counter()
    files = (path for path in sorted(folder.glob("fold_*/validation/*")) if is_volume(path))
    for path, _ in zip(files, range(_MOST), strict=False):
        try:
            found[read_header(path).orientation] += 1
        except DatasetError:  # a damaged prediction shows nothing
            continue
    return found


def _without_json(folder: Path) -> str:
    """Describe what a path without dataset.json is, and which folder to pass."""
    if folder.suffix.lower() == ".zip":
        return (
            "is an archive; unpack it, or install it with nnUNetv2_install_pretrained_model_from_zip, and pass the "
            "folder of the model, TRAINER__PLANS__CONFIGURATION"
        )
    found = sorted({path.parent for pattern in ("*", "*/*", "*/*/*")
                    for path in folder.glob(f"{pattern}/dataset.json")}) if folder.is_dir() else []  # fmt: skip
    if (folder.parent / "dataset.json").is_file():  # a fold, or dataset.json itself
        found = [folder.parent]
    shown = f"; here: {', '.join(str(path) for path in found[:3])}" if found else ""
    return (
        "no dataset.json; pass the folder of a trained model, TRAINER__PLANS__CONFIGURATION in "
        f"nnUNet_results{shown}"
    )


def _number(item: tuple[str, Any]) -> int:
    return int(item[0])


def _object(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except DatasetError as error:
        raise DatasetError(f"{path}: damaged; copy the model again") from error
