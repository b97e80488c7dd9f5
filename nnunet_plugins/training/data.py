"""Checks of preprocessed cases before a training starts."""

from __future__ import annotations

import os
from pathlib import Path

from dataset_conversion.raw_format.preprocessed import outdated
from nnunet_plugins.errors import UserError
from nnunet_plugins.plans_file import unfinished_mark


def check_complete(preprocessed: Path, plans_name: str) -> None:
    """Raise UserError if plans are unfinished.

    Args:
        preprocessed: the dataset's folder in nnUNet_preprocessed.
        plans_name: name of the plans.
    """
    if unfinished_mark(preprocessed / f"{plans_name}.json").exists():
        raise UserError(
            f"{preprocessed.name}: {plans_name} are not finished: `nnunet-plugins plan` was interrupted, or is still "
            "running; wait until it has finished, or run it again with the same options"
        )


def check_current(data: Path) -> None:
    """Raise UserError if preprocessed cases come from an earlier version of the raw dataset.

    Nothing is compared where nnUNet_raw is not set or has no such dataset.

    Args:
        data: the configuration's folder of cases.

    Raises:
        UserError: the raw dataset has changed since.
        DatasetError: a file of the raw dataset cannot be read.
    """
    raw = Path(os.environ.get("nnUNet_raw") or "") / data.parent.name
    if not os.environ.get("nnUNet_raw") or not raw.is_dir():
        return
    why = outdated(raw, data.parent).get(data.name)
    if why:
        raise UserError(
            f"{data}: made from an earlier version of {raw} ({why}); plan again with the same options and --force: "
            f"nnunet-plugins plan {raw.name} --network NAME --force (nnU-Net's own plans: "
            "nnUNetv2_plan_and_preprocess)"
        )
