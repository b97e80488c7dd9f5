"""The files of one case in an export's folder, replaced as a set."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from nnunet_plugins.atomic_files import placed_in
from nnunet_plugins.export.mesh import HEADER

#: Endings of the files that have exactly the name of their case.
ONE_EACH = (".nii.gz", ".seg.nrrd", "_seg.dcm")
_MANUFACTURER = "nnunet-plugins"


@contextmanager
def set_of_files(output: Path) -> Iterator[Path]:
    """Yield a temporary folder, whose files are moved to the export's folder; a new folder is removed after an error.

    Raises:
        UserError: the folder is not writable, or a file cannot be replaced.
    """
    with ExitStack() as stack:
        if not output.exists():
            stack.callback(_remove_empty, output)
        yield stack.enter_context(placed_in(output))


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # holds files
        folder.rmdir()


def remove_earlier(case: str, written: Collection[Path], stems: Collection[str], output: Path,
                   made: float | None = None) -> list[str]:  # fmt: skip
    """Remove the files of an earlier export of a case that do not belong to the present one.

    Removed are meshes and DICOM SEGs that this package wrote: meshes of other labels, and files of formats that are
    not written now if they are older than the prediction. Other files are kept and named.

    Args:
        case: name of the case.
        written: the files of the present export.
        stems: of the file names of all labels.
        output: the export's folder.
        made: time of the prediction's file, in seconds since 1970; None: it was made now.

    Returns:
        Notes on what was removed, and on what was kept although it is older than the prediction.
    """
    names = {path.name for path in written}
    meshes = any(name.endswith(".stl") for name in names)
    removed, kept = [], []
    for path in _of_case(case, output, stems):
        old = made is None or path.stat().st_mtime < made
        if path.name in names or not (old or (meshes and path.suffix == ".stl")):
            continue
        if not _ours(path):
            kept.append(path.name)
            continue
        path.unlink()
        removed.append(path.name)
    notes = [f"removed, of an earlier export: {', '.join(removed)}"] if removed else []
    if kept:
        notes.append(
            f"older than the prediction and kept: {', '.join(kept)}; remove them, or pass all formats with --to"
        )
    return notes


def _of_case(case: str, output: Path, stems: Collection[str]) -> list[Path]:
    """Files of a case; meshes that may belong to a case with a longer name are left out."""
    files = sorted(path for path in output.iterdir() if path.is_file())
    others = {
        path.name.removesuffix(ending)
        for path in files
        for ending in ONE_EACH
        if path.name.endswith(ending) and path.name.startswith(f"{case}_")
    } - {case}
    found = [output / f"{case}{ending}" for ending in ONE_EACH]
    for path in files:
        stem = path.stem.removeprefix(f"{case}_")
        if path.suffix != ".stl" or stem == path.stem:
            continue
        longer = any(path.name.startswith(f"{other}_") for other in others)
        doubtful = stem not in stems and any(stem.endswith(f"_{known}") for known in stems)
        if not longer and not doubtful:
            found.append(path)
    return [path for path in found if path.is_file()]


def _ours(path: Path) -> bool:
    """Whether a file's content states that this package wrote it."""
    if path.suffix == ".stl":
        with path.open("rb") as stream:
            return stream.read(len(HEADER)) == HEADER
    if path.suffix == ".dcm":
        import pydicom
        from pydicom.errors import InvalidDicomError

        try:
            found = pydicom.dcmread(path, specific_tags=["Manufacturer"])
        except (InvalidDicomError, OSError):
            return False
        return bool(found.get("Manufacturer") == _MANUFACTURER)
    return False
