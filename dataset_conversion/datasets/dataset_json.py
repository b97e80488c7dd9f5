"""Read dataset.json of nnU-Net (either version) and of the Medical Segmentation Decathlon."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from dataset_conversion.errors import DatasetError
from dataset_conversion.json_text import parse_json
from dataset_conversion.labels import BACKGROUND, IGNORE, Labels, Value, label_values, values_of

FILE = "dataset.json"


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object of a file.

    Raises:
        DatasetError: missing, not readable, or not an object.
    """
    try:
        content = parse_json(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        fix = (
            "pass the folder that holds it, or copy the dataset again"
            if isinstance(error, FileNotFoundError)
            else "copy the dataset again"
        )
        raise DatasetError(f"{path}: cannot be read ({why}); {fix}") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path}: expected a JSON object")
    return content


def listed_path(source: Path, name: str) -> Path:
    r"""Return a path that dataset.json lists relative to its folder, with either kind of slash.

    >>> listed_path(Path("Task04"), ".\\imagesTr\\a.nii.gz").as_posix()
    'Task04/imagesTr/a.nii.gz'
    """
    return source / name.replace("\\", "/")


def count_notes(entry: Mapping[str, Any], **counts: int) -> list[str]:
    """Compare the numbers of cases in dataset.json with those that were found; return notes.

    >>> count_notes({"numTraining": 9}, numTraining=4, numTest=1)
    ['dataset.json: numTraining is 9, but there are 4 cases']
    """
    return [
        f"{FILE}: {name} is {entry[name]}, but there are {count} cases"
        for name, count in counts.items()
        if entry.get(name) not in (None, count)
    ]


def channel_names(entry: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """Return the channels in their order, from `channel_names` or, in older files, `modality`.

    >>> channel_names({"modality": {"0": "FLAIR", "1": "T1w"}}, Path("dataset.json"))
    ('FLAIR', 'T1w')
    """
    names = entry.get("channel_names", entry.get("modality"))
    if not isinstance(names, dict) or sorted(names) != sorted(str(i) for i in range(len(names))):
        raise DatasetError(
            f'{path}: channel_names (or modality) is {names!r}; expected e.g. {{"0": "CT"}}'
        )
    if not names:
        raise DatasetError(
            f'{path}: no channel is listed; expected e.g. "channel_names": {{"0": "CT"}}'
        )
    return tuple(str(names[str(i)]) for i in range(len(names)))


def labels_in(entry: Mapping[str, Any], path: Path, drop: Collection[int] = ()) -> Labels:
    """Return the labels, with regions and the ignore label, without dropped ones.

    Older files map values to names: {"0": "background", "1": "liver"}.

    >>> labels_in({"labels": {"0": "background", "1": "liver"}}, Path("dataset.json")).names
    {'background': 0, 'liver': 1}

    Raises:
        DatasetError: no labels, or invalid ones.
    """
    listed = entry.get("labels")
    if not isinstance(listed, dict):
        raise DatasetError(
            f'{path}: labels is {listed!r}; expected e.g. {{"background": 0, "liver": 1}}'
        )
    try:
        names = label_values(_by_name(listed))
        order = entry.get("regions_class_order") or []
        if not isinstance(order, list) or not all(isinstance(value, int) for value in order):
            raise DatasetError(f"regions_class_order is {order!r}; expected a list of values")
        kept, left = _without(names, order, drop)
        return Labels(kept, tuple(left), tuple(drop))
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error


def _by_name(listed: Mapping[str, Any]) -> dict[str, Any]:
    """Return name -> value, also where values are the keys."""
    if listed and all(key.isdigit() and isinstance(name, str) for key, name in listed.items()):
        found = {name: int(key) for key, name in listed.items()}
        if len(found) != len(listed):
            raise DatasetError(f"a name is given to two values in {dict(listed)}; rename one")
        return found
    return dict(listed)


def _without(names: Mapping[str, Value], order: Collection[int],
             drop: Collection[int]) -> tuple[dict[str, Value], list[int]]:  # fmt: skip
    """Return names and order of regions without the labels of which every value is dropped."""
    targets = [name for name in names if name not in (BACKGROUND, IGNORE)]
    gone = {n for n in names if n != BACKGROUND and set(values_of(names[n])) <= {*drop}}
    kept = {name: value for name, value in names.items() if name not in gone}
    if len(order) != len(targets):
        return kept, list(order)  # Labels states what is wrong
    return kept, [v for name, v in zip(targets, order, strict=True) if name not in gone]
