"""Attributes that distinguish volumes of one DICOM series: echo, kernel, contrast, part, phase, ...

Values are kept as text without blanks, numbers rounded to 0.01, as they are shown and chosen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydicom.tag import Tag

from dataset_conversion.dicom.decimals import parse
from dataset_conversion.dicom.elements import part, text

#: Slices that differ in one of these belong to different volumes, in order of preference for a choice.
DEFINING = ("ImageType", "ComplexImageComponent", "EchoTime", "EchoNumbers", "ConvolutionKernel",
            "ContrastBolusAgent", "DiffusionBValue", "TemporalPositionIdentifier", "InversionTime",
            "FlipAngle", "KVP", "ProtocolName", "SequenceName", "SeriesNumber", "SeriesDescription")  # fmt: skip
#: These also differ between slices of one volume, e.g. for each position of the table.
COUNTING = ("AcquisitionNumber", "StackID", "SliceThickness")
#: These order the images of one position in time.
ORDERING = ("TriggerTime", "AcquisitionTime", "ContentTime", "InstanceNumber")
_NUMERIC = frozenset(("EchoTime", "EchoNumbers", "DiffusionBValue", "InversionTime", "FlipAngle", "KVP",
                      "TemporalPositionIdentifier", "AcquisitionNumber", "SliceThickness",
                      "SeriesNumber", *ORDERING))  # fmt: skip
# Attribute -> (sequence of a frame's functional groups, its name there).
_IN_FRAMES = {
    "ImageType": (("CTImageFrameTypeSequence", "MRImageFrameTypeSequence"), "FrameType"),
    "ComplexImageComponent": (("MRImageFrameTypeSequence",), "ComplexImageComponent"),
    "EchoTime": (("MREchoSequence",), "EffectiveEchoTime"),
    "InversionTime": (("MRModifierSequence",), "InversionTimes"),
    "ConvolutionKernel": (("CTReconstructionSequence",), "ConvolutionKernel"),
    "ContrastBolusAgent": (("ContrastBolusUsageSequence",), "ContrastBolusAgentNumber"),
    "DiffusionBValue": (("MRDiffusionSequence",), "DiffusionBValue"),
    "TemporalPositionIdentifier": (("FrameContentSequence",), "TemporalPositionIndex"),
    "FlipAngle": (("MRTimingAndRelatedParametersSequence",), "FlipAngle"),
    "KVP": (("CTXRayDetailsSequence",), "KVP"),
    "SliceThickness": (("PixelMeasuresSequence",), "SliceThickness"),
    "AcquisitionNumber": (("FrameContentSequence",), "FrameAcquisitionNumber"),
    "StackID": (("FrameContentSequence",), "StackID"),
    "TriggerTime": (("CardiacSynchronizationSequence",), "NominalCardiacTriggerDelayTime"),
    "AcquisitionTime": (("FrameContentSequence",), "FrameAcquisitionDateTime"),
}
_DATE_TIME = re.compile(r"\d{8}(\d+(\.\d+)?)")
# b-values of manufacturers: tag of the creator, creator, tag.
_B_VALUES = (
    (Tag(0x0019, 0x0010), "SIEMENS MR HEADER", Tag(0x0019, 0x100C)),
    (Tag(0x0043, 0x0010), "GEMS_PARM_01", Tag(0x0043, 0x1039)),
    (Tag(0x2001, 0x0010), "Philips Imaging DD 001", Tag(0x2001, 0x1003)),
)


def traits_of(header: Any) -> dict[str, str]:
    """Return the attributes of a file that are not empty."""
    found = {name: text(header, name) for name in (*DEFINING, *COUNTING, *ORDERING)}
    found["DiffusionBValue"] = found["DiffusionBValue"] or _private_b_value(header)
    return _shown(found)


def traits_of_frame(groups: Sequence[Any], number: int) -> dict[str, str]:
    """Return the attributes that a frame's functional groups contain, and its number in the file."""
    found = {}
    for name, (sequences, own) in _IN_FRAMES.items():
        items = [item for sequence in sequences if (item := part(groups, sequence)) is not None]
        found[name] = next((text(item, own) for item in items), "")
    time = _DATE_TIME.match(found["AcquisitionTime"])
    found["AcquisitionTime"] = time[1] if time else ""
    return _shown({**found, "InstanceNumber": str(number)})


def shown(name: str, stored: str) -> str:
    """Return an attribute's text as it is compared and shown.

    >>> shown("EchoTime", "3.5999999999999996"), shown("StackID", "01")
    ('3.6', '01')
    """
    number = parse(stored, 1) if name in _NUMERIC else None
    if number is None or number.bad is not None:
        return stored
    return f"{round(number.values[0], 2):.12g}"


def _shown(found: Mapping[str, str]) -> dict[str, str]:
    return {name: shown(name, stored) for name, stored in found.items() if stored}


def _private_b_value(header: Any) -> str:
    for block, creator, tag in _B_VALUES:
        if tag in header and block in header and str(header[block].value).strip() == creator:
            stored = header[tag].value
            several = not isinstance(stored, str | bytes) and hasattr(stored, "__iter__")
            first = str(next(iter(stored), "") if several else stored)
            number = parse(first, 1)
            # GE adds 1e9 to the values of some protocols.
            return f"{number.values[0] % 1e9:g}" if number and number.bad is None else ""
    return ""
