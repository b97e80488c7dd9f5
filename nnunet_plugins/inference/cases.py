"""What is predicted: files named as nnU-Net requires, or DICOM series."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from dataset_conversion.datasets.source_files import files_below, ignored
from dataset_conversion.dicom.series import find_series
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.atomic_files import digest_of
from dataset_conversion.io.volumes import Header, is_volume
from nnunet_plugins.errors import UserError
from nnunet_plugins.image_files import is_image
from nnunet_plugins.natural_images import is_natural
from nnunet_plugins.prediction.inputs import find_inputs
from nnunet_plugins.prediction.model import Model

#: Names of channels that are MR sequences.
_MR = re.compile(r"(t[12]w?|stir|pd|flair|dixon|mri?)(?![a-z0-9])", re.IGNORECASE)


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        name: stem of its files; of a series, made from its content, without the patient's name.
        images: one file per channel; none of a series.
        dicom: folder of the series; None for files.
        grid: of the series; None for files.
        problem: why it cannot be predicted; it has its folder as a name then.
    """

    name: str
    images: tuple[Path, ...] = ()
    dicom: Path | None = None
    grid: Header | None = field(default=None, compare=False)
    problem: str = ""

    @property
    def source(self) -> Path:
        """Its first file, or its folder."""
        return self.dicom or self.images[0]


def find_cases(place: Path, model: Model) -> tuple[list[Case], list[str]]:
    """Find the cases of a file or folder; returns notes on what was passed over, too.

    Args:
        place: an image of a model with one channel; a folder of images (CASE_0000.nii.gz); a folder of a DICOM
            series; or a folder with one such folder per patient.
        model: the model folder.

    Raises:
        UserError: nothing to predict, two cases of one name, or a format that the model does not read.
        DatasetError: the only series is ambiguous or not a regular volume; one of several is a case with a problem.
    """
    if place.is_file():
        return [_single(place, model)], []
    if not place.is_dir():
        raise UserError(f"{place}: no such file or folder")
    files = [path for path in place.iterdir() if path.is_file() and not ignored(path.name)]
    folders = sorted(path for path in place.iterdir() if path.is_dir() and not ignored(path.name))
    if any(is_image(path) for path in files) or not (files or folders):
        found = find_inputs(place, model, "predict")
        return [Case(name, tuple(paths)) for name, paths in found.items()], []
    _check_series(model)
    cases, notes = [], []
    for folder in [place] if files else folders:
        try:
            series, said = find_series(
                files_below(folder, follow_links=True), str(folder), modality=None
            )
            if series is None:
                raise DatasetError(
                    f"{folder}: no DICOM images, and no images named CASE_0000{model.ending}"
                )
        except DatasetError as error:
            if files or len(folders) == 1:
                raise
            cases.append(Case(str(folder), dicom=folder, problem=str(error)))
            continue
        notes += [*said, *_other_modality(folder, series.slices[0].modality, model)]
        grid = Header(series.size, series.affine)
        cases.append(Case(f"case_{digest_of(series.paths)[:8]}", dicom=folder, grid=grid))
    twice = {case.name for case in cases if [one.name for one in cases].count(case.name) > 1}
    if twice:
        where = ", ".join(str(case.dicom) for case in cases if case.name in twice)
        raise UserError(f"the same series is in several folders: {where}; keep one")
    return cases, list(dict.fromkeys(notes))


def _single(path: Path, model: Model) -> Case:
    if not path.name.endswith(model.ending) or model.channels != 1:
        raise UserError(
            f"{path}: the model reads {model.channels} {model.ending} per case; pass a folder of "
            f"CASE_0000{model.ending} and so on"
        )
    name = path.name.removesuffix(model.ending).removesuffix("_0000")
    if not name:
        raise UserError(
            f"{path}: the name of the case is empty; rename the file CASE_0000{model.ending}"
        )
    return Case(name, (path,))


def _other_modality(folder: Path, modality: str, model: Model) -> list[str]:
    """A warning if a series is of CT and the model of MR, or the other way round, as far as the channel shows it."""
    channel = str(next(iter(model.dataset["channel_names"].values())))
    kind = "CT" if channel.upper() == "CT" else "MR" if _MR.match(channel) else modality
    if {kind, modality.upper()} != {"CT", "MR"}:
        return []
    return [
        f"WARNING: {folder}: the series is {modality}, the model is of {channel}: its label map means nothing"
    ]


def _check_series(model: Model) -> None:
    if model.channels != 1:
        raise DatasetError(
            f"{model.folder}: the model needs {model.channels} images per case, and a DICOM folder contains one: "
            "convert the series first (nnunet-plugins convert --images-only)"
        )
    if is_natural(Path(f"case{model.ending}")) or not is_volume(Path(f"case{model.ending}")):
        raise DatasetError(
            f"{model.folder}: the model reads {model.ending} images, which have no position in a patient; DICOM is "
            "for models of volumes (.nii.gz, .nrrd, .mha)"
        )
