"""A converter: the options of a dataset, a scan of its source, and the conversion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from dataset_conversion.datasets.groups import read_groups, with_groups
from dataset_conversion.datasets.images_only import convert_images
from dataset_conversion.datasets.key_file import check_cases, check_key, sources_of, write_key
from dataset_conversion.datasets.options import Common
from dataset_conversion.datasets.special_files import special_notes
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.file_names import check_name
from dataset_conversion.parallel import Progress
from dataset_conversion.raw_format.manifest import read_manifest
from dataset_conversion.raw_format.raw_dataset import RawDataset
from dataset_conversion.raw_format.staging import dataset_folder
from dataset_conversion.raw_format.summary import Report


class Find(Protocol):
    """Scan a source and return its dataset; writes nothing."""

    def __call__(self, source: Path, options: Any, id: int, name: str,
                 progress: Progress | None) -> RawDataset:  # fmt: skip
        """Raise DatasetError if the source cannot be converted."""


@dataclass(frozen=True)
class Converter:
    """One dataset's converter.

    >>> from dataset_conversion.datasets.csig import convert
    >>> report = convert(Path("CSIG"), Path("nnUNet_raw"), 671)
    Traceback (most recent call last):
    dataset_conversion.errors.DatasetError: CSIG: no such folder; pass the folder that holds MR/

    Attributes:
        name: default name of the dataset.
        options: a subclass of `Common`.
        find: scans the source.
    """

    name: str
    options: type[Common]
    find: Find

    def convert(self, source: Path, raw_root: Path, dataset_id: int | None,
                name: str | None = None, options: Any = None,
                progress: Progress | None = None) -> Report:  # fmt: skip
        """Convert a source to `raw_root/Dataset<id>_<name>`.

        A second run converts only new or changed cases. An interrupted run can be continued and
        gives the same bytes.

        Args:
            source: the dataset as downloaded or exported.
            raw_root: nnUNet_raw; with the option images_only, the new folder of the images.
            dataset_id: 1 to 999; not used with images_only.
            name: letters and digits; default: the converter's name.
            options: instance of `self.options`.
            progress: wraps the list of sources, then the list of cases, e.g. tqdm.

        Raises:
            DatasetError: the conversion is impossible; the message names the folder or file and
                the fix.
        """
        options = options or self.options()
        source, raw_root, name = Path(source), Path(raw_root), name or self.name
        images_only = getattr(options, "images_only", False)
        if dataset_id is None and not images_only:
            raise DatasetError("no dataset id; pass -d ID, from 1 to 999")
        if getattr(options, "model", None) is not None and not images_only:
            raise DatasetError(
                "--model: used for new images only; pass --images-only, or leave it out"
            )
        check_name(raw_root)
        inside = raw_root.resolve()
        if inside == source.resolve() or source.resolve() in inside.parents:
            raise DatasetError(
                f"{raw_root}: {'the output' if images_only else 'nnUNet_raw'} is inside the source {source}, "
                "where it would be taken for data; choose a folder elsewhere"
            )
        _ = options.secret  # report an unreadable salt once, not for every patient
        if images_only:
            return convert_images(self.find, source, raw_root, options, progress)
        dataset_id = int(dataset_id or 0)
        target = raw_root / dataset_folder(dataset_id, name)
        if options.key:
            check_key(Path(options.key), target)
        table = read_groups(Path(options.groups)) if options.groups else None
        dataset = self.find(source, options, dataset_id, name, progress)
        if table is not None:
            dataset = with_groups(dataset, table, source, Path(options.groups))
        notes = [*dataset.notes, *special_notes(source)]
        dataset = replace(dataset, secret=options.secret, notes=notes)
        if options.key:
            earlier = read_manifest(target).get("cases", {})
            known = {*earlier, *(case.name for case in dataset.cases)}
            check_cases(Path(options.key), target.name, known)
        report = dataset.write(raw_root, progress, options.run())
        if options.key and not options.dry_run:
            written = sources_of(dataset.cases, report.cases)
            write_key(Path(options.key), written, target.name, report.cases)
        return report
