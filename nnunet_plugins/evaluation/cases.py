"""Label maps on disk: reading them, pairing them, and checking that two are comparable."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.file_names import check_name
from dataset_conversion.io.orientation import oriented_to
from dataset_conversion.io.volumes import stored_values
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.evaluation.naming import fix_of
from nnunet_plugins.natural_images import NATURAL, is_natural, labels_of, read_natural

VOLUMES = (".nii.gz", ".nii", ".nrrd", ".mha", ".gipl")
ENDINGS = (*VOLUMES, *NATURAL)
Geometry = dict[str, tuple[float, ...]]
#: Units of distances.
MM, PIXELS = "mm", "pixels"
NAMED = 10  # names that a message lists before it counts the rest


@dataclass(frozen=True)
class Pair:
    """A case: the files of a prediction and of its reference."""

    name: str
    prediction: Path
    reference: Path


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


def find_pairs(
    prediction: Path, reference: Path, *, chill: bool = False
) -> tuple[list[Pair], list[str]]:
    """Pair predictions with references by file name without the ending; two files form one pair.

    Args:
        prediction: a file or a folder.
        reference: a file or a folder.
        chill: leave out references without a prediction and report them in the notes.

    Returns:
        Pairs, sorted by name, and notes on files that were left out.

    Raises:
        UserError: no label maps, two files with the same name, or a reference without prediction.
    """
    predictions, references = label_maps(prediction), label_maps(reference)
    if prediction.is_file() and reference.is_file():
        (name,) = references
        return [Pair(name, prediction, reference)], []
    missing = sorted(references.keys() - predictions.keys())
    common = sorted(references.keys() & predictions.keys())
    if missing and not (chill and common):
        raise UserError(
            f"evaluate: {len(missing)} of {len(references)} references in {reference} have no "
            f"prediction in {prediction}: {listed(missing)}; {fix_of(missing, predictions, references)}"
            + (", or pass --chill to score only what was predicted" if common else "")
        )
    notes = []
    if missing:
        notes.append(
            f"left out: {_count(missing, 'reference')} without prediction: {listed(missing)}"
        )
    extra = sorted(predictions.keys() - references.keys())
    if extra:
        notes.append(f"left out: {_count(extra, 'prediction')} without reference: {listed(extra)}")
    return [Pair(name, predictions[name], references[name]) for name in common], notes


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
    geometry = {
        "size": reader.GetSize(),
        "spacing": reader.GetSpacing(),
        "origin": reader.GetOrigin(),
        "direction": reader.GetDirection(),
    }
    return _checked(LabelMap(path, voxels, geometry))


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
    geometry = {
        "size": turned.GetSize(),
        "spacing": turned.GetSpacing(),
        "origin": turned.GetOrigin(),
        "direction": turned.GetDirection(),
    }
    if _difference(geometry, reference.geometry):
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
    found = _difference(prediction.geometry, reference.geometry)
    if found:
        what, a, b = found
        unit = " mm" if what in ("spacing", "origin") else ""
        raise UserError(
            f"{prediction.path}: {what} {_numbers(a)}{unit} differs from the reference's "
            f"{_numbers(b)}{unit} ({reference.path}); both must have the same grid: predict from "
            "the image that the reference was drawn on, or resample the prediction onto the "
            "reference (nearest neighbour)"
        )


def _difference(
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


def label_maps(path: Path) -> dict[str, Path]:
    """Name -> file, for a file or for all label maps directly in a folder.

    In a folder of volumes, natural images are not label maps: nnU-Net and others write pictures there.

    Raises:
        UserError: the path does not exist, or no file or two files of one name are found.
    """
    if not path.exists():
        raise UserError(f"evaluate: {path} does not exist; pass a label map or a folder of them")
    found: dict[str, Path] = {}
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    if any(one.name.lower().endswith(VOLUMES) for one in files):
        files = [one for one in files if not is_natural(one)]
    for file in files:
        try:
            check_name(file)
        except DatasetError as error:
            raise UserError(f"evaluate: {error}") from error
        name = without_ending(file.name)
        if name == file.name or file.name.startswith(".") or not file.is_file():
            continue
        if name in found:
            raise UserError(
                f"evaluate: {found[name]} and {file.name} have the same case name; keep one of them"
            )
        found[name] = file
    if not found:
        raise UserError(f"evaluate: no label map in {path}; allowed endings: {', '.join(ENDINGS)}")
    return found


def without_ending(name: str) -> str:
    """The name of a label map without its ending; other names are returned as they are."""
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)]


def listed(items: Sequence[Any]) -> str:
    """The first items, and the number of the others."""
    rest = f" and {len(items) - NAMED} more" if len(items) > NAMED else ""
    return ", ".join(map(str, items[:NAMED])) + rest


def _count(items: list[str], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"


def _numbers(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"
