"""The value that a raw dataset is written from, its recorded settings and its dataset.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dataset_conversion.cases.case import Case, Output
from dataset_conversion.cases.transforms import described
from dataset_conversion.io.atomic_files import to_json
from dataset_conversion.io.orientation import SLICES_FIRST, left_right_axes
from dataset_conversion.labels import Labels
from dataset_conversion.raw_format.manifest import FORMAT
from dataset_conversion.raw_format.splits import Splits

ENDING = ".nii.gz"


@dataclass(frozen=True)
class Description:
    """What `Dataset<id>_<name>` consists of.

    Attributes:
        channel_names: one for each image of a sample; nnU-Net chooses the normalisation by them.
        labels: names and source values.
        display: (low, high) shown as black and white in the preview; None uses percentiles.
        notes: for the user, in addition to those of the writer.
        splits: test set and folds.
        problems: sources that were found unusable when the cases were collected.
        settings: what else changes the written voxels; recorded, and a change converts again.
        secret: mixed into the digests that are recorded; never written.
    """

    id: int
    name: str
    channel_names: Sequence[str]
    labels: Labels
    cases: Sequence[Case]
    output: Output = field(default_factory=Output)
    display: tuple[float, float] | None = None
    notes: Sequence[str] = ()
    splits: Splits = field(default_factory=Splits)
    problems: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    secret: bytes = b""

    def settings_values(self) -> dict[str, Any]:
        """Return everything that decides how a case is written."""
        window = list(self.output.window) if self.output.window else None
        return {
            "format": FORMAT,
            "orientation": self.output.orientation,
            "channels": list(self.channel_names),
            "labels": self.labels.for_nnunet()["labels"],
            "remap": {str(old): new for old, new in sorted(self.labels.remap.items())},
            "drop": sorted(self.labels.drop),
            "ignore": self.labels.ignore,
            "window": window,
            "steps": [described(step) for step in self.output.steps],
            "allow_empty": self.output.allow_empty,
            "resample_mask": self.output.resample_mask,
            "ignore_mask_header": self.output.ignore_mask_header,
            "sides_as_labelled": self.output.sides_as_labelled,
            **self.settings,
        }

    def dataset_json(self, training: int, stored: Sequence[str] = ()) -> str:
        """Return the text of dataset.json.

        Args:
            training: number of training cases.
            stored: the codes in which the cases are stored; needed if each has its slice axis first.
        """
        wanted = self.output.orientation
        by_case = {"orientations": sorted(set(stored))} if wanted == SLICES_FIRST else {}
        left_right = left_right_axes(stored if by_case else [wanted])
        entry: dict[str, Any] = {
            "channel_names": {str(i): name for i, name in enumerate(self.channel_names)},
            **self.labels.for_nnunet(),
            "numTraining": training,
            "file_ending": ENDING,
            "overwrite_image_reader_writer": "SimpleITKIO",
            # The axis of the array (z, y, x) as nnU-Net's reader returns it, before transposition;
            # a list if it is not the same in all cases.
            "nnunet_plugins": {
                "orientation": wanted,
                **by_case,
                # New images of a trained model are treated alike: nnU-Net copies this into the model.
                "window": list(self.output.window) if self.output.window else None,
                "steps": [described(step) for step in self.output.steps],
                "left_right_axis": left_right[0] if len(left_right) == 1 else list(left_right),
                "sided_labels": self.labels.sided(),
                **{key: self.settings[key] for key in ("rounds",) if key in self.settings},
            },
        }
        return to_json(entry)
