"""Segments that are named after their patient: they never become labels, and the user learns of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dataset_conversion.dicom.patients import parts_of
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.label_names import Renames
from dataset_conversion.labels import folded

_PART = 4  # characters of a part of a name or id, below which it may be in a name by chance
_WHOLE = 3  # of a whole one

NOTE = (
    "the name of a segment holds a part of the patient's name or id; it is not written, but is in the mask: rename "
    "it before the mask is shared"
)


def names_patient(name: str, known: Iterable[str]) -> bool:
    """Return whether a segment's name holds a patient's name or id, or a part of four or more characters.

    >>> names_patient("MuellerSacrum", ["Mueller^Anna"]), names_patient("p-07 ilium", ["P07"])
    (True, True)
    >>> names_patient("left ilium", ["P07", "Li^Anna"])
    False
    """
    words = parts_of(name)
    for text in known:
        parts = parts_of(text)
        whole = "".join(parts)
        if len(whole) >= _WHOLE and whole in "".join(words):
            return True
        if any(len(part) >= _PART and part in word for part in parts for word in words):
            return True
    return False


def of_one_patient(masks: Sequence[tuple[str, Iterable[str]]]) -> set[str]:
    """Return the folded names of segments that masks of one patient only use; others name no patient.

    `masks` are the patient and the names of the segments of each mask.

    >>> sorted(of_one_patient([("a", ["sacrum", "Mueller"]), ("b", ["Sacrum"])]))
    ['mueller']
    """
    users: dict[str, set[str]] = {}
    for patient, names in masks:
        for name in names:
            users.setdefault(folded(name), set()).add(patient)
    return {name for name, patients in users.items() if len(patients) == 1}


def check_not_label(names: Iterable[str], renames: Renames, who: str) -> None:
    """Reject names of patients where the names of segments become the labels of the dataset."""
    for name in names:
        if folded(name) not in renames:
            raise DatasetError(
                f"{who}: the name of the segment {name!r} holds a part of the patient's name or id and would become "
                f"a label of the dataset; rename it in the mask, pass --rename '{name}=LABEL', or list the labels "
                "with --labels"
            )
