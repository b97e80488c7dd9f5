"""File names that ITK cannot open: it takes UTF-8 only, and ends the process at other bytes."""

from __future__ import annotations

from pathlib import Path

from dataset_conversion.errors import DatasetError


def check_name(path: Path) -> None:
    r"""Reject a path whose bytes are not UTF-8, as of an old archive or a Windows share.

    >>> check_name(Path("M\udcfcller/ct.nii.gz"))
    Traceback (most recent call last):
    dataset_conversion.errors.DatasetError: M\xfcller/ct.nii.gz: its name is not UTF-8; rename the file or folder
    """
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise DatasetError(f"{path}: its name is not UTF-8; rename the file or folder") from error
