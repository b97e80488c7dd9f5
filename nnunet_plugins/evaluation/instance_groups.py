"""Reads what counts as an instance: `--instances lesion vertebrae=1-25`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dataset_conversion.labels import folded
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import listed
from nnunet_plugins.evaluation.instances import (
    CONNECTIVITIES,
    THRESHOLD,
    Connectivity,
    Group,
    InstanceOptions,
)
from nnunet_plugins.evaluation.labels import Labels

_MOST = 65535


def read_instances(
    given: Sequence[str] | str,
    labels: Labels,
    threshold: float = THRESHOLD,
    connectivity: Connectivity = "corners",
) -> InstanceOptions:
    """Read groups of instances.

    Args:
        given: names of labels, whose connected components are instances, or NAME=VALUES, whose label values are.
            VALUES are single values and ranges in anatomical order, e.g. ``vertebrae=1-19,28,20-25``. Values of a
            range that no label has are left out.
        labels: of the reference.
        threshold: IoU that a pair must exceed.
        connectivity: voxels of a component share faces, edges or corners.

    Raises:
        UserError: a label or value is unknown, or an option is out of range.

    >>> labels = Labels({"L4": (4,), "L5": (5,), "lesion": (9,)}, None, "dataset.json")
    >>> for group in read_instances(["lesion", "vertebrae=1-5"], labels).groups:
    ...     print(group.name, group.names, group.components)
    lesion ('lesion',) True
    vertebrae ('L4', 'L5') False
    """
    if not 0 <= threshold < 1:
        raise UserError(f"--instance-iou {threshold}: expected an IoU from 0 to below 1")
    if connectivity not in CONNECTIVITIES:
        raise UserError(f"--connectivity {connectivity}: allowed are {', '.join(CONNECTIVITIES)}")
    items = [given] if isinstance(given, str) else list(given)
    groups = tuple(_group(item, labels) for item in items)
    names = [group.name for group in groups]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UserError(f"--instances {twice[0]}: given more than once; keep one of them")
    return InstanceOptions(groups, threshold, connectivity)


def _group(item: str, labels: Labels) -> Group:
    found = {folded(name): name for name in labels.values}
    label = found.get(folded(item))
    if label is not None:
        return Group(label, labels.values[label], (label,), components=True)
    name, equals, text = item.rpartition("=")
    if not equals or not name.strip():
        raise UserError(
            f"--instances {item}: no label of this name; labels are {listed(list(labels.values))}; pass one of them "
            "for its connected components, or NAME=VALUES for label values, e.g. vertebrae=1-25"
        )
    single = {values[0]: label for label, values in labels.values.items() if len(values) == 1}
    chosen = _values(text, item)
    unknown = [value for value, in_range in chosen if value not in single and not in_range]
    known = [value for value, _ in chosen if value in single]
    if unknown or not known:
        raise UserError(
            f"--instances {item}: no label has the value {unknown[0] if unknown else text}; labels are "
            f"{listed([f'{name} = {value}' for value, name in single.items()])}"
        )
    if len(set(known)) < len(known):
        raise UserError(f"--instances {item}: a value is given more than once")
    return Group(
        name.strip(), tuple(known), tuple(single[value] for value in known), components=False
    )


def _values(text: str, item: str) -> list[tuple[int, bool]]:
    """Values in order, each with whether it is from a range."""
    found: list[tuple[int, bool]] = []
    for part in text.split(","):
        numbers = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        first, last = (int(n) if n else None for n in numbers.groups()) if numbers else (None, None)
        if first is None or not 0 < first <= (last or first) <= _MOST:
            raise UserError(
                f"--instances {item}: {part.strip()!r} is neither a value nor a range of values; expected e.g. "
                "vertebrae=1-25 or vertebrae=1-19,28,20-25"
            )
        found += [(value, last is not None) for value in range(first, (last or first) + 1)]
    return found
