"""Which fold to train first, by the folds that a dataset has or that nnU-Net makes."""

from __future__ import annotations

from pathlib import Path

from nnunet_plugins.evaluation.patients import numbered, recorded
from nnunet_plugins.plans_file import read_any, read_object

#: nnU-Net makes this number of folds at the first training if there is no splits_final.json.
MADE = 5


def training_cases(preprocessed: Path) -> int:
    """Number of training cases of fold 0, or of fold all where there are too few cases for folds."""
    splits = preprocessed / "splits_final.json"
    if splits.exists():
        return len(read_any(splits)[0]["train"])
    cases = int(read_object(preprocessed / "dataset.json").get("numTraining", 0))
    return cases if cases < MADE else cases - -(-cases // MADE)


def advised_fold(preprocessed: Path, raw: Path) -> tuple[str, str]:
    """The fold to train first, and a note; '' if there is nothing to note.

    Args:
        preprocessed: folder of the dataset in nnUNet_preprocessed.
        raw: its folder in nnUNet_raw.
    """
    if (preprocessed / "splits_final.json").exists():
        return "0", ""
    cases = read_object(preprocessed / "dataset.json").get("numTraining", 0)
    if cases < MADE:
        return "all", (
            f"nnU-Net makes {MADE} folds and there are fewer cases ({cases}): fold all trains on every case, and its "
            "validation is on the same cases. Keep other cases for a test."
        )
    note = f"there is no splits_final.json: nnU-Net makes {MADE} folds of the cases at random when it trains"
    patients = numbered(recorded(raw)) if raw.is_dir() else {}
    if len(set(patients.values())) < len(patients):
        note += (
            "; some patients have several cases, which can then be in training and validation: convert with --split "
            f"{MADE}-fold to keep them together"
        )
    return "0", f"{note}."
