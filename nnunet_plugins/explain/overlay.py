"""Maps over the image in three planes through a map's maximum."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from dataset_conversion.io.geometry import oriented as in_lps
from dataset_conversion.io.planes import PLANES
from nnunet_plugins.figures import edge_letters, figure


def draw(
    path: Path,
    image: sitk.Image,
    maps: Mapping[str, sitk.Image],
    title: str,
    follow: Collection[str] = (),
    *,
    oriented: bool = True,
) -> None:
    """Draw one row per map in radiological view (the patient's right on the left) and write a PNG.

    An image of one slice has one plane.

    Args:
        path: the PNG.
        image: grey values.
        maps: caption -> map in 0 to 1 on the image's grid.
        title: title of the figure.
        follow: captions of maps that are cut in the planes of the first map that is not empty.
        oriented: whether the directions of the patient are known; without them no letters are shown.
    """
    grey = in_lps(image)
    values = sitk.GetArrayFromImage(grey)
    low, high = np.percentile(values, (1, 99.5))
    spacing = grey.GetSpacing()[::-1]
    reoriented = (sitk.GetArrayFromImage(in_lps(one)) for one in maps.values())
    first = next(
        (_peak(heat) for heat in reoriented if heat.any()), tuple(n // 2 for n in values.shape)
    )
    planes = [one for one in PLANES if min(values.shape[axis] for axis in one.axes) > 1] or PLANES
    size = 3.2 * max(2, len(planes)), 0.7 + 3.0 * len(maps)
    with figure([path], size, [title, *maps], dpi=140, font_size=9) as drawing:
        axes = drawing.subplots(len(maps), len(planes), squeeze=False)
        shown: Any = None
        for place, (caption, one) in enumerate(maps.items()):
            row = axes[place]
            heat = sitk.GetArrayFromImage(in_lps(one))
            at = first if caption in follow or not heat.any() else _peak(heat)
            for panel, plane in zip(row, planes, strict=True):
                tall, wide = plane.pixel(spacing)
                aspect = tall / wide
                background, front = plane.cut(values, at), plane.cut(heat, at)
                panel.imshow(
                    background, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), aspect=aspect
                )
                shown = panel.imshow(front, cmap="inferno", vmin=0, vmax=1, aspect=aspect,
                                     alpha=np.clip(front * 1.5, 0, 0.75), interpolation="bilinear")  # fmt: skip
                edge_letters(panel, plane.letters if oriented else "", 9)
                panel.set(xticks=[], yticks=[])
                if place == 0 and oriented:
                    panel.set_title(plane.name)
            row[0].set_ylabel(caption)
        bar = drawing.colorbar(shown, ax=axes, shrink=0.7 if len(maps) == 1 else 0.4, pad=0.01)
        if bar.solids is not None:
            bar.solids.set_alpha(1)
        drawing.suptitle(title)


def _peak(heat: np.ndarray) -> tuple[int, ...]:
    return tuple(int(n) for n in np.unravel_index(int(heat.argmax()), heat.shape))
