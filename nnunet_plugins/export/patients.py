"""The patients' own images of predicted cases, found with the key that `convert --key` wrote."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.datasets.hospital import FolderOptions
from dataset_conversion.datasets.source_files import files_below
from dataset_conversion.dicom.series import Series, find_series
from dataset_conversion.errors import DatasetError, together
from dataset_conversion.io.label_maps import is_slicer
from dataset_conversion.io.volumes import Header, is_volume, read_header
from nnunet_plugins.errors import UserError
from nnunet_plugins.export.own_grid import exact, mismatch, resampled
from nnunet_plugins.export.source_series import Source

_MASKS = re.compile(FolderOptions.mask_pattern, re.IGNORECASE)


@dataclass(frozen=True)
class Own:
    """A patient's own image.

    Attributes:
        header: its size and geometry.
        source: the series, if it is one with a file for each slice.
    """

    header: Header
    source: Source | None = None


def read_key(path: Path) -> dict[str, Path]:
    """Return case -> source from a key file.

    Columns may be separated by commas or, as some spreadsheets save them, by semicolons.

    Raises:
        UserError: it cannot be read, lacks a column, or lists a case twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: the key cannot be read ({error}); pass the file of convert --key"
        ) from error
    first = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text), delimiter=";" if ";" in first else ",")
    if not {"case", "source"} <= set(rows.fieldnames or ()):
        raise UserError(
            f"{path}: its first line is {first.strip()[:60]!r}; expected the columns case and source, as convert "
            "--key writes them"
        )
    found: dict[str, Path] = {}
    for row in rows:
        name, source = (row["case"] or "").strip(), row["source"] or ""
        if name in found:
            raise UserError(f"{path}: case {name} is listed twice; keep one line")
        if not source or None in row:
            fault = "more cells than columns" if source else "no source"
            raise UserError(
                f"{path}: line {rows.line_num} has {fault}; correct it, with quotation marks around a path that "
                "contains the separator"
            )
        found[name] = Path(source)
    return found


def find_own(cases: dict[str, Path], key: Path, series: str | None) -> dict[str, Own]:
    """Find the image of every predicted case by its grid; nothing is written.

    Args:
        cases: name -> label map.
        key: file of `convert --key`.
        series: text that selects one of several series.

    Raises:
        UserError: cases that the key does not list.
        DatasetError: the problems of all cases together.
    """
    sources = read_key(key)
    unknown = sorted(set(cases) - set(sources))
    if unknown:
        raise UserError(
            f"export: {len(unknown)} of {len(cases)} predictions are not in {key}: {', '.join(unknown[:5])}; pass "
            "the key of the conversion that made the predicted images"
        )
    found: dict[str, Own] = {}
    problems = []
    for name, path in cases.items():
        try:
            found[name] = _own(sources[name], read_header(path), series)
        except DatasetError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise together(problems)
    return found


def _own(source: Path, prediction: Header, series: str | None) -> Own:
    """Find the image in a patient's folder that a prediction was made from."""
    if not source.exists():
        raise DatasetError(
            f"{source}: no such file or folder; run export where convert was run, or correct the paths in the key"
        )
    files = files_below(source, follow_links=True)
    volumes = dict(_volumes(files))
    others = [path for path in files if not is_volume(path)]
    for fits in (exact, resampled):
        dicom, notes = find_series(
            others, str(source), modality=None, description=series,
            fits=lambda one, fits=fits: fits(prediction, _header(one)),  # type: ignore[misc]
        )  # fmt: skip
        if dicom is not None and fits(prediction, _header(dicom)):
            single = dicom.slices[0].frame is None  # DICOM SEG refers to one file per slice
            found_in = Source(dicom, str(source), tuple(notes)) if single else None
            return Own(_header(dicom), found_in)
        found = {path: one for path, one in volumes.items() if fits(prediction, one)}
        if found:
            return Own(_only(found, source))
    seen = [*volumes.values(), *([] if dicom is None else [_header(dicom)])]
    if not seen:
        raise DatasetError(f"{source}: no image found")
    raise DatasetError(mismatch(prediction, seen[0], str(source)))


def _only(found: dict[Path, Header], source: Path) -> Header:
    """Return the header of the image: files with the name of a mask come last."""
    images = {path: one for path, one in found.items() if not _MASKS.search(path.name)} or found
    headers = list(images.values())
    if any(one.size != headers[0].size or not _close(one, headers[0]) for one in headers):
        names = ", ".join(path.name for path in images)
        raise DatasetError(
            f"{source}: {len(images)} images cover the same volume and are stored with different axes: {names}; keep "
            "the image that was converted"
        )
    return headers[0]


def _close(one: Header, other: Header) -> bool:
    return bool(abs(one.matrix - other.matrix).max() < 1e-3)


def _header(series: Series) -> Header:
    return Header(series.size, series.affine)


def _volumes(files: Sequence[Path]) -> Iterator[tuple[Path, Header]]:
    """Yield volumes with their headers; a damaged one cannot be what was predicted."""
    for path in files:
        if is_volume(path) and not is_slicer(path):
            with contextlib.suppress(DatasetError):
                yield path, read_header(path)
