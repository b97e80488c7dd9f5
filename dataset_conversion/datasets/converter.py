"""A converter as a value, and the way every conversion goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dataset_conversion.datasets.key_file import check_key, write_key
from dataset_conversion.datasets.options import Common
from dataset_conversion.errors import DatasetError
from dataset_conversion.parallel import Progress
from dataset_conversion.raw_format.raw_dataset import RawDataset
from dataset_conversion.raw_format.staging import dataset_folder
from dataset_conversion.raw_format.summary import Report


class Find(Protocol):
    """Look at a source and return the dataset that it makes; nothing is written."""

    def __call__(self, source: Path, options: Any, id: int, name: str,
                 progress: Progress | None) -> RawDataset:  # fmt: skip
        """Raise DatasetError where no dataset can be made of it at all."""


@dataclass(frozen=True)
class Converter:
    """One dataset's converter.

    Attributes:
        name: the dataset's name where the user gives none.
        options: a subclass of `Common`.
        find: looks at the source.
    """

    name: str
    options: type[Common]
    find: Find

    def convert(self, source: Path, raw_root: Path, dataset_id: int, name: str | None = None,
                options: Any = None, progress: Progress | None = None) -> Report:  # fmt: skip
        """Convert a source to `raw_root/Dataset<id>_<name>`.

        Running it again converts what is new or changed and leaves the rest; an interrupted run
        is continued, and gives the same bytes.

        Args:
            source: the dataset as it was downloaded or exported.
            raw_root: nnUNet_raw.
            dataset_id: 1 to 999.
            name: letters and digits.
            options: of the converter's own class.
            progress: wraps the list of sources, then the list of cases, e.g. tqdm.

        Raises:
            DatasetError: whatever stands in the way, with the folder or file, and the cure.
        """
        options = options or self.options()
        source, raw_root, name = Path(source), Path(raw_root), name or self.name
        target = raw_root / dataset_folder(dataset_id, name)
        inside = raw_root.resolve()
        if inside == source.resolve() or source.resolve() in inside.parents:
            raise DatasetError(
                f"{raw_root}: nnUNet_raw lies inside the source {source}, where it would be taken "
                "for data; choose a folder elsewhere"
            )
        if options.key:
            check_key(Path(options.key), target)
        _ = options.secret  # a salt that cannot be read is told once, not by every patient
        dataset = self.find(source, options, dataset_id, name, progress)
        report = dataset.write(raw_root, progress, options.run())
        if options.key and not options.dry_run:
            written = {c.name: c.where for c in dataset.cases if c.name in report.cases}
            write_key(Path(options.key), written)
        return report
