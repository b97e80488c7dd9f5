"""Weight maps of a dataset, ``weightsTr/CASE.nii.gz`` next to ``labelsTr``, preprocessed like images.

A map is data of the training alone, not an image channel, so neither plans nor prediction know of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import blosc2
import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import (
    comp_blosc2_params,
    infer_dataset_class,
    nnUNetDatasetBlosc2,
)

from dataset_conversion.errors import some
from dataset_conversion.io.atomic_files import digest, digest_json, to_json
from dataset_conversion.io.volumes import stored_values
from nnunet_plugins.atomic_files import placed_in
from nnunet_plugins.errors import UserError

if TYPE_CHECKING:
    from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

FOLDER = "weightsTr"
_MOST = 1e6  # as for other weights of the loss
#: In the folder of a configuration's cases, which nnU-Net removes when it preprocesses again.
PREPROCESSED = Path("nnunet_plugins", "weights")


def check_present(raw: Path, cases: Iterable[str], ending: str) -> None:
    """Raise UserError if the raw dataset ``raw`` lacks the map of a case; ``ending`` is that of its files."""
    missing = [case for case in cases if not (raw / FOLDER / f"{case}{ending}").is_file()]
    if missing:
        raise UserError(
            f"{raw / FOLDER}: no weight map for {some(missing)}; training.voxel_weights with map requires one of the "
            f"label map's grid for each training case, called CASE{ending}: add them, or omit map"
        )


def prepare_maps(
    cases: Iterable[str],
    *,
    raw: Path | None,
    data: Path,
    plans: PlansManager,
    configuration: ConfigurationManager,
    ending: str,
) -> str:
    """Preprocess the maps that are new or have changed: transposed, cropped and resampled like their images.

    Args:
        cases: of the training.
        raw: the dataset in nnUNet_raw; None or a missing folder: what was prepared before is used.
        data: the configuration's folder of cases in nnUNet_preprocessed.
        plans: of the dataset.
        configuration: of the plans.
        ending: of the dataset's files.

    Returns:
        A digest of the maps.

    Raises:
        UserError: a map is missing, on another grid, or has values that are not weights.
    """
    cases, folder = sorted(cases), data / PREPROCESSED
    here = raw is not None and raw.is_dir()
    if raw is not None and here:
        check_present(raw, cases, ending)
    loader = infer_dataset_class(str(data))(str(data), list(cases))
    sources = {}
    for case in cases:
        known = _source_of(folder / f"{case}.json")
        source = digest(raw / FOLDER / f"{case}{ending}") if raw is not None and here else known
        if source is None:
            raise UserError(
                f"{folder}: the weight map of {case} is not prepared, and the dataset is not in nnUNet_raw; plan "
                "again with the same options and --force where it is, or copy it"
            )
        if raw is not None and source != known:
            image, _, _, properties = loader.load_case(case)
            found = _preprocessed(
                raw / FOLDER / f"{case}{ending}", image.shape, properties, plans, configuration
            )
            blocks, chunks = comp_blosc2_params(found.shape, tuple(configuration.patch_size), 4)
            with placed_in(folder) as made:
                nnUNetDatasetBlosc2.save_seg(found, str(made / case), chunks, blocks)
                (made / f"{case}.json").write_text(to_json({"source": source}), encoding="utf-8")
        sources[case] = source
    return digest_json(sources)


class MappedCases:
    """The cases of one of nnU-Net's datasets with their maps, minus 1, as a last image channel.

    Minus 1, so that the zeros with which nnU-Net pads images mean the weight 1.

    Args:
        dataset: nnU-Net's.
        folder: of the prepared maps.
    """

    def __init__(self, dataset: Any, folder: Path) -> None:
        self.dataset, self.folder, self.identifiers = dataset, folder, dataset.identifiers

    def load_case(self, identifier: str) -> tuple[Any, Any, Any, Any]:
        """Image with map, label map, that of the previous stage, and properties, as nnU-Net's loader expects them."""
        image, *rest = self.dataset.load_case(identifier)
        file = self.folder / f"{identifier}.b2nd"
        stored = blosc2.open(urlpath=str(file), mode="r", dparams={"nthreads": 1})
        return (_Stacked(image, stored), *rest)  # type: ignore[return-value]


class _Stacked:
    """Two arrays one after the other along the first axis, read from disk only where they are sliced."""

    def __init__(self, first: Any, second: Any) -> None:
        self.parts = first, second
        self.shape = (first.shape[0] + second.shape[0], *first.shape[1:])

    def __getitem__(self, index: tuple[slice, ...]) -> np.ndarray:
        return np.concatenate([part[index] for part in self.parts])


def _source_of(record: Path) -> str | None:
    """Digest of the file that a prepared map was made from; None without a record."""
    try:
        found = json.loads(record.read_text(encoding="utf-8"))["source"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _preprocessed(
    path: Path,
    image_shape: tuple[int, ...],
    properties: Mapping[str, Any],
    plans: PlansManager,
    configuration: ConfigurationManager,
) -> np.ndarray:
    try:
        stored_values(
            path
        )  # nnU-Net's reader turns NaN, and the missing end of a truncated file, into 0
        found, grid = plans.image_reader_writer_class().read_images([str(path)])
    except Exception as error:  # each reader has its own
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: the weight map cannot be read ({reason})") from error
    order = plans.transpose_forward
    found = np.asarray(found, np.float32).transpose([0, *(axis + 1 for axis in order)])
    size = tuple(properties["shape_before_cropping"])
    if found.shape != (1, *size):
        raise UserError(
            f"{path}: the weight map has the shape {found.shape} (channels, then axes as in the plans), its case "
            f"{(1, *size)}; save it on the grid of the label map"
        )
    other = [key for key, value in grid.items() if not _equal(value, properties.get(key))]
    if other:
        raise UserError(
            f"{path}: the weight map is not on the grid of its case: {', '.join(other)} differs ({grid[other[0]]}, "
            f"not {properties.get(other[0])}); save it on the grid of the label map"
        )
    wrong = (
        "NaN or infinite values"
        if not np.isfinite(found).all()
        else f"negative values, down to {found.min():g}"
        if found.min() < 0
        else f"values up to {found.max():g}"
        if found.max() > _MOST
        else "no value above 0"
        if found.max() == 0
        else ""
    )
    if wrong:
        raise UserError(
            f"{path}: the weight map has {wrong}; weights are finite numbers from 0 to {_MOST:g}, some above 0"
        )
    box = (slice(None), *(slice(*ends) for ends in properties["bbox_used_for_cropping"]))
    cropped = found[box]
    now = [properties["spacing"][axis] for axis in order]
    target = [*now[: len(now) - len(configuration.spacing)], *configuration.spacing]
    # As probabilities: linear, so that no weight becomes negative.
    resampled = configuration.resampling_fn_probabilities(cropped, image_shape[1:], now, target)
    return np.asarray(resampled, np.float32).clip(min=0) - 1


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping):
        return isinstance(other, Mapping) and all(_equal(one[k], other.get(k)) for k in one)
    try:
        first, second = np.asarray(one, float), np.asarray(other, float)
    except (TypeError, ValueError):
        return bool(one == other)
    return first.shape == second.shape and np.allclose(first, second, rtol=0, atol=1e-3)
