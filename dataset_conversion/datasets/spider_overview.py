"""Patient, sequence and subset of SPIDER's series, from file names and overview.csv."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from dataset_conversion.datasets.paired_folders import Key, Pair
from dataset_conversion.errors import DatasetError

SEQUENCES = ("t1", "t2", "t2_SPACE")
_NAME = re.compile(r"0*(\d+)_(t1|t2|t2_space)\.(mha|mhd)", re.IGNORECASE)
_SUBSETS = {"training": "train", "validation": "val"}


def key_of(name: str) -> Key | None:
    """Return patient and sequence of a file name, None if it is not one of SPIDER's.

    >>> key_of("007_t2_space.mha")
    (7, 't2_SPACE')
    """
    found = _NAME.fullmatch(name)
    if not found:
        return None
    return int(found[1]), next(s for s in SEQUENCES if s.lower() == found[2].lower())


def read_subsets(folder: Path, pairs: Sequence[Pair]) -> tuple[dict[Key, str], list[str]]:
    """Read SPIDER's own subset of each series from overview.csv, and notes on what is missing.

    The file is in `folder` or in its parent. Fields may end in blanks ('F ').

    Raises:
        DatasetError: the table cannot be read, or a name or subset in it is invalid.
    """
    paths = (folder / "overview.csv", folder.parent / "overview.csv")
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return {}, ["no overview.csv: SPIDER's own subsets are unknown"]
    subsets: dict[Key, str] = {}
    for row in _rows(path):
        key = key_of(f"{row['new_file_name']}.mha")
        word = row["subset"].lower()
        if key is None or word not in _SUBSETS:
            raise DatasetError(
                f"{path}: series {row['new_file_name']!r} of subset {row['subset']!r}; expected "
                "names such as 1_t2 and training or validation; download the table again"
            )
        if subsets.setdefault(key, _SUBSETS[word]) != _SUBSETS[word]:
            raise DatasetError(f"{path}: {row['new_file_name']} has two subsets; correct the table")
    absent = [pair for pair in pairs if pair.key not in subsets]
    listed = f"series that overview.csv does not list: {len(absent)}"
    return subsets, [listed] if absent else []


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, skipinitialspace=True)
            rows = [
                {str(k).strip(): v.strip() for k, v in row.items() if isinstance(v, str)}
                for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: cannot be read as a table ({error})") from error
    rows = [row for row in rows if any(row.values())]
    if not all({"new_file_name", "subset"} <= set(row) for row in rows):
        raise DatasetError(
            f"{path}: the columns new_file_name and subset are required; download the table again"
        )
    return rows
