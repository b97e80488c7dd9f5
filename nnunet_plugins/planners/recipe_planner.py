"""nnU-Net's experiment planner with voxel size, axes and normalisation of a paper's recipe."""

from __future__ import annotations

from typing import Any

import numpy as np
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (
    ExperimentPlanner,
)

from nnunet_plugins.papers.recipe import Recipe
from nnunet_plugins.planners.paper_images import (
    paper_schemes,
    slice_axis,
    target_spacing,
    windowed,
)

_INTENSITIES = "foreground_intensity_properties_per_channel"


class RecipePlanner(ExperimentPlanner):
    """Without a recipe, nnU-Net's planner.

    Args:
        dataset_name_or_id: as in nnU-Net.
        recipe: of a paper, or None.
        sized: plan the paper's voxel size too. Otherwise nnU-Net's, with the paper's normalisation.
        **kwargs: as for ExperimentPlanner.
    """

    def __init__(
        self, dataset_name_or_id: str | int, *, recipe: Recipe | None, sized: bool, **kwargs: Any
    ) -> None:
        super().__init__(dataset_name_or_id, **kwargs)
        self.recipe, self.sized = recipe, recipe if sized else None
        if self.sized is not None and self.sized.rank == 3:
            self.lowres_creation_threshold = 0  # a paper has no cascade

    def determine_fullres_target_spacing(self) -> np.ndarray:
        """The voxel size of all configurations in mm, in the order of the array."""
        native: np.ndarray = super().determine_fullres_target_spacing()
        if self.sized is None:
            return native
        return target_spacing(self.sized, self.dataset_fingerprint, native.tolist())

    def determine_transpose(self) -> tuple[list[int], list[int]]:
        """The order of axes, slices first: nnU-Net's, or that of the data before a recipe scales the slices."""
        if self.sized is None:
            forward, backward = super().determine_transpose()
            return forward, backward
        first = slice_axis(self.dataset_fingerprint)
        forward = [first, *(axis for axis in range(3) if axis != first)]
        return forward, [forward.index(axis) for axis in range(3)]

    def determine_normalization_scheme_and_whether_mask_is_used_for_norm(
        self,
    ) -> tuple[list[str], list[bool]]:
        """Normalisation of each channel, and whether it leaves out zeros; that of a recipe does not."""
        schemes, masked = super().determine_normalization_scheme_and_whether_mask_is_used_for_norm()
        if self.recipe is None or not self.recipe.scheme:
            return schemes, masked
        return paper_schemes(self.recipe, schemes), [False] * len(masked)

    def add_recipe(self, plans: dict[str, Any]) -> None:
        """Set what nnU-Net writes after a configuration is planned, and record the recipe."""
        if self.recipe is None:
            return
        schemes, _ = self.determine_normalization_scheme_and_whether_mask_is_used_for_norm()
        plans[_INTENSITIES] = windowed(self.recipe, schemes, plans[_INTENSITIES])
        for name, plan in plans["configurations"].items():
            if name.startswith(f"{self.recipe.rank}d") and "inherits_from" not in plan:
                plan.update(self.recipe.plan)
        plans["recipe"] = self.recipe.key
