"""Texts of DICOM headers as Unicode, whatever character set the source states.

pydicom decodes the character sets that DICOM defines. Two kinds of headers need more: those with letters that their
character set does not contain, which older and exported files have, and Chinese ones in ISO 2022 IR 58, whose escape
sequences pydicom keeps.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from pydicom.charset import convert_encodings
from pydicom.valuerep import PersonName

UTF_8 = "ISO_IR 192"
#: Texts about patient and study that a derived object repeats.
TEXTS = (
    "PatientName", "PatientID", "IssuerOfPatientID", "OtherPatientNames", "OtherPatientIDs", "EthnicGroup",
    "PatientComments", "StudyID", "StudyDescription", "AccessionNumber", "ReferringPhysicianName",
    "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy", "AdmittingDiagnosesDescription", "Occupation",
    "AdditionalPatientHistory",
)  # fmt: skip
_ASCII = ("", "ISO_IR 6", "ISO 2022 IR 6")
_ESCAPE = "\x1b$)A"  # of ISO 2022 IR 58


def decode(headers: Sequence[Any]) -> list[str]:
    """Decode the texts of headers in place, and return notes on those that no stated character set covers.

    Such texts are read as UTF-8 if all of them are valid UTF-8, otherwise as pydicom reads them (Latin-1). Notes have
    the names of attributes, not their values.

    Args:
        headers: of one series, as `pydicom.dcmread` returns them, before a text is accessed.
    """
    notes: dict[str, None] = {}
    for header in headers:
        for note in _decode(header):
            notes.setdefault(note)
    return list(notes)


def _decode(header: Any) -> list[str]:
    stated = header.get("SpecificCharacterSet") or ""
    terms = [stated] if isinstance(stated, str) else [str(term) for term in stated]
    raw = {name: value for name in TEXTS if (value := _raw(header, name))}
    outside = [name for name, value in raw.items() if _is_outside(value, terms)]
    what = f"SpecificCharacterSet {stated!r}" if stated else "no SpecificCharacterSet"
    notes = []
    if outside and all(map(_is_utf_8, raw.values())):
        notes.append(f"the source has {what}; read as UTF-8: {', '.join(outside)}")
        header.SpecificCharacterSet = UTF_8
        for name in raw:  # a set character set does not apply to elements that are not decoded yet
            header[name].value = raw[name].decode("utf-8").rstrip("\0 ")
    elif outside:
        notes.append(
            f"the source has {what}, so letters other than ASCII in {', '.join(outside)} may be wrong in the DICOM "
            "SEG as in other programs; the archive can correct the source"
        )
    for name in raw:
        _without_escapes(header, name)
    damaged = [name for name in raw if "\ufffd" in str(header[name].value)]
    if damaged and not outside:
        notes.append(
            f"the source has {what}, and other letters in {', '.join(damaged)}, which are replaced by \ufffd; the "
            "archive can correct the source"
        )
    return notes


def _raw(header: Any, name: str) -> bytes:
    """The stored bytes of a text with letters other than ASCII; empty if there are none."""
    if name not in header:
        return b""
    value = header.get_item(name).value
    return value if isinstance(value, bytes) and (not value.isascii() or b"\x1b" in value) else b""


def _is_outside(value: bytes, terms: Iterable[str]) -> bool:
    """Whether a text with letters other than ASCII is in none of the stated character sets."""
    terms = list(terms)
    if value.isascii() or b"\x1b" in value:
        return False
    return terms[0].strip() in _ASCII or not _known(terms)


def _known(terms: list[str]) -> bool:
    """Whether pydicom knows the terms, or corrects their spelling."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        convert_encodings(terms)
    return not any("nknown encoding" in str(one.message) for one in caught)


def _is_utf_8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _without_escapes(header: Any, name: str) -> None:
    """Remove escape sequences that pydicom keeps."""
    text = header[name].value
    if isinstance(text, str | PersonName) and _ESCAPE in str(text):
        header[name].value = str(text).replace(_ESCAPE, "")
