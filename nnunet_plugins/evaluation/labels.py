"""The labels that are scored: names and values, regions, the ignore label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.errors import DatasetError
from dataset_conversion.json_text import parse_json
from dataset_conversion.labels import label_values, values_of
from nnunet_plugins.errors import UserError

MOST = 255  # labels that may be taken from the files if no dataset.json names them


@dataclass(frozen=True)
class Labels:
    """Foreground labels, as nnU-Net's dataset.json declares them.

    A region is the union of its values. Predictions of nnU-Net hold the values of regions_class_order, so the union
    is correct for them as well.

    Attributes:
        values: name -> the values that form it, without background and ignore.
        ignore: the value that excludes voxels of a reference, if there is one.
        source: where the names come from, for readers.
    """

    values: dict[str, tuple[int, ...]]
    ignore: int | None
    source: str

    @property
    def known(self) -> frozenset[int]:
        """Every value that a prediction may hold: background and the labels."""
        return frozenset({0}.union(*self.values.values()))


def find_labels(prediction: Path, reference: Path, dataset_json: Path | None) -> Labels | None:
    """Read the labels from the given file, else next to PRED, else next to or above REF, else return None."""
    if dataset_json is not None:
        return read_labels(dataset_json, dataset_json.name)
    home = prediction if prediction.is_dir() else prediction.absolute().parent
    theirs = reference.absolute() if reference.is_dir() else reference.absolute().parent
    places = {
        "dataset.json next to the predictions": home,
        "dataset.json next to the references": theirs,
        "dataset.json above the references": theirs.parent,
    }
    for source, folder in places.items():
        if (folder / "dataset.json").is_file():
            return read_labels(folder / "dataset.json", source)
    return None


def labels_from_values(values: Iterable[int]) -> Labels:
    """Name labels after the values that were found.

    Raises:
        UserError: no value but 0, or more than `MOST`.
    """
    found: dict[str, tuple[int, ...]] = {
        f"label {value}": (value,) for value in sorted(values) if value != 0
    }
    if not found:
        raise UserError(
            "evaluate: predictions and references hold nothing but 0, and no dataset.json "
            "names the labels; pass -djfile DATASET.JSON"
        )
    if len(found) > MOST:
        raise UserError(
            f"evaluate: {len(found)} different values in the files; are these images? Pass label maps, or name their "
            "labels with -djfile DATASET.JSON"
        )
    return Labels(found, None, "values found in the files; no dataset.json names them")


def read_labels(path: Path, source: str) -> Labels:
    """Read the labels of an nnU-Net dataset.json.

    Raises:
        UserError: the file does not exist, is not JSON, or its "labels" are not in the form of nnU-Net v2.
    """
    try:
        content = parse_json(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error}); pass -djfile FILE") from error
    declared = content.get("labels") if isinstance(content, dict) else None
    if not isinstance(declared, dict) or not declared:
        raise UserError(
            f'{path}: has no "labels" like {{"background": 0, "name": 1}}; '
            "pass nnU-Net's dataset.json with -djfile FILE"
        )
    labels = _values(path, declared)
    ignore = labels.pop("ignore", None)
    if ignore is not None and len(ignore) != 1:
        raise UserError(f"{path}: the ignore label must be one value, not {list(ignore)}")
    foreground = {name: values for name, values in labels.items() if set(values) != {0}}
    if not foreground:
        raise UserError(f"{path}: declares no label except the background; nothing to score")
    return Labels(foreground, ignore[0] if ignore else None, source)


def _values(path: Path, declared: Mapping[str, object]) -> dict[str, tuple[int, ...]]:
    """Read names and values as the converters do; a region needs no order here, as only unions are scored."""
    try:
        labels = {name: values_of(value) for name, value in label_values(declared).items()}
    except DatasetError as error:
        raise UserError(
            f'{path}: {error} (nnU-Net v1 used the reverse order, {{"1": "name"}}: convert it)'
        ) from error
    for name, values in labels.items():
        if len(values) > 1 and 0 in values:
            raise UserError(
                f"{path}: region {name!r} = {list(values)} holds the background 0; a region is scored as "
                "the union of foreground values: remove the 0"
            )
    return labels
