"""Write cases as a dataset in nnU-Net's raw format, atomically and resumably."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.errors import disk_error
from dataset_conversion.parallel import Progress, Run
from dataset_conversion.raw_format.description import Description
from dataset_conversion.raw_format.staging import Staging, dataset_folder
from dataset_conversion.raw_format.summary import Report
from dataset_conversion.raw_format.writer import Conversion

__all__ = ["Progress", "RawDataset"]


@dataclass(frozen=True)
class RawDataset(Description):
    """A dataset to be written as `Dataset<id>_<name>`; see `Description` for its attributes.

    The writer orients each case, places the mask on the image's grid, renumbers labels, reads back
    what it wrote, splits by patient, and writes the manifest and the preview.
    """

    def write(self, raw_root: Path, progress: Progress | None = None,
              run: Run | None = None) -> Report:  # fmt: skip
        """Write the dataset below `raw_root`, or bring an earlier one up to date.

        Cases with unchanged source and settings keep their files. The dataset appears at the end,
        complete; the next run continues an interrupted one.

        Args:
            raw_root: nnUNet_raw; created if missing.
            progress: wraps the list of cases to convert, e.g. tqdm.
            run: number of workers, and how to treat bad cases.

        Raises:
            DatasetError: invalid id or name, a target that this tool did not write, a full disk, or
                the problems of all cases together (unless the run keeps going).
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
