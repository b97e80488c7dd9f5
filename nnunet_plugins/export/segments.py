"""Segments: labels or regions of dataset.json with values, meaning and colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ImageColor

from dataset_conversion.raw_format.preview import colour
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.labels import Labels, read_labels
from nnunet_plugins.export.names import clean_names
from nnunet_plugins.export.terminology import Term, find_term


@dataclass(frozen=True)
class Segment:
    """One structure.

    Attributes:
        number: from 1, in the order of dataset.json.
        name: name in dataset.json, cleaned.
        values: values of the label map; several for a region.
        term: its meaning.
        colour: red, green, blue, 0 to 255, as in the previews of `convert`.
    """

    number: int
    name: str
    values: tuple[int, ...]
    term: Term
    colour: tuple[int, int, int]

    def mask(self, array: np.ndarray) -> np.ndarray:
        """Its voxels, as booleans of the array's shape."""
        return array == self.values[0] if len(self.values) == 1 else np.isin(array, self.values)


def make_segments(labels: Labels) -> tuple[list[Segment], list[str]]:
    """Return the segments of labels, and notes on cleaned names and names without a known meaning.

    Raises:
        UserError: a name is blank, or equals another one when cleaned.
    """
    order = range(len(labels.values))
    segments = []
    names, notes = clean_names(labels.values)
    for index, (name, values) in enumerate(zip(names, labels.values.values(), strict=True)):
        red, green, blue = ImageColor.getrgb(colour(order, index))[:3]
        term = find_term(name)
        segments.append(Segment(index + 1, name, tuple(values), term, (red, green, blue)))
    unknown = [segment.name for segment in segments if not segment.term.known]
    if unknown:
        notes.append(
            f"no SNOMED CT code is known for {', '.join(map(repr, unknown))}: coded as Tissue "
            "(85756007); the names are kept"
        )
    return segments, notes


def find_names(prediction: Path, dataset_json: Path | None) -> Labels:
    """Read the labels from ``dataset_json``, or from a dataset.json in or above the prediction's folder.

    Raises:
        UserError: there is none; clinical files are not written with unnamed labels.
    """
    if dataset_json is not None:
        return read_labels(dataset_json, dataset_json.name)
    here = prediction if prediction.is_dir() else prediction.absolute().parent
    for folder in (here, here.absolute().parent):
        if (folder / "dataset.json").is_file():
            return read_labels(folder / "dataset.json", "dataset.json next to the predictions")
    raise UserError(
        f"export: no dataset.json in or above the folder of {prediction}, so its labels have no names; pass "
        "nnU-Net's dataset.json with -djfile FILE"
    )


def check_declared(values: Sequence[int], labels: Labels, who: str) -> None:
    """Check that labels declare all values of a label map.

    Raises:
        UserError: the message lists the undeclared values.
    """
    unknown = sorted(set(values) - labels.known)
    if unknown:
        raise UserError(
            f"{who}: contains values {unknown} that no label declares (known: "
            f"{sorted(labels.known)}, {labels.source}); pass the dataset.json of the model's "
            "training with -djfile FILE"
        )


def layers(segments: Sequence[Segment]) -> list[list[Segment]]:
    """Distribute segments in order over as few layers as possible; segments of one layer share no value."""
    result: list[list[Segment]] = []
    for segment in segments:
        for layer in result:
            taken = {value for other in layer for value in other.values}
            if not taken & set(segment.values):
                layer.append(segment)
                break
        else:
            result.append([segment])
    return result
