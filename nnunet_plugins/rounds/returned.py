"""Reads and checks one mask that came back from a reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.cases.mask_alignment import on_grid
from dataset_conversion.errors import DatasetError, some
from dataset_conversion.io.atomic_files import digest
from dataset_conversion.io.label_maps import by_name, read_mask
from dataset_conversion.io.volumes import Header, header_of, read_header, read_image
from nnunet_plugins.errors import UserError, without_options
from nnunet_plugins.evaluation.cases import LabelMap, geometry_of
from nnunet_plugins.evaluation.reference_identity import identify
from nnunet_plugins.export.segments import check_declared
from nnunet_plugins.rounds.folder import ENDING, Rounds
from nnunet_plugins.rounds.proposals import array_of, read_proposals

#: Dice of the foreground to the proposal of another case from which on it is taken for that case's mask.
MIXED_UP = 0.9


@dataclass(frozen=True)
class Mask:
    """A returned mask.

    Attributes:
        case: its name.
        image: on the grid of the case's image.
        stored: size and affine of the returned file.
        sha256: of the returned file.
        notes: on how it was placed on that grid.
    """

    case: str
    image: sitk.Image
    stored: Header
    sha256: str
    notes: tuple[str, ...]

    @property
    def voxels(self) -> NDArray[Any]:
        """(z, y, x)."""
        return sitk.GetArrayViewFromImage(self.image)  # type: ignore[no-any-return]

    @property
    def voxels_sha256(self) -> str:
        """SHA-256 of the voxels: equal for masks that were saved twice."""
        return identify(LabelMap(Path(self.case), self.voxels, geometry_of(self.image))).voxels


def read_returned(rounds: Rounds, case: str, file: Path) -> Mask:
    """Read a mask, with its segments by name, and place it on the grid of its image.

    Raises:
        DatasetError: it cannot be read, has other labels than the dataset, or is on the grid of another image.
        UserError: it holds values that are not declared.
    """
    image, _ = read_image(rounds.image(case))
    try:
        found = by_name(read_mask(file, header_of(image)), rounds.named_labels, str(file))
        values = [value for value in found.values if value != rounds.labels.ignore]
        check_declared(values, rounds.labels, str(file))
        placed, note = on_grid(found.image, image, str(file))
    except DatasetError as error:
        raise DatasetError(without_options(error) + _of_other(rounds, case, file)) from error
    except UserError as error:
        text = str(error).partition("; pass the dataset.json")[0]
        raise UserError(f"{text}; correct the mask") from error
    return Mask(case, placed, header_of(found.image), digest(file), (note,) if note else ())


def doubt(mask: Mask, exported: Mapping[str, Any]) -> str:
    """What is odd about a mask and may still be right, which the user confirms; '' if nothing is.

    Args:
        mask: the mask.
        exported: what was exported for its case.
    """
    if mask.sha256 == exported["sha256"]:
        state = (
            "proposal as it was exported" if exported["shown"] else "empty mask that was exported"
        )
        return f"is the {state}, not saved by a reader"
    return "" if mask.voxels.any() else "is empty"


class Others:
    """The other cases, by whose grids and proposals a mask of another patient is recognised.

    Args:
        rounds: the rounds.
        number: of the round.
    """

    def __init__(self, rounds: Rounds, number: int) -> None:
        self.rounds, self.number = rounds, number
        self.proposals = read_proposals(rounds, number)

    @cached_property
    def grids(self) -> dict[str, Header]:
        """Case -> grid of its image."""
        return {case: read_header(self.rounds.image(case)) for case in self.rounds.settings.cases}

    def doubt(self, mask: Mask) -> str:
        """The other case that a mask fits better than its own; '' if there is none."""
        if mask.stored.size != self.grids[mask.case].size:
            same = [case for case, grid in self.grids.items() if _equal(grid, mask.stored)]
            if same:
                return f"has the grid of {some(same)}, which is a part of that of its own case"
        if mask.case not in self.proposals:
            return ""
        drawn = mask.voxels > 0
        count = int(np.count_nonzero(drawn))
        own = self._dice(mask.case, drawn, count)
        for case in self.proposals if own < MIXED_UP else ():
            if case == mask.case or self.grids[case].size != self.grids[mask.case].size:
                continue
            # Dice is at most this; reading voxels takes longer.
            total = count + self.proposals[case].foreground
            if 2 * min(count, self.proposals[case].foreground) < MIXED_UP * total:
                continue
            dice = self._dice(case, drawn, count)
            if dice >= MIXED_UP:
                return f"fits the proposal of {case} (Dice {dice:.2f}), not its own ({own:.2f})"
        return ""

    def _dice(self, case: str, drawn: NDArray[np.bool_], count: int) -> float:
        """Dice of all foreground."""
        proposal = array_of(self.rounds.proposals(self.number) / f"{case}{ENDING}") > 0
        total = count + int(np.count_nonzero(proposal))
        return 2 * int(np.count_nonzero(proposal & drawn)) / total if total else 0.0


def _of_other(rounds: Rounds, case: str, file: Path) -> str:
    """A hint at the cases on whose grid a refused mask is; '' for none."""
    try:
        stored = read_header(file)
    except DatasetError:
        return ""
    grids = {one: read_header(rounds.image(one)) for one in rounds.settings.cases if one != case}
    same = [one for one, grid in grids.items() if _equal(grid, stored)]
    return f"; it has the grid of {some(same)}" if same else ""


def _equal(first: Header, second: Header) -> bool:
    return first.size == second.size and np.allclose(first.matrix, second.matrix, rtol=0, atol=1e-3)
