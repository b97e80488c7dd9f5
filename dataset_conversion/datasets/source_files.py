"""List the files of a source folder: what is not data is passed over, links are followed on request."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from dataset_conversion.datasets.special_files import MOST_NESTED, is_special
from dataset_conversion.errors import DatasetError, reading
from dataset_conversion.io.file_names import check_name

#: Files and folders that operating systems, network storage, CDs and editors leave (lower case).
_LEFTOVERS = frozenset((
    "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "network trash folder",
    "temporary items", "@eadir", "@tmp", "#recycle", "#snapshot", "@recycle", "@recently-snapshot",
    "~snapshot", "system volume information", "$recycle.bin", "recycler", "recycled", "lost+found",
    "dicomdir", "autorun.inf",
))  # fmt: skip
_LOCKS = ("~$", ".~lock")  # of office programs
_LARGEST_POINTER = 1024  # bytes


def ignored(name: str) -> bool:
    """Check whether a file or folder is not data: dot files, temporary and system files.

    >>> ignored("._ct.nii.gz"), ignored("__MACOSX"), ignored("@eaDir"), ignored("ct.nii.gz")
    (True, True, True, False)
    """
    return is_leftover(name) or ".tmp" in name.lower()


def is_leftover(name: str) -> bool:
    """Check whether a file or folder was left by an operating system, network storage, a CD or an editor."""
    low = name.lower()
    return low.startswith((".", *_LOCKS)) or low in _LEFTOVERS


def check_folder(source: Path, expected: str) -> None:
    """Reject a source that is not a folder, e.g. an archive; `expected` describes the folder."""
    if source.is_file():
        raise DatasetError(
            f"{source}: is a file; unpack it if it is an archive, and pass {expected}"
        )
    if not source.is_dir():
        raise DatasetError(f"{source}: no such folder; pass {expected}")


def listed(folder: Path) -> list[Path]:
    """Return the entries of a folder, without pipes, sockets and devices."""
    try:
        with os.scandir(folder) as entries:
            return [folder / entry.name for entry in entries if not is_special(entry)]
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be listed ({error.strerror})") from error


def children(folder: Path, follow_links: bool = False) -> list[Path]:
    """Return the files and folders in a folder that may be data, sorted.

    Raises:
        DatasetError: the folder cannot be listed, or an entry is a link or cannot be read.
    """
    found = [
        path
        for path in sorted(listed(folder))
        if not (is_leftover(path.name) or (ignored(path.name) and path.is_dir()))
    ]
    for path in found:
        check_access(path, follow_links)
    absent = [name for path in listed(folder) if (name := path.name).lower().endswith(".icloud")]
    if absent:
        raise DatasetError(
            f"{folder / min(absent)}: stands for a file that is only in iCloud; download it, or remove it"
        )
    return found


def files_below(path: Path, follow_links: bool = False) -> list[Path]:
    """Return a file itself, or all files below a folder that may be data, sorted by folder.

    Raises:
        DatasetError: links without `follow_links`; links to nowhere or to a folder above; files and
            folders that cannot be read.
    """
    check_name(path)
    check_access(path, follow_links)
    found = list(_walk(path, follow_links, ())) if path.is_dir() else [path]
    return [_text_link(file) or file for file in found] if follow_links else found


def _walk(folder: Path, follow_links: bool, above: tuple[str, ...]) -> Iterator[Path]:
    own = os.path.realpath(folder)
    if own in above:
        raise DatasetError(
            f"{folder}: a symbolic link to a folder that contains it; remove the link"
        )
    if len(above) == MOST_NESTED:
        raise DatasetError(
            f"{folder.parents[MOST_NESTED - 2]}: folders in it are nested more than {MOST_NESTED} deep; remove them, "
            "or move their files up"
        )
    for path in children(folder, follow_links):
        check_name(path)
        if path.is_dir():
            yield from _walk(path, follow_links, (*above, own))
        else:
            yield path


def check_access(path: Path, follow_links: bool = False) -> None:
    """Reject links to nowhere, links unless they are followed, and files without read permission."""
    if path.is_symlink():
        if not _leads_somewhere(path):
            raise DatasetError(
                f"{path}: a symbolic link to nowhere; fetch the file (git-annex: git annex get, DataLad: "
                "datalad get), or remove the link"
            )
        if not follow_links:
            raise DatasetError(
                f"{path}: a symbolic link; pass --follow-links to read what it points to, or replace it "
                "with the file or folder itself (a link may leave the folder, or show one patient twice)"
            )
    if not os.access(path, os.R_OK):
        raise DatasetError(f"{path}: permission denied; fix its permissions")


def _leads_somewhere(link: Path) -> bool:
    try:
        return link.exists()
    except OSError:  # a loop of links
        return False


def check_not_pointer(path: Path) -> None:
    """Reject a text file that stands for a file that was not fetched.

    Such files are Git LFS pointers, git-annex pointers, and links from a checkout or an archive on a
    system without links, where each became a text file with its path.
    """
    text = _short_text(path)
    if text.startswith("version https://git-lfs"):
        raise DatasetError(f"{path}: a Git LFS pointer, not the file; fetch it with git lfs pull")
    if "annex/objects/" in text.replace("\\", "/"):
        raise DatasetError(
            f"{path}: a git-annex pointer, not the file; fetch it with git annex get"
        )
    if _is_path(text, path):
        fix = "pass --follow-links to read that file" if _text_link(path) else "the file is missing"
        raise DatasetError(
            f"{path}: a text file with the path {text!r}, as a symbolic link becomes on a system without "
            f"links; {fix}, or replace it with the file itself"
        )


def _text_link(path: Path) -> Path | None:
    """Return the file that a text file names, if it exists."""
    text = _short_text(path)
    if not _is_path(text, path):
        return None
    target = path.parent / text.replace("\\", "/")
    return target if target.is_file() and target != path else None


def _short_text(path: Path) -> str:
    """Return the text of a small file; empty if it is larger or not text."""
    try:
        with reading(path):
            return (
                path.read_text("utf-8").strip() if path.stat().st_size <= _LARGEST_POINTER else ""
            )
    except UnicodeDecodeError:
        return ""


def _is_path(text: str, path: Path) -> bool:
    """Check whether the text of a file is one path, to a file of the same format."""
    if not text or "\n" in text or "\0" in text:
        return False
    same = text.lower().endswith(path.suffix.lower() or path.name.lower())
    return same and ("/" in text or "\\" in text)
