"""nnU-Net's experiment planner for one of our networks, with the training procedure in the plans."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from architectures.nnunet_networks import RESIDUAL_BLOCKS, RESIDUAL_DECODER
from nnunet_plugins.costs.budget import budget, calibrate, needed_gigabytes
from nnunet_plugins.costs.footprint import count
from nnunet_plugins.costs.training_step import Setup
from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import find, public_name, takes_input_size
from nnunet_plugins.planners.paper_images import paper_patch
from nnunet_plugins.planners.recipe_planner import RecipePlanner
from nnunet_plugins.training.augmentation import for_any_rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nnunet_plugins.papers.recipe import Recipe
    from nnunet_plugins.papers.topologies import Topology
    from nnunet_plugins.planners.inherited import Inherited

_HALF = 2  # bytes per element in fp16
_MOST = "_largest batch"  # key of a plan until it is saved
_SURE = 1.05  # estimates this far above the budget need no count


class NetworkPlanner(RecipePlanner):
    """Plans patch, batch and topology by the bytes of a training step of ``network`` itself.

    A step is counted without data at the precision of training (see ``costs``). The budget is the memory of
    nnU-Net's own U-Net at nnU-Net's reference: ``UNet_reference_val_*`` in bytes, for a batch of
    ``UNet_reference_val_corresp_bs_*``. Configurations of a rank that the network does not support are omitted.

    Args:
        dataset_name_or_id: as in nnU-Net; raw data and fingerprint must exist.
        network: name of one of our networks.
        training: the ``training`` entry of every configuration; {} writes none.
        base_features: channels of the first stage; None: 32, as in nnU-Net.
        batch_size: fixed batch size; None: chosen by nnU-Net.
        residual: plan nnU-Net's residual encoder instead of the plain one.
        topology: replaces nnU-Net's topology in the configurations of its rank.
        recipe: normalisation, interpolation and further entries of a paper; with a topology also its voxel size
            and, for the rank of the topology, its patch.
        limited: whether the paper's patch must fit the memory; if it does not, nnU-Net plans one that does.
        inherited: topology, patch and batch of a checkpoint; only configurations of its rank are planned.
        options: further arguments of the network in every configuration.
        **kwargs: as for ExperimentPlanner.
    """

    def __init__(
        self,
        dataset_name_or_id: str | int,
        *,
        network: str,
        training: dict[str, Any],
        base_features: int | None = None,
        batch_size: int | None = None,
        residual: bool = False,
        topology: Topology | None = None,
        recipe: Recipe | None = None,
        limited: bool = False,
        inherited: Inherited | None = None,
        options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dataset_name_or_id, recipe=recipe, sized=topology is not None, **kwargs)
        self.network_name = network
        self.UNet_class = find(network)
        self.ranks: tuple[int, ...] = getattr(self.UNet_class, "ranks", (2, 3))
        if inherited is not None:
            self.ranks = (inherited.rank,)
            self.lowres_creation_threshold = 0  # the weights are of one resolution
            batch_size = batch_size or inherited.batch
        self.inherited, self.options = inherited, options or {}
        self.training = training
        self.batch_size = batch_size
        self.topology = topology
        self.limited = limited
        # The paper's patch, while a configuration is planned with it.
        self._patch: list[int] | None = None
        self.residual = residual
        if residual:
            self.UNet_blocks_per_stage_encoder = RESIDUAL_BLOCKS
            self.UNet_blocks_per_stage_decoder = RESIDUAL_DECODER
        if base_features is not None:
            self.UNet_base_num_features = base_features
        self.UNet_reference_val_2d = budget(2, self.UNet_reference_val_corresp_GB)
        self.UNet_reference_val_3d = budget(3, self.UNet_reference_val_corresp_GB)
        # nnU-Net compares at a batch of 2; the estimate is for the smallest batch that may be planned.
        self.UNet_reference_val_corresp_bs_2d = self.UNet_reference_val_corresp_bs_3d = 2
        # Rank -> (bytes without feature maps, bytes per byte of feature maps).
        self._line: dict[int, tuple[float, float]] = {}

    def architecture(
        self, patch_size: Sequence[int], arch_kwargs: dict[str, Any], imported: Sequence[str]
    ) -> dict[str, Any]:
        """The ``architecture`` entry for a patch, given the ``arch_kwargs`` that nnU-Net plans."""
        arguments = dict(arch_kwargs)
        if self.residual and "n_conv_per_stage" in arguments:
            arguments["n_blocks_per_stage"] = arguments.pop("n_conv_per_stage")
        entry: dict[str, Any] = {"arch_kwargs": arguments, "_kw_requires_import": list(imported)}
        if self.topology is not None and self.topology.rank == len(patch_size):
            entry = self.topology.architecture()
        if self.inherited is not None and self.inherited.rank == len(patch_size):
            entry = self.inherited.architecture()
        entry["arch_kwargs"] |= self.options
        entry["network_class_name"] = public_name(self.network_name)
        if takes_input_size(self.network_name):
            entry["arch_kwargs"]["input_size"] = [int(n) for n in patch_size]
        return entry

    def static_estimate_VRAM_usage(  # noqa: N802 - nnU-Net's name; its static method is called through self
        self,
        patch_size: Sequence[int],
        input_channels: int,
        output_channels: int,
        arch_class_name: str,
        arch_kwargs: dict[str, Any],
        arch_kwargs_req_import: Sequence[str],
    ) -> Any:
        """Peak bytes of a training step on a patch with the smallest batch that may be planned.

        Raises:
            OverflowError: nnU-Net has reached patches that cannot be halved.
            UserError: the network cannot take the plan.
        """
        if self._patch is not None:
            return 1.0  # whatever patch nnU-Net takes, it is replaced
        if arch_kwargs["n_stages"] < 2:
            raise OverflowError("no patch of two stages or more fits the memory")
        setup = self._setup(patch_size, arch_kwargs, arch_kwargs_req_import)
        try:
            return self._estimate(setup)
        except (UserError, ValueError) as error:  # the network cannot take the plan
            if self.topology is None or self.topology.rank != len(patch_size):
                raise UserError(str(error)) from error
            # Reported later, and only if this configuration is requested.
            host = _as_host({**setup.architecture, "arch_kwargs": dict(arch_kwargs)})
            return self._estimate(replace(setup, network="ModularUNet", architecture=host))

    def _estimate(self, setup: Setup) -> float:
        """Bytes of a step: counted near the budget, otherwise estimated from the feature maps, ten times faster."""
        rank = len(setup.patch)
        allowed = budget(rank, self.UNet_vram_target_GB)
        maps = self._feature_map_bytes(setup)
        # The maps alone, in fp16, are a lower bound. After one count the total is nearly linear in them.
        fixed, slope = self._line.get(rank, (0.0, 1.0))
        guess = fixed + slope * maps
        if guess > allowed * (_SURE if fixed else 1.0):
            return guess
        cost = count(setup)
        fixed = cost.weight_bytes + cost.state_bytes
        self._line[rank] = fixed, (cost.peak_bytes - fixed) / maps
        return cost.peak_bytes

    def _setup(
        self, patch_size: Sequence[int], arch_kwargs: dict[str, Any], imported: Sequence[str]
    ) -> Setup:
        plan = {
            "architecture": self.architecture(patch_size, arch_kwargs, imported),
            "patch_size": patch_size,
            "batch_size": self.batch_size or self.UNet_min_batch_size * self._parts,
            "training": self._training(len(patch_size)),
        }
        setup = Setup.of(plan, self.dataset_json)
        if len(patch_size) in self.ranks:
            return setup
        # Planned because nnU-Net requires it; omitted when the plans are saved.
        return replace(setup, network="ModularUNet", architecture=_as_host(setup.architecture))

    @property
    def _parts(self) -> int:
        """Parts in which a batch is computed."""
        return int(self.training.get("accumulate", 1))

    @staticmethod
    def _feature_map_bytes(setup: Setup) -> int:
        with torch.device("meta"):
            network: Any = setup.build()
        return int(network.compute_conv_feature_map_size(setup.patch)) * setup.batch * _HALF

    def _batch_size(self, setup: Setup, most: int) -> int:
        """Number of samples that fit the budget, from nnU-Net's minimum to ``most``."""
        allowed = budget(len(setup.patch), self.UNet_vram_target_GB)

        def peak(batch: int) -> int:
            return count(replace(setup, batch=batch)).peak_bytes

        fits: int = self.UNet_min_batch_size
        too_many = max(most, fits)
        if fits == too_many or peak(too_many) <= allowed:
            return too_many
        # The peak is convex in the batch, so a linear interpolation between the two also fits.
        while too_many - fits > 1 and peak(fits) <= allowed:
            share = (allowed - peak(fits)) / (peak(too_many) - peak(fits))
            guess = fits + int(share * (too_many - fits))
            guess = min(max(guess, fits + 1), too_many - 1)
            if peak(guess) <= allowed:
                fits = guess
            else:
                too_many = guess
        return fits

    def get_plans_for_configuration(
        self,
        spacing: np.ndarray,
        median_shape: np.ndarray,
        data_identifier: str,
        approximate_n_voxels_dataset: float,
        _cache: dict[Any, Any],
    ) -> dict[str, Any]:
        """nnU-Net's plan of one configuration, with our public network name and procedure."""
        self._patch = self._paper_patch(spacing, median_shape)
        if self.inherited is not None and self.inherited.rank == len(spacing):
            self._patch = list(self.inherited.patch)
        plan: dict[str, Any] = super().get_plans_for_configuration(
            spacing, median_shape, data_identifier, approximate_n_voxels_dataset, _cache
        )
        if self._patch is not None:
            plan["patch_size"], self._patch = self._patch, None
        planned = plan["architecture"]
        plan["architecture"] = self.architecture(
            plan["patch_size"], planned["arch_kwargs"], planned["_kw_requires_import"]
        )
        # nnU-Net's own limit: a batch covers at most 5 % of the dataset.
        share = approximate_n_voxels_dataset * self.max_dataset_covered
        plan[_MOST] = round(share / np.prod(plan["patch_size"], dtype=np.float64))
        if self.training:
            plan["training"] = self._training(len(plan["patch_size"]))
        return plan

    def _training(self, rank: int) -> dict[str, Any]:
        """The procedure; axes of the patch in a recipe's augmentation are those of its own rank."""
        if self.recipe is not None and self.recipe.rank != rank:
            return for_any_rank(self.training)
        return dict(self.training)

    def _paper_patch(self, spacing: np.ndarray, median_shape: np.ndarray) -> list[int] | None:
        """The paper's patch, if it is of this rank and, where memory is limited, fits."""
        if self.sized is None or self.sized.rank != len(spacing):
            return None
        patch = paper_patch(self.sized, list(median_shape))
        if self.limited:
            setup = self._setup(patch, {}, ())
            with suppress(UserError, ValueError):  # reported if the configuration is requested
                if count(setup).peak_bytes > budget(len(patch), self.UNet_vram_target_GB):
                    return None
        return patch

    def save_plans(self, plans: dict[str, Any]) -> None:
        """Omit configurations that the network does not support, set batch and memory, and save."""
        supported = tuple(f"{rank}d" for rank in self.ranks)
        plans["configurations"] = {
            name: plan
            for name, plan in plans["configurations"].items()
            if name.startswith(supported)
        }
        for plan in plans["configurations"].values():
            if _MOST in plan:
                most = plan.pop(_MOST)
                setup = Setup.of({**plan, "batch_size": 1}, self.dataset_json)
                try:
                    parts = self._parts
                    plan["batch_size"] = self.batch_size or parts * self._batch_size(
                        setup, most // parts
                    )
                    setup = replace(setup, batch=max(1, plan["batch_size"] // parts))
                    plan["memory"] = memory_entry(setup, self.UNet_vram_target_GB)
                except (UserError, ValueError):
                    continue  # reported if the configuration is requested
        self.add_recipe(plans)
        super().save_plans(plans)


def memory_entry(setup: Setup, target: float) -> dict[str, Any]:
    """The ``memory`` entry of a plan for ``target`` GB: target, counted need and source."""
    rank, peak = len(setup.patch), count(setup).peak_bytes
    calibration = calibrate(rank)
    return {
        "target_gb": target,
        "needs_gb": round(needed_gigabytes(rank, peak), 2),
        "peak_allocated_gb": round(peak * calibration.scale / 1e9, 2),
        "precision": "fp16 autocast",
        "source": calibration.source,
    }


def _as_host(architecture: dict[str, Any]) -> dict[str, Any]:
    """``architecture`` without the arguments that only its own network accepts."""
    kept = {k: v for k, v in architecture["arch_kwargs"].items() if k != "input_size"}
    return {**architecture, "arch_kwargs": kept, "network_class_name": public_name("ModularUNet")}
