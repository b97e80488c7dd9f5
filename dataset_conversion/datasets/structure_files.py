"""Masks of one file per structure, named after it, as TotalSegmentator writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.datasets.file_kinds import in_mask_folder
from dataset_conversion.datasets.file_kinds import stem as plain_stem
from dataset_conversion.datasets.mask_source import MaskSource, check_same_grid
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import like
from dataset_conversion.io.label_maps import LabelMap, is_slicer, read_mask
from dataset_conversion.io.label_names import label_of, listed, targets, unlisted
from dataset_conversion.io.segments import Reading, merge
from dataset_conversion.io.volumes import READABLE, Header
from dataset_conversion.labels import IGNORE, Labels, folded


@dataclass(frozen=True)
class Search:
    """Where and how a patient's mask is looked for.

    Attributes:
        folder: the patient's folder, for messages and relative paths.
        patient: the patient's name in file names.
        pattern: regular expression in the names of masks; case is ignored.
        how: the user's labels and choices.
        series: which DICOM series is the image, see `find_series`.
    """

    folder: Path
    patient: str
    pattern: str
    how: Reading
    series: str | None = None

    def name_of(self, path: Path) -> str | None:
        """Return the structure that a file is named after, None if that is not a label."""
        names = list(names_in(stem(path), self.patient, self.pattern))
        if self.how.labels is None:
            return names[-1]
        return next((name for name in names if self.how.lists(name)), None)


@dataclass(frozen=True)
class Structures:
    """Files of one structure each.

    Attributes:
        files: name -> file, of the structures to read.
        others: files of structures that are not labels.
    """

    files: Mapping[str, Path]
    others: tuple[Path, ...]

    def all_files(self) -> list[Path]:
        """Return the files of all structures, read or not."""
        return [*self.files.values(), *self.others]

    def source(self, how: Reading, who: str) -> MaskSource:
        """Return the mask that the files form."""
        reader = partial(_read, self.files, how, who)
        others = tuple(sorted(stem(path) for path in self.others))
        return MaskSource(tuple(sorted(self.files.values())), reader, tuple(self.files), others)

    def notes(self) -> list[str]:
        """Return a note on the structures that are not read."""
        if not self.others:
            return []
        return [f"structure files that the labels do not list, not read: {len(self.others)}"]


def find_structures(search: Search, volumes: Sequence[Path], *, series: bool,
                    apart: bool) -> Structures | None:  # fmt: skip
    """Find files of one structure each: by their names, or by the name of their folder.

    A file is one if its name is a label. Mask words (the pattern) and the patient's folder name
    in front are left out: `P1_sacrum_mask.nii.gz` of P1 is `sacrum`. Other files next to them in a
    folder of their own are structures that are not labels. Without labels, two files or more in a
    folder whose name fits the pattern are structures.

    Args:
        search: where and how.
        volumes: the patient's volumes.
        series: whether no volume needs to be the image, which may be a DICOM series.
        apart: whether the volumes are in a place that holds masks only.

    Returns:
        The structures, or None if the patient's masks are of another kind.

    Raises:
        DatasetError: two files of one structure, or several files in a mask folder of which none
            is a label.
    """
    folder, pattern, how = search.folder, search.pattern, search.how
    volumes = [path for path in volumes if not is_slicer(path)]  # these hold their own names
    inside = [path for path in volumes if apart or in_mask_folder(path, folder, pattern)]
    names = {path: search.name_of(path) for path in volumes}
    if how.labels is None:
        chosen = inside if len(inside) > 1 else []
    else:
        chosen = [path for path in volumes if names[path] is not None]
    if not series and len(chosen) == len(volumes):  # one must be the image
        chosen = [p for p in chosen if p in inside or re.search(pattern, p.name, re.IGNORECASE)]
    if not chosen:
        if len(inside) > 1 and how.labels is not None:
            found = [stem(path) for path in inside]
            raise DatasetError(unlisted(found, found, how.labels, str(inside[0].parent)))
        return None
    return Structures(_by_name(chosen, names), _others(volumes, chosen, inside, folder, series))


def check_unread(search: Search, paths: Sequence[Path], found: Structures | None) -> None:
    """Reject files in formats that are not read if they are named after a structure that has no other file.

    Without labels, files next to those of structures, which are `found`, are structures.
    """
    folder, how = search.folder, search.how
    known = {folded(label_of(name, how.renames)) for name in (found.files if found else ())}
    homes = {path.parent for path in (found.files.values() if found else ())}
    lost = []
    for path in paths:
        names = list(names_in(plain_stem(path.name), search.patient, search.pattern))
        named = [folded(label_of(name, how.renames)) for name in names if how.lists(name)]
        if named and not known & set(named) and (how.labels is not None or path.parent in homes):
            lost.append(path.relative_to(folder) if path.is_relative_to(folder) else path)
    if lost:
        raise DatasetError(
            f"{folder}: named after structures, but not read: {', '.join(map(str, lost[:5]))}; save them as .nii.gz, "
            ".nrrd or .mha (unpack archives), or remove them"
        )


def stem(path: Path) -> str:
    """Return a volume's file name without its endings.

    >>> stem(Path("hip_left.nii.gz")), stem(Path("sacrum.seg.nrrd"))
    ('hip_left', 'sacrum')
    """
    name = path.name
    for ending in (".seg.nrrd", *READABLE):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def names_in(text: str, patient: str, pattern: str) -> Iterator[str]:
    """Return a text, then without mask words, and both without the patient's name in front.

    >>> list(dict.fromkeys(names_in("P1_hip_left_mask", "P1", "mask")))
    ['P1_hip_left_mask', 'P1_hip_left', 'hip_left_mask', 'hip_left']
    """
    front = rf"(?i)^{re.escape(patient)}[\s_.-]+"
    for whole in dict.fromkeys((text, re.sub(front, "", text))):
        yield whole
        for words in (r"[^\s_.]+", r"[^\s_.-]+"):
            left = re.sub(words, partial(_unless, pattern), whole).strip(" _.-")
            if left and left != whole:
                yield left


def _unless(pattern: str, word: re.Match[str]) -> str:
    return "" if re.search(pattern, word[0], re.IGNORECASE) else word[0]


def check_structures(parts: Sequence[MaskSource], others: int, labels: Labels,
                     how: Reading) -> list[str]:  # fmt: skip
    """Return notes on structures that some patients lack.

    `parts` are the masks of one file per structure, `others` counts the other masks.

    Raises:
        DatasetError: a label has no file in any patient, although all masks have one file per
            structure.
    """
    drawn = [{folded(label_of(name, how.renames)) for name in mask.structures} for mask in parts]
    single = {folded(name): name for name in labels.names}
    names = [single.get(name, name) for name, value in targets(labels).items()
             if value and name != IGNORE]  # fmt: skip
    lacking = {name: sum(folded(name) not in found for found in drawn) for name in names}
    absent = [name for name, count in lacking.items() if count == len(parts)]
    if parts and absent and not others:
        stems = dict.fromkeys(name for m in parts for name in (*m.structures, *m.unlisted))
        raise DatasetError(
            f"the labels {listed(absent)} have no file in any patient; the files are named "
            f"{listed(stems)}; correct the labels file, or pass --rename NAME=LABEL with the name of a file"
        )
    return [
        f"patients without a file of {name!r}: {count} of {len(parts)} with one file per structure"
        for name, count in lacking.items()
        if count > 0
    ]


def _by_name(chosen: Sequence[Path], names: Mapping[Path, str | None]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in chosen:
        name = str(names[path])
        other = next((p for n, p in found.items() if folded(n) == folded(name)), None)
        if other is not None:
            raise DatasetError(f"{other} and {path} are both named after {name!r}; keep one")
        found[name] = path
    return found


def _others(volumes: Sequence[Path], chosen: Sequence[Path], inside: Sequence[Path], folder: Path,
            series: bool) -> tuple[Path, ...]:  # fmt: skip
    """Return the files next to structures that cannot be the image."""
    homes = {path.parent for path in chosen} - {folder}
    near = [p for p in volumes if p not in chosen and (p.parent in homes or p in inside)]
    if series or len(near) + len(chosen) < len(volumes):
        return tuple(near)
    return tuple(p for p in near if p in inside)


def _read(files: Mapping[str, Path], how: Reading, who: str, grid: Header) -> LabelMap:
    """Read and merge the files; a single file with several values is an ordinary label map."""
    first = read_mask(next(iter(files.values())), grid, how)
    if len(files) == 1 and len(set(first.values) - {0}) > 1:
        return first
    base = first.image
    voxels = {name: partial(_voxels, path, base, grid, how) for name, path in files.items()}
    values = {name: place for place, name in enumerate(files, 1)}
    found = merge(base.GetSize()[::-1], voxels, values, how, who)
    return LabelMap(like(found.array, base), found.values, (*first.notes, *found.notes))


def _voxels(path: Path, base: sitk.Image, grid: Header, how: Reading) -> np.ndarray:
    """Read one structure: 0, and one other value."""
    part = read_mask(path, grid, how)
    check_same_grid(part, base, str(path))
    values = sorted(set(part.values) - {0})
    if len(values) > 1:
        raise DatasetError(
            f"{path}: named after one structure, but holds the values {values[:10]} (allowed: 0 and one "
            "other); export one structure per file, or rename a label map of all structures"
        )
    found: np.ndarray = sitk.GetArrayViewFromImage(part.image) > 0
    return found
