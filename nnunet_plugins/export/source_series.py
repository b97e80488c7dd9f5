"""The DICOM series that a prediction was made from, and label maps on its slices."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.uid import CTImageStorage, MRImageStorage

from dataset_conversion.cases.mask_alignment import is_part, on_grid
from dataset_conversion.datasets.source_files import ignored
from dataset_conversion.dicom.series import Series, find_series, read_series
from dataset_conversion.io.atomic_files import digest
from dataset_conversion.io.geometry import place
from dataset_conversion.io.library_warnings import quiet_pydicom
from dataset_conversion.io.volumes import header_of
from nnunet_plugins.errors import UserError
from nnunet_plugins.export.character_sets import decode

#: Required in every DICOM object, possibly empty; older and de-identified files lack them.
_MAY_BE_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime",
    "AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator",
)  # fmt: skip
_STORAGES = {"CT": CTImageStorage, "MR": MRImageStorage}
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")


@dataclass(frozen=True)
class Source:
    """A series that is a regular volume.

    Attributes:
        series: its slices in the order of the normal.
        who: its folder, for messages.
        notes: what was skipped in the folder.
    """

    series: Series
    who: str
    notes: tuple[str, ...] = ()

    def volume(self) -> sitk.Image:
        """The values (CT: HU) on the series' grid."""
        return read_series(self.series, self.who)

    def grid(self) -> sitk.Image:
        """An empty volume with the series' geometry."""
        return place(np.zeros(self.series.size[::-1], np.uint8), self.series.affine)

    def labels(self, image: sitk.Image, who: str) -> np.ndarray:
        """Return a label map on the slices, (slice, row, column), by physical coordinates.

        Axes may be flipped, permuted or cropped; voxels are copied, not resampled.

        Raises:
            DatasetError: the label map is not on the series' grid (within a tenth of a voxel).
        """
        placed, _ = on_grid(image, self.grid(), who)
        array: np.ndarray = sitk.GetArrayFromImage(placed)
        return array

    def headers(self) -> tuple[list[Any], list[str]]:
        """Return the headers of its files, complete enough for references, and notes on what they lack.

        A missing UID is derived from the slices' UIDs or bytes and is the same every time.
        """
        with quiet_pydicom():
            headers = [pydicom.dcmread(path, stop_before_pixels=True, force=True)
                       for path in self.series.paths]  # fmt: skip
            notes = decode(headers)
        nameless = 0
        for header, path in zip(headers, self.series.paths, strict=True):
            # The file meta information holds the same UIDs; without it, they are derived from the file's bytes.
            meta = getattr(header, "file_meta", {})
            if not header.get("SOPClassUID"):
                usual = _STORAGES.get(self.series.slices[0].modality.upper(), CTImageStorage)
                header.SOPClassUID = meta.get("MediaStorageSOPClassUID") or usual
            if header.get("SOPInstanceUID"):
                continue
            stored = meta.get("MediaStorageSOPInstanceUID")
            header.SOPInstanceUID = stored or _uid("SOPInstanceUID", digest(path))
            nameless += not stored
        seed = "/".join(sorted(str(header.SOPInstanceUID) for header in headers))
        missing = [name for name in _UIDS if not headers[0].get(name)]
        for header in headers:
            for name in missing:
                setattr(header, name, _uid(name, seed))
            for name in _MAY_BE_EMPTY:
                if name not in header:
                    setattr(header, name, "")
        if missing:
            notes.append(
                f"the series has no {', '.join(missing)}: derived from its slices' UIDs, so an archive does not "
                "file the DICOM SEG with the series, though it refers to its slices"
            )
        if nameless:
            notes.append(
                f"{nameless} slices have no SOPInstanceUID: the DICOM SEG is on their grid, but no viewer can "
                "find them by their UID; export the series again from the archive"
            )
        return headers, notes


def find_source(
    folder: Path, *, prediction: sitk.Image | None = None, wanted: str | None = None
) -> Source:
    """Find the one series in a folder, or among several the one whose grid contains a prediction.

    Raises:
        DatasetError: no series, several series, or a series that is not a regular volume (tilt, gaps, colour).
        UserError: the folder does not exist or contains no DICOM files.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; pass the folder of the DICOM series")
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not ignored(p.name))

    def fits(series: Series) -> bool:
        header = header_of(prediction)
        return is_part(header.matrix, header.size, series.affine, series.size)

    found, notes = find_series(
        files, str(folder), modality=None, description=wanted,
        fits=None if prediction is None else fits,
    )  # fmt: skip
    if found is None:
        raise UserError(f"{folder}: contains no DICOM images; pass the folder of the DICOM series")
    return Source(found, str(folder), tuple(notes))


def _uid(*parts: str) -> str:
    digest = hashlib.sha256("/".join(parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:15], 'big')}"
