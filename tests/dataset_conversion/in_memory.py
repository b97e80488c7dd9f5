"""Datasets in memory for the tests of the writer: no source folders, no DICOM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import SimpleITK as sitk

from dataset_conversion.cases.case import Case, Sample
from dataset_conversion.labels import Labels
from dataset_conversion.raw_format.raw_dataset import RawDataset
from tests.dataset_conversion.making import ct, image, labels

NAMES = Labels({"sacrum": 1, "left ilium": 2})
FOLDER = "Dataset007_Try"


def case(name: str, seed: int = 0, *, mask: bool = True, group: str | None = None,
         images: tuple[sitk.Image, ...] | None = None, array: np.ndarray | None = None,
         load: Callable[[], Sample] | None = None, subset: str = "") -> Case:  # fmt: skip
    """A case of a random image and, with `mask`, an array of labels."""

    def sample() -> Sample:
        drawn = image(labels() if array is None else array) if mask else None
        return Sample(images or (image(ct(seed)),), drawn)

    sources = {"image": f"digest{seed}", **({"mask": "m"} if mask else {})}
    return Case(name, group or name, f"/src/{name}", sources, mask, 1008, load or sample, subset)


def dataset(*cases: Case, **how: Any) -> RawDataset:
    """The dataset of cases; without any, of two with a mask and one without."""
    cases = cases or (case("a", 1), case("b", 2), case("t", 3, mask=False))
    return RawDataset(**{"id": 7, "name": "Try", "channel_names": ("CT",), "labels": NAMES,
                         "cases": cases, **how})  # fmt: skip
