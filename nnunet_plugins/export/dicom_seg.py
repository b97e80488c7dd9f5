"""DICOM SEG that refers to the series it was predicted from.

It contains patient and study as in the source series, which DICOM requires. No other file or message contains them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk

from dataset_conversion.io.library_warnings import quiet_pydicom
from nnunet_plugins import __version__
from nnunet_plugins.atomic_files import placed
from nnunet_plugins.errors import UserError
from nnunet_plugins.export.character_sets import TEXTS, UTF_8
from nnunet_plugins.export.errors import UnequalError
from nnunet_plugins.export.names import dicom_names
from nnunet_plugins.export.segments import Segment, layers
from nnunet_plugins.export.source_series import Source
from nnunet_plugins.export.terminology import Code
from nnunet_plugins.optional_imports import need

_SERIES_NUMBER = 900  # above the numbers that scanners assign


@dataclass(frozen=True)
class Algorithm:
    """The algorithm that made the prediction, as recorded in the object."""

    name: str = "nnU-Net"
    version: str = ""

    @property
    def stated(self) -> str:
        """The version; nnU-Net's by default."""
        return self.version or version("nnunetv2")


def write_dicom_seg(target: Path, image: sitk.Image, segments: Sequence[Segment], source: Source,
                    algorithm: Algorithm | None = None) -> list[str]:  # fmt: skip
    """Write a label map as DICOM SEG on the slices of its source, read it back and compare.

    Args:
        target: ends in .dcm.
        image: the label map, LPS mm, in any order of axes.
        segments: the meaning of its values.
        source: the series that it was predicted from.
        algorithm: the algorithm that made it.

    Returns:
        Notes on what the source lacks.

    Raises:
        DatasetError: the label map is not on the series' voxel grid.
        UserError: highdicom is missing, the file cannot be written, or its content differs when read back.
    """
    need("highdicom", "export", "DICOM SEG")
    if source.series.slices[0].frame is not None:
        raise UserError(
            f"{source.who}: an enhanced (multi-frame) series; DICOM SEG is supported for series of one file "
            "per slice only: leave dicom-seg out of --to"
        )
    array = source.labels(image, target.name)  # (slice, row, column)
    headers, notes = source.headers()
    names, more = dicom_names(segment.name for segment in segments)
    notes += more
    segments = [replace(one, name=name) for one, name in zip(segments, names, strict=True)]
    with quiet_pydicom():
        try:
            made = _make(array, segments, source, headers, algorithm or Algorithm())
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise UserError(
                f"{source.who}: highdicom cannot write a DICOM SEG for this series ({error!r}); write .seg.nrrd, and "
                "please report it"
            ) from error
        with placed(target) as temporary:
            made.save_as(temporary)
            del made
            _compare(temporary, array, segments, source)
            _compare_texts(temporary, headers[0])
    return notes


def _make(array: np.ndarray, segments: Sequence[Segment], source: Source, headers: Sequence[Any],
          algorithm: Algorithm) -> Any:  # fmt: skip
    import highdicom as hd
    from pydicom.sr.codedict import codes
    from pydicom.uid import ExplicitVRLittleEndian

    identification = hd.AlgorithmIdentificationSequence(
        name=algorithm.name[:64],
        version=algorithm.stated[:64],
        family=codes.DCM.ArtificialIntelligence,
    )
    spacing = np.linalg.norm(source.series.affine[:3, :3], axis=0)
    measures = hd.PixelMeasuresSequence(
        pixel_spacing=[_short(spacing[1]), _short(spacing[0])],
        slice_thickness=_short(float(headers[0].get("SliceThickness") or spacing[2])),
        spacing_between_slices=_short(spacing[2]),
    )
    return hd.seg.Segmentation(
        source_images=headers,
        pixel_array=_pixels(array, segments),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_describe(segment, identification) for segment in segments],
        series_instance_uid=hd.UID(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="nnunet-plugins",
        manufacturer_model_name="nnU-Net",
        software_versions=[f"nnunet-plugins {__version__}", f"nnunetv2 {version('nnunetv2')}"],
        device_serial_number="none",
        content_label="SEGMENTATION",
        content_description="Automatic segmentation, for research",
        series_description="Automatic segmentation (nnU-Net)",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        specific_character_set=UTF_8,  # whatever the source has: names of labels are in any language
        pixel_measures=measures,
    )


def _pixels(array: np.ndarray, segments: Sequence[Segment]) -> np.ndarray:
    """Segment numbers (frame, row, column); for overlapping regions, one plane per segment."""
    if len(layers(segments)) == 1:
        numbers = np.zeros(array.shape, np.uint8 if len(segments) < 256 else np.uint16)
        for segment in segments:
            numbers[segment.mask(array)] = segment.number
        return numbers
    return np.stack([segment.mask(array) for segment in segments], axis=-1).astype(np.uint8)


def _describe(segment: Segment, identification: Any) -> Any:
    import highdicom as hd

    term = segment.term
    made = hd.seg.SegmentDescription(
        segment_number=segment.number,
        segment_label=segment.name,
        segmented_property_category=_concept(term.category),
        segmented_property_type=_concept(term.type),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=identification,
        display_color=hd.color.CIELabColor.from_rgb(*segment.colour),
    )
    if term.side is not None:
        kind = made.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [_concept(term.side)]
    return made


def _concept(code: Code) -> Any:
    import highdicom as hd

    return hd.sr.CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=code.meaning)


def _short(value: float) -> float:
    """Limit a number to the 16 characters of DICOM's decimal strings."""
    return float(f"{value:.9g}")


def _compare(path: Path, array: np.ndarray, segments: Sequence[Segment], source: Source) -> None:
    """Read the file with pydicom, compare every frame at its stated position, and parse it with highdicom."""
    import highdicom as hd

    found = pydicom.dcmread(path)
    affine = source.series.affine
    frames = np.atleast_3d(found.pixel_array) if found.NumberOfFrames == 1 else found.pixel_array
    frames = frames.reshape(-1, *array.shape[1:])
    seen = {segment.number: np.zeros(len(array), bool) for segment in segments}
    shared = found.SharedFunctionalGroupsSequence[0]  # holds what is the same for all frames
    for frame, group in zip(frames, found.PerFrameFunctionalGroupsSequence, strict=True):
        stated = {item.keyword: item.value[0] for one in (shared, group) for item in one}
        number = int(stated["SegmentIdentificationSequence"].ReferencedSegmentNumber)
        at = np.array(stated["PlanePositionSequence"].ImagePositionPatient, float)
        index = np.linalg.inv(affine) @ (*at, 1)
        z = round(float(index[2]))
        if np.abs(index[:3] - (0, 0, z)).max() > 0.1 or not 0 <= z < len(array):
            raise UnequalError(path, "position of a frame")
        if not np.array_equal(frame > 0, segments[number - 1].mask(array[z])):
            raise UnequalError(path, f"voxels of {segments[number - 1].name!r}")
        seen[number][z] = True
    for segment in segments:
        if (segment.mask(array).any((1, 2)) & ~seen[segment.number]).any():
            raise UnequalError(path, f"missing slices of {segment.name!r}")
    again = hd.seg.Segmentation.from_dataset(found, copy=False)
    if [again.get_segment_description(s.number).segment_label for s in segments] != [
        segment.name for segment in segments
    ]:
        raise UnequalError(path, "names")


def _compare_texts(path: Path, source: Any) -> None:
    """Check that patient and study have the texts of the source, which may be in another character set."""
    found = pydicom.dcmread(path, stop_before_pixels=True)
    for name in TEXTS:
        if name in found and str(found[name].value) != str(source.get(name, "")):
            raise UnequalError(path, name)
