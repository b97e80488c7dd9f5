"""Labels that join several values of a dataset's masks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from dataset_conversion.labels import Labels


def merged(scheme: Mapping[str, Sequence[int]], drop: Collection[int] = ()) -> Labels:
    """Return labels, each with all values of a scheme that are not dropped.

    Args:
        scheme: name -> values in the masks.
        drop: values that become background; a label without other values is left out.

    >>> merged({"sacrum": (1, 2), "left hip": (11, 12)}, drop=(2,)).remap
    {0: 0, 1: 1, 11: 2, 12: 2}
    """
    names: dict[str, int] = {}
    joined: dict[int, int] = {}
    for name, values in scheme.items():
        kept = [value for value in values if value not in drop]
        if kept:
            names[name] = kept[0]
            joined.update(dict.fromkeys(kept[1:], kept[0]))
    return Labels(names, drop=tuple(drop), merge=joined)
