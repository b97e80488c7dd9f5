"""Picture of a result for README and start page: reference, prediction and where they differ.

Run `nnunet-plugins demo -o demo-output --epochs 12` first, then in the root of the repository:
python docs/make_result.py demo-output
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import SimpleITK as sitk
from matplotlib.figure import Figure

from dataset_conversion.raw_format.label_colours import LABELS

TARGET = Path(__file__).parent / "images" / "result.png"
COLOURS = LABELS[:3]  # of the preview: sacrum, left and right ilium
NAMES = ("sacrum", "left ilium", "right ilium")
FINE = 1.0  # mm of the picture
BONE = (-350, 750)  # HU shown black and white


def main(demo: Path) -> None:
    """Write the picture for the demo's test case."""
    (predicted,) = (demo / "predictions").rglob("*.nii.gz")
    raw = next((demo / "nnunet" / "nnUNet_raw").glob("Dataset*"))
    case = predicted.name.removesuffix(".nii.gz")
    reference = sitk.ReadImage(raw / "labelsTs" / predicted.name)
    # The plane that shows most of the least visible label.
    counts = [(sitk.GetArrayViewFromImage(reference) == v).sum((1, 2)) for v in (1, 2, 3)]
    level = int(np.argmax(np.min(counts, axis=0)))
    scan = sitk.ReadImage(raw / "imagesTs" / f"{case}_0000.nii.gz")
    image = _plane(scan, sitk.sitkBSpline, level, outside=-1000)
    true, found = _labels(reference, level), _labels(sitk.ReadImage(predicted), level)
    body = _box(image > -400)
    image, true, found = image[body], true[body], found[body]
    mpl.rcParams["font.family"] = "DejaVu Sans"
    figure = Figure(figsize=(9.6, 2.9), facecolor="#0d1117", layout="constrained")
    panels = figure.subplots(1, 3)
    for axes, title in zip(panels, ("reference", "prediction", "difference"), strict=True):
        axes.imshow(image, cmap="gray", vmin=BONE[0], vmax=BONE[1])
        axes.set_title(title, color="#e6edf3", fontsize=11)
        axes.set_axis_off()
    _fill(panels[0], true)
    _fill(panels[1], found)
    agreed = (true == found) & (true > 0)
    wrong = (true != found) & (found > 0)
    missed = (true != found) & (true > 0) & (found == 0)
    marks = (
        (agreed, "#80ed99", "agreed"),
        (missed, "#ff7f51", "missed"),
        (wrong, "#b388ff", "false alarm"),
    )
    for mask, colour, _ in marks:
        _shade(panels[2], mask, colour)
    legend = [*zip(COLOURS, NAMES, strict=True), *((colour, name) for _, colour, name in marks)]
    handles = [mpl.patches.Patch(color=colour) for colour, _ in legend]
    figure.legend(handles, [name for _, name in legend], loc="outside lower center", ncols=6, fontsize=9,
                  frameon=False, labelcolor="#e6edf3")  # fmt: skip
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(TARGET, dpi=100)


def _plane(volume: sitk.Image, interpolator: int, level: int, outside: float = 0) -> Any:
    """An axial plane at the resolution of the picture, anterior at the top."""
    plane = volume[:, :, level]
    size = [round(n * mm / FINE) for n, mm in zip(plane.GetSize(), plane.GetSpacing(), strict=True)]
    fine = sitk.Resample(
        plane, size, sitk.Transform(2, sitk.sitkIdentity), interpolator, plane.GetOrigin(), [FINE] * 2,
        plane.GetDirection(), outside, sitk.sitkFloat32,
    )  # fmt: skip
    return sitk.GetArrayFromImage(fine)


def _labels(volume: sitk.Image, level: int) -> Any:
    """Labels of the plane; each label is interpolated by itself."""
    shares = [
        _plane(sitk.Cast(volume == value, sitk.sitkFloat32), sitk.sitkLinear, level)
        for value in range(len(NAMES) + 1)
    ]
    return np.argmax(shares, axis=0)


def _box(mask: Any) -> tuple[slice, ...]:
    """The smallest box around a mask, with a margin."""
    return tuple(slice(max(0, used.min() - 6), used.max() + 7) for used in np.nonzero(mask))


def _fill(axes: Any, labels: Any) -> None:
    for value, colour in enumerate(COLOURS, 1):
        _shade(axes, labels == value, colour)
        axes.contour(labels == value, [0.5], colors=colour, linewidths=1.0)


def _shade(axes: Any, mask: Any, colour: str) -> None:
    shade = np.zeros((*mask.shape, 4))
    shade[mask] = (*mpl.colors.to_rgb(colour), 0.45)
    axes.imshow(shade)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
