"""The model's proposal for every case, by a model that was not trained on it, with its uncertainty."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.io.atomic_files import digest
from nnunet_plugins.atomic_files import write_json
from nnunet_plugins.errors import UserError
from nnunet_plugins.plans_file import read_object
from nnunet_plugins.rounds.agreement import agreement
from nnunet_plugins.rounds.folder import ENDING, Rounds
from nnunet_plugins.rounds.folds import held_out_in
from nnunet_plugins.rounds.training import Training
from nnunet_plugins.scratch import scratch_in

FILE = "proposals.json"


@dataclass(frozen=True)
class Proposal:
    """A mask that the model proposes.

    Attributes:
        model: the fold that was not trained on the patient, or all folds for a patient without a reference.
        foreground: number of voxels.
        uncertainty: see `uncertainty`; None if it was not measured, or there is no foreground.
        dice: mean Dice to the reference at the start of the round; None without one, or if both are empty.
        sha256: of its file; '' in rounds of earlier versions.
    """

    model: str
    foreground: int
    uncertainty: float | None
    dice: float | None
    sha256: str = ""

    def has_changed(self, file: Path) -> bool:
        """Whether the file of the mask is not the one that was written."""
        return self.sha256 not in ("", digest(file))


def read_proposals(rounds: Rounds, number: int) -> dict[str, Proposal]:
    """Case -> its proposal in a round; {} in a round without a model.

    Raises:
        UserError: the file is damaged.
    """
    file = rounds.proposals(number) / FILE
    try:
        content = read_object(file) if file.is_file() else {}
        return {case: Proposal(**one) for case, one in content.items()}
    except TypeError as error:
        raise UserError(f"{file}: is damaged ({error}); restore it from a copy") from error


def collect(training: Training) -> None:
    """Gather the proposals of a finished training into one folder, which appears complete."""
    rounds, number = training.rounds, training.number
    target = rounds.proposals(number)
    if target.is_dir():
        return
    references, held_out = rounds.references(number), held_out_in(rounds, number)
    found: dict[str, Any] = {}
    with scratch_in(rounds.round(number)) as scratch:
        made = scratch / "proposals"
        made.mkdir()
        for case in rounds.settings.cases:
            fold, place = held_out.get(case), training.predicted
            if case in references:
                place = training.fold(held_out[case]) / "validation"
            mask = place / f"{case}{ENDING}"
            voxels = array_of(mask)
            dice = None
            if case in references:
                dice = agreement(voxels, array_of(references[case].file), rounds.labels).mean
            npz = place / f"{case}.npz"
            unsure = uncertainty(npz, voxels > 0) if npz.is_file() else None
            model = "all folds" if fold is None else f"fold {fold}"
            found[case] = vars(
                Proposal(model, int(np.count_nonzero(voxels)), unsure, dice, digest(mask))
            )
            shutil.copyfile(mask, made / mask.name)
        write_json(made / FILE, found)
        os.rename(made, target)
    for npz in [*training.predicted.glob("*.npz"), *training.model.glob("fold_*/validation/*.npz")]:
        npz.unlink()  # large, and no longer needed


def array_of(mask: Path) -> NDArray[Any]:
    """The voxels (z, y, x) of a mask that this package or nnU-Net wrote."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(mask)))  # type: ignore[no-any-return]


def uncertainty(file: Path, foreground: NDArray[np.bool_]) -> float | None:
    """Mean entropy of the predicted classes over the predicted foreground, from 0 to 1; None without foreground.

    Args:
        file: nnU-Net's .npz with probabilities (classes, z, y, x), of a softmax, or of a sigmoid of each region.
        foreground: (z, y, x).
    """
    if not foreground.any():
        return None
    with np.load(file) as content:
        probabilities = content["probabilities"][:, foreground]
    return float(entropy(probabilities).mean())


def entropy(probabilities: NDArray[Any]) -> NDArray[np.float64]:
    """Entropy of each voxel as a share of the largest possible one.

    Classes whose sum is 1 are those of a softmax; else each is that of a sigmoid, and their entropies are averaged.

    Args:
        probabilities: (classes, voxels).

    >>> entropy(np.array([[0.5, 1.0], [0.5, 0.0]])).tolist()
    [1.0, 0.0]
    """
    p = np.clip(np.asarray(probabilities, np.float64), 0, 1)
    if len(p) > 1 and np.allclose(p.sum(axis=0), 1, atol=1e-2):
        return np.asarray(_plogp(p).sum(axis=0) / np.log(len(p)))
    return np.asarray((_plogp(p) + _plogp(1 - p)).mean(axis=0) / np.log(2))


def _plogp(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return -p * np.log(np.where(p > 0, p, 1))
