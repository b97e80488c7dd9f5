"""Reads and checks one mask that came back from a reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.cases.mask_alignment import on_grid
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.atomic_files import digest
from dataset_conversion.io.label_maps import by_name, read_mask
from dataset_conversion.io.volumes import header_of, read_image
from nnunet_plugins.export.segments import check_declared
from nnunet_plugins.rounds.agreement import agreement
from nnunet_plugins.rounds.folder import ENDING, Rounds
from nnunet_plugins.rounds.proposals import array_of

#: Dice to the proposal of another case that is taken for a mix-up.
MIXED_UP = 0.9


@dataclass(frozen=True)
class Mask:
    """A returned mask.

    Attributes:
        case: its name.
        image: on the grid of the case's image.
        sha256: of the returned file.
        notes: on how it was placed on that grid.
    """

    case: str
    image: sitk.Image
    sha256: str
    notes: tuple[str, ...]

    @property
    def voxels(self) -> NDArray[Any]:
        """(z, y, x)."""
        return sitk.GetArrayViewFromImage(self.image)  # type: ignore[no-any-return]


def read_returned(rounds: Rounds, case: str, file: Path) -> Mask:
    """Read a mask, with its segments by name, and place it on the grid of its image.

    Raises:
        DatasetError: it cannot be read, has other labels than the dataset, or is on the grid of another image.
        UserError: it holds values that are not declared.
    """
    image, _ = read_image(rounds.image(case))
    found = read_mask(file, header_of(image))
    found = by_name(found, rounds.named_labels, str(file))
    values = [value for value in found.values if value != rounds.labels.ignore]
    check_declared(values, rounds.labels, str(file))
    try:
        placed, note = on_grid(found.image, image, str(file))
    except DatasetError as error:
        raise DatasetError(
            f"{error}. If the file is of another case, give it that name; then return it again"
        ) from error
    return Mask(case, placed, digest(file), (note,) if note else ())


def doubts(rounds: Rounds, number: int, mask: Mask, others: Callable[[], list[str]]) -> list[str]:
    """What is odd about a mask and may still be right; the user confirms it.

    Args:
        rounds: the rounds.
        number: of the round.
        mask: the mask.
        others: cases with a proposal on a grid of the same size.
    """
    exported = rounds.export(number)["cases"][mask.case]
    if mask.sha256 == exported["sha256"]:
        state = (
            "the proposal as it was exported"
            if exported["shown"]
            else "the empty mask that was exported"
        )
        return [f"is {state}, not saved by a reader"]
    if not mask.voxels.any():
        return ["is empty"]
    proposal = rounds.proposals(number) / f"{mask.case}{ENDING}"
    if not proposal.is_file():
        return []
    own = agreement(array_of(proposal), mask.voxels, rounds.labels).mean or 0.0
    if own >= MIXED_UP:
        return []
    for other in others():
        theirs = array_of(rounds.proposals(number) / f"{other}{ENDING}")
        if theirs.shape == mask.voxels.shape and np.any(theirs):
            dice = agreement(theirs, mask.voxels, rounds.labels).mean or 0.0
            if dice >= MIXED_UP and dice > own:
                return [
                    f"has a Dice of {dice:.2f} to the proposal of {other}, and {own:.2f} to its own"
                ]
    return []
