"""Export every case of a folder in the requested formats."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from dataset_conversion.io.label_maps import read_mask
from dataset_conversion.io.nifti_writer import write_image
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.evaluation.pairs import label_maps
from nnunet_plugins.export.case_files import remove_earlier, set_of_files
from nnunet_plugins.export.dicom_seg import Algorithm, write_dicom_seg
from nnunet_plugins.export.label_files import check_placed, read_label_file
from nnunet_plugins.export.mesh import write_stl
from nnunet_plugins.export.names import cut
from nnunet_plugins.export.own_grid import on_own_grid
from nnunet_plugins.export.patients import Own, find_own
from nnunet_plugins.export.segments import Segment, check_declared, find_names, make_segments
from nnunet_plugins.export.slicer import write_seg_nrrd
from nnunet_plugins.export.source_series import Source, find_source

FORMATS = ("nii.gz", "seg.nrrd", "dicom-seg", "stl")
_LONGEST_STEM = 100  # bytes; file systems allow 255 for a complete name


@dataclass(frozen=True)
class Request:
    """Formats and options of an export.

    Attributes:
        formats: some of `FORMATS`.
        output: folder for the files; created if missing.
        dicom: the source series' folder; for several cases, a folder with one such folder per case.
        key: file of `convert --key`: every label map is written on the grid of its patient's own image.
        series: text that selects one of several series.
        dataset_json: provides the labels' names; searched in and above the prediction's folder by default.
        smoothing: iterations of the meshes' filter.
        algorithm: the algorithm that made the predictions.
    """

    formats: tuple[str, ...]
    output: Path
    dicom: Path | None = None
    key: Path | None = None
    series: str | None = None
    dataset_json: Path | None = None
    smoothing: int = 10
    algorithm: Algorithm = field(default_factory=Algorithm)


@dataclass(frozen=True)
class Written:
    """One case's files, and notes for the user."""

    name: str
    files: tuple[Path, ...]
    notes: tuple[str, ...]


def export(prediction: Path, request: Request,
           progress: Callable[[Any], Iterable[Any]] | None = None) -> list[Written]:  # fmt: skip
    """Write every label map of a file or folder in the requested formats.

    Raises:
        UserError: no label maps, labels without names, or DICOM SEG without a series.
        DatasetError: a label map that cannot be read, or is not on its series' grid.
    """
    cases = label_maps(prediction, "export", skipped=".seg.nrrd")
    if "dicom-seg" in request.formats and request.dicom is None and request.key is None:
        raise UserError(
            "export: DICOM SEG refers to the series that was predicted; pass --dicom SERIES_DIR or --key CSV, or "
            "leave dicom-seg out of --to"
        )
    if "nii.gz" in request.formats and any(
        path.parent.resolve() == request.output.resolve() for path in cases.values()
    ):
        raise UserError(
            f"export: -o {request.output}: is the folder of the predictions, which would be replaced; pass another"
        )
    if "dicom-seg" in request.formats or request.key is not None:
        check_placed([*cases.values()])
    labels = find_names(prediction, request.dataset_json)
    if request.key is not None:
        own = find_own(cases, request.key, request.series)
        _check_series(own, request)
        listed = progress(cases.items()) if progress else cases.items()
        return [_export_own(name, path, own[name], labels, request) for name, path in listed]
    sources = {name: _series_folder(name, len(cases), request) for name in cases}
    written = []
    for name, path in progress(cases.items()) if progress else cases.items():
        image, notes = read_label_file(path)
        source = None
        folder = sources[name]
        if folder is not None:
            source = find_source(folder, prediction=image, wanted=request.series)
        made = path.stat().st_mtime
        done = export_case(name, image, labels, request, source, made=made)
        written.append(replace(done, notes=(*notes, *done.notes)))
    return written


def _check_series(own: Mapping[str, Own], request: Request) -> None:
    """Stop if DICOM SEG is the only format and no patient has a series."""
    if set(request.formats) == {"dicom-seg"} and not any(one.source for one in own.values()):
        raise UserError(
            "export: no patient of the key has a DICOM series of one file per slice; pass --to nii.gz"
        )


def _export_own(name: str, path: Path, own: Own, labels: Labels, request: Request) -> Written:
    """Write one label map on the grid of its patient's image; DICOM SEG if that is a series."""
    placed, note = on_own_grid(read_mask(path).image, own.header, name)
    formats = request.formats
    notes = [note] if note else []
    if own.source is None and "dicom-seg" in formats:
        formats = tuple(one for one in formats if one != "dicom-seg")
        notes.append(
            "no DICOM SEG: the patient's image is not a DICOM series of one file per slice"
        )
    asked = replace(request, formats=formats)
    done = export_case(name, placed, labels, asked, own.source, made=path.stat().st_mtime)
    return replace(done, notes=(*notes, *done.notes))


def export_case(name: str, image: sitk.Image, labels: Labels, request: Request,
                source: Source | None, *, made: float | None = None) -> Written:  # fmt: skip
    """Write one label map in the requested formats, and replace the files of an earlier export of the case as a set.

    Args:
        name: name of the case; file names start with it.
        image: the label map, LPS mm.
        labels: names of its values.
        request: formats and options.
        source: the series that it was predicted from; for DICOM SEG.
        made: time of the label map's file, in seconds since 1970; None: it was made now.

    Raises:
        UserError: undeclared values, or a file that cannot be written.
        DatasetError: the label map is not on its series' grid.
    """
    array = sitk.GetArrayViewFromImage(image)
    check_declared([int(v) for v in np.unique(array)], labels, name)
    segments, notes = make_segments(labels)
    present = [segment for segment in segments if segment.mask(array).any()]
    absent = [segment.name for segment in segments if segment not in present]
    if absent:
        notes.append(f"without a voxel: {', '.join(absent)}")
    with set_of_files(request.output) as scratch:
        files, more = _write(
            name, image, segments, present, replace(request, output=scratch), source
        )
    files = tuple(request.output / path.name for path in files)
    earlier = remove_earlier(
        name, files, {*_stems(segments), *_stems(present)}, request.output, made
    )
    return Written(name, files, (*notes, *more, *earlier))


def _write(name: str, image: sitk.Image, segments: Sequence[Segment], present: Sequence[Segment],
           request: Request, source: Source | None) -> tuple[Iterable[Path], list[str]]:  # fmt: skip
    """Write all files of a case, and return them with notes."""
    array = sitk.GetArrayViewFromImage(image)
    files: list[Path] = []
    notes: list[str] = []
    if "nii.gz" in request.formats:
        files.append(request.output / f"{name}.nii.gz")
        write_image(image, files[-1], request.output)
    if "seg.nrrd" in request.formats:
        files.append(request.output / f"{name}.seg.nrrd")
        write_seg_nrrd(files[-1], image, segments)
    if "dicom-seg" in request.formats and source is not None:
        files.append(request.output / f"{name}_seg.dcm")
        notes += source.notes
        notes += write_dicom_seg(files[-1], image, segments, source, request.algorithm)
    if "stl" in request.formats:
        for segment, stem in zip(present, _stems(present), strict=True):
            files.append(request.output / f"{name}_{stem}.stl")
            write_stl(files[-1], segment.mask(array), image, request.smoothing)
    return files, notes


def _series_folder(name: str, cases: int, request: Request) -> Path | None:
    if request.dicom is None or "dicom-seg" not in request.formats:
        return None
    if cases == 1:
        return request.dicom / name if (request.dicom / name).is_dir() else request.dicom
    if not (request.dicom / name).is_dir():
        raise UserError(
            f"export: {request.dicom} contains no folder {name}; for several cases pass a folder with one series "
            "folder per case, named as the case"
        )
    return request.dicom / name


def _stems(segments: Sequence[Segment]) -> list[str]:
    """Names that are valid on every file system; equal names get the segment's number."""
    names = [cut(segment.name, _LONGEST_STEM) for segment in segments]
    plain = [re.sub(r"[^\w.-]+", "_", name).strip("_.") or "label" for name in names]
    folded = [name.casefold() for name in plain]
    return [
        f"{name}_{segment.number}" if folded.count(name.casefold()) > 1 else name
        for name, segment in zip(plain, segments, strict=True)
    ]
