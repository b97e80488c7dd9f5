"""Label maps on disk: reading them, and checking that two are comparable."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from dataset_conversion.errors import DatasetError, some
from dataset_conversion.io.orientation import oriented_to
from dataset_conversion.io.volumes import stored_values
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.natural_images import NATURAL, is_natural, labels_of, read_natural

VOLUMES = (".nii.gz", ".nii", ".nrrd", ".mha", ".gipl")
ENDINGS = (*VOLUMES, *NATURAL)
Geometry = dict[str, tuple[float, ...]]
#: Units of distances.
MM, PIXELS = "mm", "pixels"
NAMED = 10  # names that a message lists before it counts the rest


@dataclass(frozen=True)
class LabelMap:
    """An image of labels with its position in space.

    Attributes:
        path: its file.
        voxels: (z, y, x) or (y, x), integers from 0.
        geometry: ITK's size, spacing (mm), origin (mm) and direction, in x, y, z order.
        unit: of distances: mm, or pixels if the file has no voxel size.
    """

    path: Path
    voxels: NDArray[Any]
    geometry: Geometry
    unit: str = MM

    @property
    def spacing(self) -> tuple[float, ...]:
        """Voxel size in mm, in the order of the array's axes."""
        return self.geometry["spacing"][::-1]

    @property
    def orientation(self) -> str:
        """ITK's code of the directions of x, y and z; '' for an image of 2 axes and a natural image."""
        if len(self.geometry["size"]) != 3 or is_natural(self.path):
            return ""
        code: str = SimpleITK.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(
            self.geometry["direction"]
        )
        return code

    @property
    def image(self) -> SimpleITK.Image:
        """The same voxels and geometry as an ITK image."""
        image = SimpleITK.GetImageFromArray(self.voxels)
        image.SetSpacing(self.geometry["spacing"])
        image.SetOrigin(self.geometry["origin"])
        image.SetDirection(self.geometry["direction"])
        return image


def read(path: Path) -> LabelMap:
    """Read a label map.

    Raises:
        UserError: the file cannot be read, is not a single-channel image of 2 or 3 axes, or holds values other
            than integers from 0.
    """
    if is_natural(path):
        return _checked(_read_natural(path))
    try:
        values = stored_values(path)
        reader = SimpleITK.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        image = reader.Execute() if values is None else None
    except DatasetError as error:
        raise UserError(str(error)) from error
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise UserError(
            f"{path}: cannot be read ({reason}); is it a complete image file? copy or predict it again"
        ) from error
    if reader.GetNumberOfComponents() != 1 or reader.GetDimension() not in (2, 3):
        raise UserError(
            f"{path}: {reader.GetDimension()} axes with {reader.GetNumberOfComponents()} "
            "values per voxel; a label map has 2 or 3 axes and one value per voxel"
        )
    # Transposed, values with x fastest are in ITK's order without a copy.
    size = reader.GetSize()[::-1]
    voxels = SimpleITK.GetArrayFromImage(image) if values is None else values.T.reshape(size)
    return _checked(LabelMap(path, voxels, geometry_of(reader)))


def geometry_of(image: Any) -> Geometry:
    """Size, spacing, origin and direction of an ITK image, or of a reader that has read a header."""
    names = ("Size", "Spacing", "Origin", "Direction")
    return {name.lower(): getattr(image, f"Get{name}")() for name in names}


def _read_natural(path: Path) -> LabelMap:
    image = read_natural(path)
    voxels = labels_of(image)
    axes = voxels.ndim
    geometry = {
        "size": voxels.shape[::-1],
        "spacing": image.steps[::-1],
        "origin": (0.0,) * axes,
        "direction": tuple(np.eye(axes).ravel()),
    }
    return LabelMap(path, voxels, geometry, PIXELS if image.spacing is None else MM)


def _checked(found: LabelMap) -> LabelMap:
    """The label map, with integers from 0."""
    path, voxels = found.path, found.voxels
    if not np.issubdtype(voxels.dtype, np.integer):
        if not (np.isfinite(voxels).all() and np.array_equal(np.rint(voxels), voxels)):
            raise UserError(
                f"{path}: holds values that are not integers; is this a probability map or "
                "an image? pass the label map"
            )
        voxels = voxels.astype(np.int64)
    if voxels.dtype.kind == "i" and voxels.size and voxels.min() < 0:
        raise UserError(f"{path}: holds the value {voxels.min()}; labels are integers from 0")
    return replace(found, voxels=voxels)


def with_axes_of(prediction: LabelMap, reference: LabelMap) -> tuple[LabelMap, str]:
    """Return a prediction with the axes of its reference, and a text if their orientations differ.

    Voxels are copied, not resampled. A prediction on another grid is returned as it is.
    """
    theirs, ours = prediction.orientation, reference.orientation
    if not theirs or not ours or theirs == ours:
        return prediction, ""
    turned = oriented_to(prediction.image, ours)
    geometry = geometry_of(turned)
    if difference(geometry, reference.geometry):
        return prediction, ""
    voxels = SimpleITK.GetArrayFromImage(turned)
    return LabelMap(prediction.path, voxels, geometry), f"{theirs} instead of {ours}"


def check_geometry(prediction: LabelMap, reference: LabelMap) -> None:
    """Check that both label maps are on the same grid.

    Headers round differently: allowed are differences of 0.1 % of the spacing, 1 % of a voxel in the origin and 0.001
    in the direction cosines.

    Raises:
        UserError: the grids differ; the message has both values.
    """
    found = difference(prediction.geometry, reference.geometry)
    if found:
        what, a, b = found
        unit = " mm" if what in ("spacing", "origin") else ""
        raise UserError(
            f"{prediction.path}: {what} {_numbers(a)}{unit} differs from the reference's "
            f"{_numbers(b)}{unit} ({reference.path}); both must have the same grid: predict from "
            "the image that the reference was drawn on, or resample the prediction onto the "
            "reference (nearest neighbour)"
        )


def difference(
    theirs: Geometry, ours: Geometry
) -> tuple[str, tuple[float, ...], tuple[float, ...]] | None:
    """The first part of two geometries that differs, with both values."""
    smallest = min(ours["spacing"])
    allowed = {
        "size": 0.0,
        "spacing": 1e-3 * smallest,
        "origin": 1e-2 * smallest,
        "direction": 1e-3,
    }
    for what, tolerance in allowed.items():
        a, b = theirs[what], ours[what]
        if len(a) != len(b) or not np.allclose(a, b, rtol=0, atol=tolerance):
            return what, a, b
    return None


def check_known(
    image: LabelMap, labels: Labels, seen: Collection[int | None], *, may_ignore: bool
) -> None:
    """Check that a label map holds declared values only.

    Args:
        image: a prediction or a reference.
        labels: the declared labels.
        seen: the values that it holds; None represents all values that are not declared.
        may_ignore: whether the ignore label is allowed (in references).

    Raises:
        UserError: it holds other values; the message lists them.
    """
    ignored = set() if labels.ignore is None else {labels.ignore}
    allowed = labels.known | (ignored if may_ignore else set())
    if allowed.issuperset(seen):
        return
    unknown = sorted(values_in(image.voxels) - allowed)
    hint = " (the ignore label is allowed in references only)" if labels.ignore in unknown else ""
    raise UserError(
        f"{image.path}: holds values {listed(unknown)} that are not declared{hint}; "
        f"known are {listed(sorted(allowed))} ({labels.source}); correct the file, or pass the "
        "dataset.json that declares them with -djfile FILE"
        + (
            ""
            if may_ignore
            else "; values of another tool are mapped with --map, e.g. --map 25=sacrum"
        )
    )


def values_in(voxels: NDArray[Any]) -> set[int]:
    """Return the distinct values of a label map."""
    # Only values that differ from their predecessor: sorting all voxels of a CT takes ten times as long.
    flat = voxels.ravel()
    changes = flat[1:][flat[1:] != flat[:-1]]
    return {int(value) for value in np.unique(np.concatenate([flat[:1], changes]))}


def without_ending(name: str) -> str:
    """The name of a label map without its ending; other names are returned as they are."""
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)]


def listed(items: Sequence[Any]) -> str:
    """The first items, and the number of the others."""
    return some(items, NAMED)


def _numbers(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"
