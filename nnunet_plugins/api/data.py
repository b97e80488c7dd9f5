"""Datasets: convert and check."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_plugins.api.arguments import Progress, StrPath
from nnunet_plugins.errors import UserError

if TYPE_CHECKING:
    from dataset_conversion.checks.dataset import CheckReport
    from dataset_conversion.raw_format.summary import Report


def convert(
    source_format: str,
    source: StrPath,
    dataset_id: int | None = None,
    *,
    name: str | None = None,
    raw_root: StrPath | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Report:
    """Convert a dataset to nnU-Net's raw format, as `nnunet-plugins convert` does.

    Args:
        source_format: a name in `dataset_conversion.datasets.registry.CONVERTERS`, e.g. ``hospital-ct``.
        source: folder of the dataset as it was downloaded or exported.
        dataset_id: nnU-Net's dataset id, 1 to 999; not used with ``images_only=True``.
        name: dataset name; the converter's default without one.
        raw_root: where ``Dataset<id>_<name>`` is written; nnUNet_raw by default. With ``images_only=True``, the new
            folder for the images, as ``nnUNetv2_predict -i`` takes it.
        progress: wraps the list of sources, then the list of cases, e.g. ``tqdm.tqdm``.
        options: options of the dataset, named as on the command line with underscores, e.g.
            ``labels="labels.json"``, ``split="5-fold"``, ``jobs=4``, ``dry_run=True``, or
            ``images_only=True, model="MODEL_FOLDER"``.

    Returns:
        A report whose text is what the command prints; `problems` lists the cases that were left out.

    Raises:
        UserError: unknown format or option, or nnUNet_raw is not set.
        DatasetError: a value of an option is not allowed, or the source cannot be converted; the message names
            the option or file, the cause and the fix.

    >>> convert("hospital", ".", 660)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nnunet_plugins.errors.UserError: convert: unknown format 'hospital'; allowed: spider, csig, hospital-ct, ...
    """
    from dataset_conversion.datasets.options import checked, declared
    from dataset_conversion.datasets.registry import CONVERTERS, converter
    from dataset_conversion.raw_format.preprocessed import outdated_note

    if source_format not in CONVERTERS:
        raise UserError(
            f"convert: unknown format {source_format!r}; allowed: {', '.join(CONVERTERS)}"
        )
    root = raw_root or os.environ.get("nnUNet_raw")
    if options.get("images_only") and (not raw_root or _is_raw_root(raw_root)):
        raise UserError("convert: --images-only needs -o DIR, a new folder for the images")
    if not root:
        raise UserError(
            'nnUNet_raw is not set; pass -o DIR, or run eval "$(nnunet-plugins env --root FOLDER)" first'
        )
    found = converter(source_format)
    known = [field for field, *_ in declared(found.options)]
    if unknown := sorted(set(options) - set(known)):
        raise UserError(
            f"convert: {source_format} has no option {unknown[0]!r}; allowed: {', '.join(known)}"
        )
    chosen = found.options(**checked(found.options, options))
    report = found.convert(Path(source), Path(root), dataset_id, name, chosen, progress)
    preprocessed = os.environ.get("nnUNet_preprocessed")
    if not preprocessed or report.dry_run or options.get("images_only"):
        return report
    outdated = outdated_note(report.dataset, Path(preprocessed) / report.dataset.name)
    return replace(report, notes=[*report.notes, outdated]) if outdated else report


def _is_raw_root(folder: StrPath) -> bool:
    raw = os.environ.get("nnUNet_raw")
    return bool(raw) and Path(folder).resolve() == Path(str(raw)).resolve()


def check(
    dataset: int | StrPath,
    *,
    jobs: int = 1,
    allow_empty: bool = False,
    progress: Progress | None = None,
) -> CheckReport:
    """Check the files, geometry, labels and splits of a raw dataset, as `nnunet-plugins check` does.

    Args:
        dataset: id of a dataset in nnUNet_raw, or its folder.
        jobs: number of cases that are checked at a time.
        allow_empty: accept masks without a label.
        progress: wraps the list of cases, e.g. ``tqdm.tqdm``.

    Returns:
        A report whose text is what the command prints; `errors` counts what stops nnU-Net.

    Raises:
        UserError: no dataset, or several datasets, of this id.
        DatasetError: the folder is not a dataset.
    """
    from dataset_conversion.checks.dataset import check as check_folder
    from dataset_conversion.parallel import Run

    Run(jobs=jobs)  # checks the number
    preprocessed = os.environ.get("nnUNet_preprocessed")
    return check_folder(
        _raw_folder(str(dataset)),
        jobs=jobs,
        allow_empty=allow_empty,
        preprocessed=Path(preprocessed) if preprocessed else None,
        progress=progress,
    )


def _raw_folder(dataset: str) -> Path:
    if not dataset.isdigit() or Path(dataset).is_dir():
        return Path(dataset)
    root = os.environ.get("nnUNet_raw")
    if not root:
        raise UserError(f"dataset {dataset}: nnUNet_raw is not set; give the folder instead")
    found = sorted(Path(root).glob(f"Dataset{int(dataset):03d}_*"))
    if len(found) != 1:
        raise UserError(
            f"dataset {dataset}: {len(found)} folders of this id in {root}; give the folder"
        )
    return found[0]
