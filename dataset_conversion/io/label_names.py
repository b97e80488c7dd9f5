"""The names of a mask's segments and the labels that they denote. Numbers never replace names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from dataset_conversion.errors import DatasetError, some
from dataset_conversion.labels import BACKGROUND, Labels, folded, values_of

HIGHEST = 65535  # value of a label

#: Folded name of a segment -> the label that it denotes, as requested by the user.
Renames = Mapping[str, str]
NO_RENAMES: Renames = {}


def read_renames(texts: Sequence[str]) -> dict[str, str]:
    """Parse NAME=LABEL.

    >>> read_renames(["Sacrum_bone=sacrum", "Skin = background"])
    {'sacrum bone': 'sacrum', 'skin': 'background'}

    Raises:
        DatasetError: without '=', blank, or two labels for one name.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, _, label = (part.strip() for part in text.rpartition("="))
        if not (name and label):
            raise DatasetError(
                f"--rename {text!r}: expected NAME=LABEL, the name in the masks and the label; "
                f"{BACKGROUND} as the label removes a structure"
            )
        if found.setdefault(folded(name), label) != label:
            raise DatasetError(
                f"--rename: {name!r} is given two labels, {found[folded(name)]!r} and {label!r}; "
                "choose one"
            )
    return found


def targets(labels: Labels) -> dict[str, int]:
    """Return folded name -> value of all labels with one value.

    With regions, a value that has no name of its own is its digits.

    >>> targets(Labels({"bone": (1, 2), "sacrum": 1}, (2, 1)))
    {'background': 0, 'sacrum': 1, '2': 2}
    """
    single = {folded(name): v for name, v in labels.names.items() if isinstance(v, int)}
    parts = {v for value in labels.names.values() for v in values_of(value)}
    return {**single, **{str(v): v for v in sorted(parts - set(single.values()))}}


def label_of(name: str, renames: Renames) -> str:
    """Return the label that a segment's name denotes: the requested one, or the name itself."""
    return renames.get(folded(name), name.strip())


def check_renames(renames: Renames, labels: Labels) -> None:
    """Reject a renaming to something that is not a label."""
    known = targets(labels)
    for name, label in renames.items():
        if folded(label) not in known:
            raise DatasetError(
                f"--rename '{name}={label}': {label!r} is not a label (labels: {listed(known)})"
            )


def translation(segments: Mapping[str, int] | None, used: Collection[int], labels: Labels,
                who: str, renames: Renames = NO_RENAMES) -> dict[int, int]:  # fmt: skip
    """Map a file's segment values to the values that the labels list for their names.

    Names are compared as `folded`. Without segments the result is empty: the values of the file
    apply.

    `segments` are name -> value in the file, `used` the values that occur in it.

    Raises:
        DatasetError: a segment that has voxels is not a label and not dropped.
    """
    known = targets(labels)
    result, unknown = {}, []
    for name, old in (segments or {}).items():
        new = known.get(folded(label_of(name, renames)))
        result[old] = 0 if new is None else new
        if new is None and old in used and old not in labels.drop:
            unknown.append(name)
    if unknown:
        raise DatasetError(unlisted(unknown, segments or {}, labels, who))
    return result


def unlisted(unknown: Sequence[str], names: Iterable[str], labels: Labels, who: str) -> str:
    """Return the message for names that are not labels: both sets of names, and what to pass."""
    renames = " ".join(f"'{name}=LABEL'" for name in unknown[:3])
    more = " ..." if len(unknown) > 3 else ""
    return (
        f"{who}: {listed(unknown)} {'is not a label' if len(unknown) == 1 else 'are not labels'}. Names in "
        f"the mask: {listed(names)}; labels: {listed(labels.names)}. Names decide, not numbers: correct "
        f"the names, or pass --rename {renames}{more} with one of the labels for each ({BACKGROUND} removes it)"
    )


def listed(names: Iterable[str], most: int = 20) -> str:
    """Return names in quotes, the first `most` of them.

    >>> listed(["a", "b", "c"], 2)
    "'a', 'b' and 1 more"
    """
    return some([repr(name) for name in names], most)


def labels_of(segments: Iterable[Mapping[str, int]], drop: tuple[int, ...] = (),
              renames: Renames = NO_RENAMES) -> Labels:  # fmt: skip
    """Return labels for the segments of many files, matched by name as `folded`.

    They are ordered by the lowest value that any file gives a name, then by name, so the order of
    the files does not matter.
    """
    lowest: dict[str, int] = {}
    spelling: dict[str, set[str]] = {}
    for file in segments:
        for name, value in file.items():
            label = label_of(name, renames)
            key = folded(label)
            if value in drop or key == BACKGROUND:
                continue
            lowest[key] = min(value, lowest.get(key, value))
            spelling.setdefault(key, set()).add(label)
    order = sorted(lowest, key=lambda key: (lowest[key], key))
    # A dropped value stays unused, so that it still means what the user dropped.
    free = (value for value in range(1, HIGHEST) if value not in drop)
    return Labels({min(spelling[key]): next(free) for key in order}, drop=drop)


def check_drop(segments: Iterable[Mapping[str, int] | None], drop: Sequence[int]) -> None:
    """Reject a dropped value that means different structures in different files."""
    files = [file for file in segments if file]
    for value in drop:
        pairs = {(folded(name), v) for file in files for name, v in file.items()}
        names = sorted(name for name, v in pairs if v == value)
        moved = [name for name, v in pairs if name in names and v != value]
        if len(names) > 1 or moved:
            renames = " ".join(f"'{name}={BACKGROUND}'" for name in names)
            raise DatasetError(
                f"--drop {value}: the masks do not agree on the structure of this value "
                f"({listed(names)}); remove structures by name, e.g. --rename {renames}"
            )
