"""The page's 3D viewer: NiiVue's code from ipyniivue, and a case small enough to embed.

ipyniivue (BSD-2-Clause, like NiiVue) ships NiiVue as an ES module for Jupyter. The page uses it as a notebook does,
through the model that anywidget defines.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.io.geometry import affine, like
from dataset_conversion.raw_format.preview_planes import middle
from nnunet_plugins.reports.colours import label_colours
from nnunet_plugins.reports.volumes import CaseVolumes, box_around

HOW_TO_GET = "pip install 'nnunet-plugins[report]'"
#: 5.3 MB of base64 if nothing can be compressed; software rendering remains usable.
MOST_VOXELS = 4_000_000
MARGIN = 20.0  # mm around the labels of a cropped volume
_MODULE = "ipyniivue/static/widget.js"
_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@cache
def find_niivue() -> tuple[str, str] | None:
    """The viewer's code (base64 of gzip) with its name and licence; None if the package is not installed."""
    try:
        package = distribution("ipyniivue")
    except PackageNotFoundError:
        return None
    module = package.locate_file(_MODULE)
    try:
        with open(str(module), "rb") as stream:
            code = stream.read()
    except OSError:
        return None
    licence = next(
        (
            file.read_text()
            for file in package.files or ()
            if file.name == "LICENSE" and "dist-info" in str(file)
        ),
        "",
    )
    about = f"NiiVue, from ipyniivue {package.version}"
    return _text(gzip.compress(code, mtime=0)), f"{about}\n\n{licence}".strip()


def pack_case(case: CaseVolumes, names: Sequence[str], most: int = MOST_VOXELS) -> dict[str, Any]:
    """The viewer's data in JSON's types: three volumes as base64 of gzipped NIfTI, and the labels.

    Args:
        case: to show.
        names: code - 1 -> the label's name.
        most: voxels; a larger case is cropped to its labels, then averaged in blocks.
    """
    arrays: list[NDArray[np.uint8]] = [
        case.grey if case.grey is not None else np.zeros_like(case.reference),
        case.reference,
        case.prediction,
    ]
    volumes = [like(array, case.grid) for array in arrays]
    changes = []
    if arrays[0].size > most:
        box = box_around((arrays[1] | arrays[2]) > 0, case.spacing, MARGIN)
        if box != tuple(slice(0, n) for n in arrays[0].shape):
            changes.append("cropped to the labels")
        volumes = [one[tuple(box[::-1])] for one in volumes]
    factors = shrink_factors(volumes[0].GetSize(), volumes[0].GetSpacing(), most)
    if max(factors) > 1:
        changes.append("voxels averaged " + " x ".join(map(str, factors)))
        image = sitk.BinShrink(volumes[0], factors)
        volumes = [image, *(_nearest(one, image) for one in volumes[1:])]
    colours = label_colours(len(names))
    return {
        "case": case.name,
        "image": case.grey is not None,
        "oriented": case.oriented,
        "size": list(volumes[0].GetSize()),
        "extent": [
            n * mm for n, mm in zip(volumes[0].GetSize(), volumes[0].GetSpacing(), strict=True)
        ],
        "start": _start(volumes[1], volumes[2]),
        "changes": ", ".join(changes),
        "volumes": {
            key: _nifti(volume)
            for key, volume in zip(("image", "reference", "prediction"), volumes, strict=True)
        },
        "labels": [
            {"name": name, "colour": colour} for name, colour in zip(names, colours, strict=True)
        ],
    }


def as_script(data: Any) -> str:
    r"""JSON for a script element; nothing in it can close the element.

    >>> as_script("</script>")
    '"\\u003c/script\\u003e"'
    """
    text = json.dumps(data, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def shrink_factors(size: Sequence[int], spacing: Sequence[float], most: int) -> list[int]:
    """Integer factors per axis (x, y, z) that reduce a volume to ``most`` voxels, the finest axis first.

    >>> shrink_factors((100, 100, 10), (0.5, 1.0, 5.0), most=50_000)
    [2, 1, 1]
    """
    factors = [1, 1, 1]
    while np.prod([max(1, n // f) for n, f in zip(size, factors, strict=True)]) > most:
        able = [axis for axis in range(3) if size[axis] >= 2 * (factors[axis] + 1)] or [0, 1, 2]
        factors[min(able, key=lambda axis: spacing[axis] * factors[axis])] += 1
    return factors


def _start(*masks: sitk.Image) -> list[int]:
    """First position: the middle of the labels, as voxel indices from the left, the back and the feet."""
    labelled = np.logical_or(*(sitk.GetArrayViewFromImage(one) > 0 for one in masks))
    z, y, x = middle(labelled, labelled.shape)
    _, rows, columns = labelled.shape
    return [columns - 1 - x, rows - 1 - y, z]


def _nearest(mask: sitk.Image, grid: sitk.Image) -> sitk.Image:
    return sitk.Resample(mask, grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0)


def _nifti(volume: sitk.Image) -> str:
    """Base64 of a gzipped NIfTI file without text in its header."""
    array = sitk.GetArrayFromImage(volume).transpose(2, 1, 0)
    image = nib.Nifti1Image(array, _TO_RAS @ affine(volume))
    image.header.set_xyzt_units("mm")
    return _text(gzip.compress(image.to_bytes(), mtime=0))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
