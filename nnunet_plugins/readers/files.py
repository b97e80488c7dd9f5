"""The files of a reader study, in one folder or given one by one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from nnunet_plugins.errors import UserError

#: Part of a study -> its name in the study's folder.
NAMES = {
    "table": "reads.csv", "truth": "truth.csv", "masks": "masks", "reference": "reference", "model": "model",
    "images": "images", "cohort": "cohort.csv", "groups": "groups.csv", "dataset_json": "dataset.json",
}  # fmt: skip


@dataclass(frozen=True)
class Files:
    """The files of a study; None for parts that it does not have.

    Attributes:
        table: CSV file of the reads.
        truth: CSV file with the truth of each case.
        masks: folder of READER/alone and READER/assisted.
        reference: folder of the reference label maps.
        model: folder of the model's label maps.
        images: folder of the images.
        cohort: CSV file of the patients.
        groups: CSV file of cases and their patients.
        dataset_json: nnU-Net's dataset.json, with the names of the labels.
    """

    table: Path | None = None
    truth: Path | None = None
    masks: Path | None = None
    reference: Path | None = None
    model: Path | None = None
    images: Path | None = None
    cohort: Path | None = None
    groups: Path | None = None
    dataset_json: Path | None = None


def find_files(source: Path, given: Files) -> Files:
    """The parts of a study: those given, else those in its folder under the names in `NAMES`.

    Args:
        source: the table of reads, or the folder of the study.
        given: parts that are elsewhere.

    Raises:
        UserError: the source does not exist, or has neither reads nor masks; masks without references.
    """
    if not source.exists():
        raise UserError(
            f"{source} does not exist; pass the table of reads or the folder of the study"
        )
    if source.is_dir():
        inside = {part: source / name for part, name in NAMES.items() if (source / name).exists()}
        files = replace(
            given, **{part: path for part, path in inside.items() if getattr(given, part) is None}
        )
    else:
        files = replace(given, table=source)
    if files.table is None and files.masks is None:
        raise UserError(
            f"{source}: neither {NAMES['table']} nor {NAMES['masks']}/ in this folder; pass the table of "
            "reads, or --masks"
        )
    if files.masks is not None and files.reference is None:
        raise UserError(f"{files.masks}: the reference masks are not known; pass --reference DIR")
    return files
