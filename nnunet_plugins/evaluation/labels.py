"""The labels that are scored: names and values, regions, the ignore label."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nnunet_plugins.errors import UserError

MOST = 255  # labels that are taken from the files without anybody naming them


@dataclass(frozen=True)
class Labels:
    """Foreground labels, as nnU-Net's dataset.json declares them.

    A region is the union of its values. In nnU-Net's predictions of regions the files hold the
    values of regions_class_order, so that the union is right for them as well.

    Attributes:
        values: name -> the values whose union it is; without background and ignore.
        ignore: value of the reference's voxels that are left out, if there is one.
        source: where the names come from, in words.
    """

    values: dict[str, tuple[int, ...]]
    ignore: int | None
    source: str

    @property
    def known(self) -> frozenset[int]:
        """Every value that a prediction may hold: background and the labels."""
        return frozenset({0}.union(*self.values.values()))


def find_labels(prediction: Path, reference: Path, dataset_json: Path | None) -> Labels | None:
    """Read the labels from the option, else beside PRED, else beside or above REF, else None."""
    if dataset_json is not None:
        return read_labels(dataset_json, dataset_json.name)
    beside = prediction if prediction.is_dir() else prediction.absolute().parent
    home = reference.absolute() if reference.is_dir() else reference.absolute().parent
    places = {
        "dataset.json beside the predictions": beside,
        "dataset.json beside the references": home,
        "dataset.json above the references": home.parent,
    }
    for source, folder in places.items():
        if (folder / "dataset.json").is_file():
            return read_labels(folder / "dataset.json", source)
    return None


def labels_from_values(values: Iterable[int]) -> Labels:
    """Name labels after the values that were found."""
    found: dict[str, tuple[int, ...]] = {
        f"label {value}": (value,) for value in sorted(values) if value != 0
    }
    if not found:
        raise UserError(
            "evaluate: neither predictions nor references hold anything but 0, and no dataset.json "
            "names the labels; pass -djfile DATASET.JSON"
        )
    if len(found) > MOST:
        raise UserError(
            f"evaluate: {len(found)} different values in the files; are these images? Pass label maps, or name their "
            "labels by -djfile DATASET.JSON"
        )
    return Labels(found, None, "values found in the files, as no dataset.json names them")


def read_labels(path: Path, source: str) -> Labels:
    """Read the labels of an nnU-Net dataset.json.

    Raises:
        UserError: no such file, not JSON, or its "labels" are not nnU-Net v2's.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error}); pass -djfile FILE") from error
    declared = content.get("labels") if isinstance(content, dict) else None
    if not isinstance(declared, dict) or not declared:
        raise UserError(
            f'{path}: has no "labels" like {{"background": 0, "name": 1}}; '
            "pass nnU-Net's dataset.json by -djfile FILE"
        )
    labels = {name: _values(path, name, value) for name, value in declared.items()}
    ignore = labels.pop("ignore", None)
    if ignore is not None and len(ignore) != 1:
        raise UserError(f"{path}: the ignore label must be one value, not {list(ignore)}")
    foreground = {name: values for name, values in labels.items() if set(values) != {0}}
    if not foreground:
        raise UserError(f"{path}: declares no label beside the background; nothing to score")
    return Labels(foreground, ignore[0] if ignore else None, source)


def _values(path: Path, name: str, value: object) -> tuple[int, ...]:
    values = value if isinstance(value, list) else [value]
    whole = all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in values)
    if not values or not whole:
        raise UserError(
            f"{path}: label {name!r} is {value!r}; allowed is a whole number from 0, or a list of "
            'them for a region (nnU-Net v1 had it the other way round, {"1": "name"}: convert it)'
        )
    if len(values) > 1 and 0 in values:
        raise UserError(
            f"{path}: region {name!r} = {value!r} holds the background 0; a region is scored as "
            "the union of foreground values: take the 0 out"
        )
    return tuple(values)
