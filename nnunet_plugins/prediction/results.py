"""What was found in a case, and its files on the grid where they belong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from nnunet_plugins.prediction.probabilities import Stored, write_npz

#: Puts a result on another grid; the flag says whether its values may be interpolated.
Back = Callable[[sitk.Image, bool], sitk.Image]


@dataclass(frozen=True)
class Results:
    """Of one case, with the order of axes of the network.

    Attributes:
        labels: label map of the whole image.
        box: the part of it that nnU-Net predicts.
        maps: name -> values of each voxel.
        probabilities: of the box; None if they are not written.
    """

    labels: NDArray[Any]
    box: tuple[slice, ...]
    maps: dict[str, NDArray[np.float32]]
    probabilities: Stored | None = None

    def write(
        self, predictor: Any, target: Path, properties: dict[str, Any], back: Back | None
    ) -> None:
        """Write the label map, the maps, and nnU-Net's `.npz` and `.pkl`.

        Args:
            predictor: nnU-Net's predictor with a model loaded.
            target: path without its ending.
            properties: of the case, from nnU-Net's preprocessor.
            back: see `Job.back`; None keeps the grid of the images.
        """
        plans, ending = predictor.plans_manager, predictor.dataset_json["file_ending"]
        reader, axes = plans.image_reader_writer_class(), plans.transpose_backward
        file = target.with_name(f"{target.name}{ending}")
        found = self.labels.transpose(axes)
        reader.write_seg(found, str(file), properties)
        shape = found.shape
        if self.maps or back:
            grid = sitk.ReadImage(str(file))

        def placed(values: NDArray[np.float32]) -> sitk.Image:
            there = values.transpose(axes)
            one = sitk.GetImageFromArray(there if grid.GetDimension() == 3 else there[0])
            one.CopyInformation(grid)
            return back(one, True) if back else one

        for name, values in self.maps.items():
            sitk.WriteImage(placed(values), str(target.with_name(f"{target.name}_{name}{ending}")))
        if back:
            own = back(grid, False)
            sitk.WriteImage(own, str(file))
            shape = own.GetSize()[::-1]
        if self.probabilities is not None:
            from batchgenerators.utilities.file_and_folder_operations import save_pickle

            regions = predictor.label_manager.has_regions
            classes = (
                sitk.GetArrayFromImage(placed(one)) if back else one.transpose(axes)
                for one in self._whole(self.probabilities, regions)
            )  # fmt: skip
            npz = target.with_name(f"{target.name}.npz")
            write_npz(classes, npz, (self.probabilities.shape[0], *shape))
            if back:
                properties = reader.read_images([str(file)])[1]
            save_pickle(properties, str(npz.with_suffix(".pkl")))

    def _whole(self, stored: Stored, regions: bool) -> Iterator[NDArray[np.float32]]:
        """The probabilities of each class; outside of the box, nnU-Net has 1 for the background."""
        for number, one in enumerate(stored.classes()):
            whole = np.full(self.labels.shape, number == 0 and not regions, np.float32)
            whole[self.box] = one
            yield whole
