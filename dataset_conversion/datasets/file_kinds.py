"""Sort a patient's files: volumes, DICOM, formats that are not read, and files without image data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.datasets.source_files import check_not_pointer
from dataset_conversion.dicom.headers import SUFFIXES, may_be_dicom
from dataset_conversion.errors import DatasetError, reading
from dataset_conversion.io.volumes import READABLE, UNREADABLE, data_files, is_volume

ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz",
            ".tar.zst", ".mrb")  # fmt: skip
#: Endings of files without image data: text, tables, documents, programs, checksums, settings.
_SIDE = frozenset((
    ".txt", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".log",
    ".md", ".rst", ".rtf", ".pdf", ".doc", ".docx", ".odt", ".xls", ".xlsx", ".xlsm", ".ods", ".ppt",
    ".pptx", ".htm", ".html", ".css", ".js", ".url", ".webloc", ".exe", ".dll", ".msi", ".bat", ".cmd",
    ".com", ".sh", ".jar", ".class", ".py", ".pyc", ".m", ".r", ".ipynb", ".db", ".sqlite", ".inf",
    ".ico", ".chm", ".hlp", ".so", ".dylib", ".plist", ".md5", ".sha1", ".sha256", ".sha512", ".par2",
    ".ttf", ".otf", ".ocx", ".sys", ".lng", ".lang", ".res", ".resx", ".manifest", ".cab", ".cat", ".pdb",
    ".properties", ".qm", ".mo", ".po", ".vbs", ".ps1", ".wav", ".mp3",
    ".label", ".ctbl", ".itksnap", ".mrml", ".bval", ".bvec", ".eml", ".msg",
))  # fmt: skip
_PICTURES = frozenset((".jpg", ".jpeg", ".png", ".gif", ".bmp", ".svg", ".webp", ".heic", ".mp4",
                       ".avi", ".mov", ".wmv"))  # fmt: skip
_COPIES = (".bak", ".old", ".orig", "~")
#: The name contains the ending of a volume, but does not end with it: packed otherwise, a second
#: download ('mask.nii (1).gz'), or an unfinished one ('mask.nii.gz.part').
_VOLUME_INSIDE = re.compile(
    r"\.(nii|nrrd|nhdr|mha|mhd|gipl|mgh|mnc|dcm)(?![a-z0-9])", re.IGNORECASE
)
_UNREAD = (*UNREADABLE, ".gipl", ".gipl.gz", ".mnc", ".minc")
MASK_WORD = re.compile(
    r"mask\w*|msk|seg|segm\w*|label\w*|rois?|gt|truth|ground\w*|annot\w*|contours?|delineat\w*|manual"
    r"|掩膜|掩码|掩模|标签|标注|分割",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[^\W\d_]+|\d+")
_ENDING = re.compile(
    r"\.(nii|nrrd|nhdr|mha|mhd|gipl|mgh|mgz|mnc|dcm|hdr|img)(?![a-z0-9]).*", re.IGNORECASE
)


@dataclass(frozen=True)
class SortedFiles:
    """A patient's files by kind.

    Attributes:
        volumes: files that are read as volumes, by their names.
        dicom: files that may be DICOM, by their content.
        unread: volumes in a format that is not read.
        archives: packed files.
        others: files of unknown formats, which may be image data.
        pictures: photos, screenshots and films.
        side: text, tables, documents, programs.
        temporary: unfinished files of programs.
    """

    volumes: tuple[Path, ...] = ()
    dicom: tuple[Path, ...] = ()
    unread: tuple[Path, ...] = ()
    archives: tuple[Path, ...] = ()
    others: tuple[Path, ...] = ()
    pictures: tuple[Path, ...] = ()
    side: tuple[Path, ...] = ()
    temporary: tuple[Path, ...] = ()


def sort_files(files: Iterable[Path]) -> SortedFiles:
    """Sort a patient's files by kind; a MetaImage header's data file belongs to its header.

    Raises:
        DatasetError: a volume is a pointer (Git LFS, git-annex, a lost link), a MetaImage header is
            invalid, or a file cannot be read.
    """
    kinds: dict[str, list[Path]] = {}
    for path in files:
        kinds.setdefault(kind_of(path), []).append(path)
    for path in kinds.get("volumes", []):
        check_not_pointer(path)
    data = data_files(kinds.get("volumes", []))
    kept = {kind: tuple(p for p in paths if p not in data) for kind, paths in kinds.items()}
    return SortedFiles(**kept)


def kind_of(path: Path) -> str:
    """Return the name of the field of `SortedFiles` that a file belongs to.

    Raises:
        DatasetError: the file cannot be read.
    """
    name = path.name.lower()
    if ".tmp" in name:
        return "temporary"
    if is_volume(path):
        return "volumes"
    with reading(path):
        if may_be_dicom(path):
            return "dicom"
    if name.endswith(ARCHIVES):
        return "archives"
    suffix = path.suffix.lower()
    if suffix in _SIDE:
        return "side"
    if suffix in _PICTURES:
        return "pictures"
    return "unread" if _is_unread(name) else "others"


def _is_unread(name: str) -> bool:
    return name.endswith(_UNREAD) or (
        bool(_VOLUME_INSIDE.search(name)) and not name.endswith(_COPIES)
    )


def scratch(name: str) -> bool:
    """Check whether a file is a temporary one of a program, and not an unfinished volume.

    >>> scratch("tmp.tmp123"), scratch("P1.nii.gz.tmp")
    (True, False)
    """
    return ".tmp" in name.lower() and not _VOLUME_INSIDE.search(name)


def words(name: str) -> Iterator[re.Match[str]]:
    """Return the words and numbers in a name.

    >>> [word[0] for word in words("P1_mask-02")]
    ['P', '1', 'mask', '02']
    """
    return _WORDS.finditer(name)


def stem(name: str) -> str:
    """Return a file's name without the ending of its format.

    >>> stem("P1.nii.gz"), stem("P1.nii (1).gz"), stem("1.2.840.7"), stem("P1.zip")
    ('P1', 'P1', '1.2.840.7', 'P1')
    """
    if _ENDING.search(name):
        return _ENDING.sub("", name)
    ending = next((e for e in sorted(ARCHIVES, key=len) if name.lower().endswith(e)), "")
    ending = ending or ("" if Path(name).suffix[1:].isdigit() else Path(name).suffix)
    return name.removesuffix(name[len(name) - len(ending) :])


def named_volume(name: str) -> bool:
    """Check whether the name of a file is that of a volume, in a format that is read or not.

    >>> named_volume("P1.nii.gz"), named_volume("P1.gipl"), named_volume("IM1.dcm")
    (True, True, False)
    """
    low = name.lower()
    if ".tmp" in low:
        return False
    return low.endswith(READABLE) or (_is_unread(low) and not low.endswith(SUFFIXES))


def named_mask(name: str, pattern: str) -> bool:
    """Check whether a file's name is that of a mask: the pattern fits, or a word such as gt or roi.

    >>> named_mask("P1_ROI.tif", "mask"), named_mask("ct.tif", "mask")
    (True, False)
    """
    return bool(re.search(pattern, name, re.IGNORECASE)) or any(
        MASK_WORD.fullmatch(word[0]) for word in words(name)
    )


def in_mask_folder(path: Path, folder: Path, pattern: str) -> bool:
    """Return whether a folder between the patient's and the file fits the pattern."""
    parents = path.relative_to(folder).parts[:-1] if path.is_relative_to(folder) else ()
    return any(re.search(pattern, part, re.IGNORECASE) for part in parents)


def check_passed_over(files: SortedFiles, folder: Path, pattern: str, *, image: bool,
                      mask: bool) -> list[str]:  # fmt: skip
    """Reject files that may be the missing mask or image; return notes on others that are not read.

    `image` and `mask` state whether they were found.

    Raises:
        DatasetError: no mask was found, and a file of a format that is not read or its folder has the
            name of one, or an archive may hold it; or no image was found, and there are files that may
            be one.
    """
    who = str(folder)
    loose = (*files.archives, *files.others, *files.pictures)
    if not image and (candidates := (*files.archives, *files.others)):
        raise DatasetError(f"{who}: no image found; not read: {_fixes(candidates)}")
    masks = [path for path in (*loose, *files.temporary)
             if named_mask(path.name, pattern) or in_mask_folder(path, folder, pattern)]  # fmt: skip
    if masks and not mask:
        raise DatasetError(
            f"{who}: has the name of a mask, but is not read: {_fixes(masks)}, remove it, or rename it if it "
            "is not a mask"
        )
    if files.archives and not mask:
        raise DatasetError(
            f"{who}: no mask found, and not read: {_fixes(files.archives)}, or remove it"
        )
    endings = sorted({path.suffix.lower() or "no extension" for path in files.others})
    notes = [f"files of formats that are not read were passed over ({', '.join(endings)})"]
    notes = notes if endings else []
    if files.archives:
        notes.append("an archive was passed over")
    if not mask and any(named_mask(path.name, pattern) for path in files.side):
        notes.append("a file has the name of a mask but no image format (text, table): passed over")
    return notes


def check_formats(files: SortedFiles, who: str) -> None:
    """Reject volumes in formats that are not read."""
    if files.unread:
        raise DatasetError(
            f"{who}: {_names(files.unread)}: this format is not read; convert it to .nii.gz, .nrrd or .mha "
            "(a second download or an unfinished one: restore its name), or remove it"
        )


def _fixes(paths: Sequence[Path]) -> str:
    packed = [path for path in paths if path.name.lower().endswith(ARCHIVES)]
    fix = "unpack it" if len(packed) == len(paths) else "save it as .nii.gz, .nrrd or .mha"
    if packed and len(packed) < len(paths):
        fix += ", unpack archives"
    return f"{_names(paths)}; {fix}"


def _names(paths: Sequence[Path]) -> str:
    shown = ", ".join(path.name for path in paths[:5])
    return shown + (f", ... ({len(paths)})" if len(paths) > 5 else "")
