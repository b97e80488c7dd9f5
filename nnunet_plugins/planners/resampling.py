"""Which of nnU-Net's functions resample images, label maps and logits: its default, or its own with torch.

nnU-Net's default (`resample_data_or_seg_to_shape`, in float64, one class after the other) takes most of the time and
memory of a prediction with many classes; `resample_torch_fornnunet` is nnU-Net's answer. It interpolates images
linearly, the default by cubic splines, so a model is trained and predicted with the same plans.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy.ndimage import find_objects, gaussian_filter

from nnunet_plugins.atomic_files import write_json
from nnunet_plugins.image_files import read_labels_on
from nnunet_plugins.plans_file import read_object

CHOICES = ("nnunet", "torch", "auto")
LIMIT = 1e-3  # of the labelled voxels
ENTRY = "resampling"  # of a configuration: what auto measured
_TORCH = "resample_torch_fornnunet"
_CASES, _SIDE = 3, 128  # label maps that are compared, and their largest side in voxels


def write_resampling(file: Path, choice: str, labels: Path) -> None:
    """Write the choice into plans; ``nnunet`` leaves them as they are.

    Args:
        file: the plans.
        choice: ``torch`` for images, label maps and logits; ``auto`` for label maps and logits, each where it agrees
            with the default on the dataset's label maps within `LIMIT`. The default then resamples the images, which
            have no labels to agree on.
        labels: folder of the training label maps.
    """
    if choice == "nnunet":
        return
    plans = read_object(file)
    for entry in plans["configurations"].values():
        if "resampling_fn_data" not in entry:  # inherited
            continue
        kinds = ["data", "seg", "probabilities"]
        if choice == "auto":
            found = disagreement(entry, plans, labels)
            entry[ENTRY] = {"asked": choice, "limit": LIMIT, "disagreement": found}
            kinds = [kind for kind, share in found.items() if share <= LIMIT]
        for kind in kinds:
            entry[f"resampling_fn_{kind}"] = _TORCH
            entry[f"resampling_fn_{kind}_kwargs"] = torch_arguments(kind == "seg")
    write_json(file, plans, indent=4)


def torch_arguments(is_seg: bool) -> dict[str, Any]:
    """Arguments of nnU-Net's torch function; slices are resampled one by one where the default does so.

    >>> torch_arguments(True)
    {'is_seg': True, 'force_separate_z': None, 'memefficient_seg_resampling': False}
    """
    return {"is_seg": is_seg, "force_separate_z": None, "memefficient_seg_resampling": False}


def disagreement(
    entry: Mapping[str, Any], plans: Mapping[str, Any], labels: Path
) -> dict[str, float]:
    """Share of the labelled voxels on which both functions differ, on up to three label maps.

    Label maps are resampled to the planned voxels. Then smoothed label maps, which vary as logits do, are resampled
    from the planned voxels back to the image.

    Args:
        entry: a configuration of the plans.
        plans: the plans.
        labels: folder of the label maps.

    Returns:
        ``{"seg": share, "probabilities": share}``; a share is 1 if no label map has labels.
    """
    counts = {"seg": [0, 0], "probabilities": [0, 0]}
    order = plans["transpose_forward"]
    for array, spacing in islice(_label_maps(labels, order), _CASES):
        planned = list(entry["spacing"])
        planned = planned if len(planned) == 3 else [spacing[0], *planned]
        grid = [
            max(1, round(n * s / p)) for n, s, p in zip(array.shape, spacing, planned, strict=True)
        ]
        default, other = _functions(entry, "seg")
        one, two = (
            np.asarray(fn(array[None], grid, spacing, planned))[0] for fn in (default, other)
        )
        _count(counts["seg"], one, two)
        smooth = np.stack(
            [gaussian_filter((one == label) * 10.0, 1.0) for label in np.unique(array)]
        ).astype(np.float16)
        default, other = _functions(entry, "probabilities")
        one, two = (
            np.asarray(fn(smooth, array.shape, planned, spacing)).argmax(0)
            for fn in (default, other)
        )
        _count(counts["probabilities"], one, two)
    return {
        kind: round(differ / total, 6) if total else 1.0 for kind, (differ, total) in counts.items()
    }


def _functions(entry: Mapping[str, Any], kind: str) -> tuple[Any, Any]:
    """The planned function, and that with torch."""
    from nnunetv2.preprocessing.resampling.resample_torch import resample_torch_fornnunet
    from nnunetv2.preprocessing.resampling.utils import recursive_find_resampling_fn_by_name

    planned = recursive_find_resampling_fn_by_name(entry[f"resampling_fn_{kind}"])
    return (
        partial(planned, **entry[f"resampling_fn_{kind}_kwargs"]),
        partial(resample_torch_fornnunet, **torch_arguments(kind == "seg")),
    )


def _count(counts: list[int], one: NDArray[Any], two: NDArray[Any]) -> None:
    counts[0] += int((one != two).sum())
    counts[1] += int(((one > 0) | (two > 0)).sum())


def _label_maps(
    folder: Path, order: list[int]
) -> Iterator[tuple[NDArray[np.float32], list[float]]]:
    """Label maps around their labels, of at most `_SIDE` voxels, and their spacing, in the plans' order of axes."""
    for path in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
        if path.suffix == ".json":
            continue
        image = read_labels_on(path)
        array = sitk.GetArrayFromImage(image).transpose(order)
        box = find_objects((array > 0).astype(np.uint8))
        if not box:
            continue
        cut = []
        for side, size in zip(box[0], array.shape, strict=True):
            middle = (side.start + side.stop) // 2
            half = min((side.stop - side.start) // 2 + 8, _SIDE // 2)
            cut.append(slice(max(0, middle - half), min(size, middle + half)))
        spacing = image.GetSpacing()[::-1]
        yield array[tuple(cut)].astype(np.float32), [spacing[axis] for axis in order]


def in_words(plans: Mapping[str, Any]) -> list[str]:
    """What auto chose, one line per configuration.

    >>> measured = {"asked": "auto", "limit": 0.001, "disagreement": {"seg": 0.004, "probabilities": 0.0002}}
    >>> in_words({"configurations": {"2d": {"resampling": measured}}})
    ['2d: torch resamples logits (0.02 % of the labels differ), nnU-Net label maps (0.4 %)']
    """
    names = {"probabilities": "logits", "seg": "label maps"}
    lines = []
    for name, entry in plans["configurations"].items():
        if ENTRY not in entry:
            continue
        found = entry[ENTRY]["disagreement"]
        parts: list[str] = []
        for kind in ("probabilities", "seg"):
            who = "torch" if found[kind] <= entry[ENTRY]["limit"] else "nnU-Net"
            verb, of = ("", "") if parts else (" resamples", " of the labels differ")
            parts.append(f"{who}{verb} {names[kind]} ({found[kind] * 100:.2g} %{of})")
        lines.append(f"{name}: {', '.join(parts)}")
    return lines
