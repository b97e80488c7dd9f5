"""The one writer: cases to a dataset in nnU-Net's raw format, atomic and resumable.

A dataset is a value: cases with loaders, labels, a name. The writer sees to orientation, one grid,
the remap, read-back, splits by group, the manifest and the preview.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataset_conversion.cases.case import Case, Output
from dataset_conversion.cases.transforms import described
from dataset_conversion.errors import disk_error
from dataset_conversion.io.atomic_files import to_json
from dataset_conversion.labels import Labels
from dataset_conversion.parallel import Progress, Run
from dataset_conversion.raw_format.manifest import FORMAT
from dataset_conversion.raw_format.splits import Splits
from dataset_conversion.raw_format.staging import Staging, dataset_folder
from dataset_conversion.raw_format.summary import Report
from dataset_conversion.raw_format.writer import ENDING, Conversion

__all__ = ["Progress", "RawDataset"]


@dataclass(frozen=True)
class RawDataset:
    """A dataset to be written as `Dataset<id>_<name>`.

    Attributes:
        channel_names: one for each image of a sample; nnU-Net picks normalisation by them.
        labels: names and source values.
        display: (low, high) shown black and white in the preview; None takes percentiles.
        notes: what a user should be told besides what the writer finds.
        splits: test set and folds.
        problems: sources that were found unusable when the cases were looked for.
        settings: what else changes the written voxels; recorded, and a change converts anew.
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

    def write(self, raw_root: Path, progress: Progress | None = None,
              run: Run | None = None) -> Report:  # fmt: skip
        """Write the dataset below `raw_root`, or bring an earlier one up to date.

        Cases whose source and settings have not changed keep their files. The dataset appears
        at the end, whole; an interrupted run is continued by the next.

        Args:
            raw_root: nnUNet_raw; made if missing.
            progress: wraps the list of cases that are to be converted, e.g. tqdm.
            run: workers, and what to do about bad cases.

        Raises:
            DatasetError: bad ids, a target that is not ours, a full disk, and what is wrong with
                any case, all together, unless the run keeps going.
        """
        run = run or Run()
        place = Staging(Path(raw_root), dataset_folder(self.id, self.name))
        job = Conversion(self, place, run, progress)
        if run.dry_run:
            return job.rehearse()
        with place.alone():
            try:
                return job.write()
            except OSError as error:
                raise disk_error(place.target, error) from error

    def settings_values(self) -> dict[str, Any]:
        """Return all that decides how a case is written."""
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
            **self.settings,
        }

    def dataset_json(self, training: int) -> str:
        """Return dataset.json for a number of training cases."""
        right_left = [axis in "LR" for axis in self.output.orientation].index(True)
        entry: dict[str, Any] = {
            "channel_names": {str(i): name for i, name in enumerate(self.channel_names)},
            **self.labels.for_nnunet(),
            "numTraining": training,
            "file_ending": ENDING,
            "overwrite_image_reader_writer": "SimpleITKIO",
            # The axis of the array (z, y, x) that nnU-Net's reader gives, before its transposition.
            "nnunet_plugins": {
                "orientation": self.output.orientation,
                "left_right_axis": 2 - right_left,
                "sided_labels": self.labels.sided(),
            },
        }
        return to_json(entry)
