"""What `plan` is asked for, and which requests fit together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import find
from nnunet_plugins.papers.library import RECIPES, proposed_topology
from nnunet_plugins.papers.recipe import Recipe
from nnunet_plugins.papers.topologies import Topology
from nnunet_plugins.planners.nnunet_planner import PLANNERS
from nnunet_plugins.planners.presets import PRESETS
from nnunet_plugins.planners.resampling import CHOICES
from nnunet_plugins.plans_file import check_plans_name
from nnunet_plugins.training.procedure import read_procedure

CONFIGURATIONS = ("2d", "3d_fullres", "3d_lowres")
PROCEDURES = ("native", "paper", "printed")
ENCODERS = ("plain", "residual")
DEFAULT_GPU_MEMORY = 8.0  # GB, nnU-Net's own default


@dataclass(frozen=True)
class Request:
    """Input of `plan`.

    Attributes:
        dataset: id or name of a dataset in nnUNet_raw.
        network: name of one of our networks.
        plans_name: name of the plans file; None: derived from network, preset and recipe.
        recipe: 'native' (nnU-Net's experiment), 'paper' (that of the paper that proposes the network), or 'printed'
            (as the text has it, where paper and authors' code differ).
        preset: name in PRESETS, or None. A preset fixes the size: topology, voxel size and patch remain nnU-Net's.
        gpu_memory: memory target in GB; None: that of the preset, or 8, which does not limit a paper's patch.
        encoder: 'plain' or 'residual'; None: that of the preset, or plain.
        batch_size: None: chosen by recipe or nnU-Net.
        training: entries that override recipe and preset.
        configurations: configurations to preprocess.
        processes: worker processes.
        force: overwrite plans of the same name.
        resampling: 'nnunet' for its default functions, 'torch' for its own with torch, 'auto' for torch where labels
            agree.
        options: further arguments of the network, e.g. {"size": "L"} for MedNeXt.
        trust: read a checkpoint of ``training.pretrained`` that is more than plain data.
    """

    dataset: str
    network: str
    plans_name: str | None = None
    recipe: str = "native"
    preset: str | None = None
    gpu_memory: float | None = None
    encoder: str | None = None
    batch_size: int | None = None
    training: dict[str, Any] = field(default_factory=dict)
    configurations: tuple[str, ...] = CONFIGURATIONS
    processes: int = 1
    force: bool = False
    resampling: str = "nnunet"
    options: dict[str, Any] = field(default_factory=dict)
    trust: bool = False

    def name(self) -> str:
        """Name of the plans: network, then preset, recipe, other weights, resampling and memory, unless default."""
        if self.plans_name:
            return self.plans_name
        parts = [self.network, "Plans"]
        residual = self.encoder == "residual" or (self.preset in PRESETS and self.residual())
        parts += ["ResEnc"] if residual else []
        parts += [self.preset.upper()] if self.preset else []
        parts += [self.recipe.capitalize()] if self.recipe != "native" else []
        parts += ["Pretrained"] if "pretrained" in self.training else []
        parts += {"torch": ["TorchRes"], "auto": ["AutoRes"]}.get(self.resampling, [])
        parts += [f"_{self.gpu_memory:g}G"] if self.gpu_memory is not None else []
        return "".join(parts)

    def residual(self) -> bool:
        """Whether a residual encoder is planned."""
        if self.encoder is not None:
            return self.encoder == "residual"
        return bool(self.preset) and PRESETS[str(self.preset)].residual

    def paper(self) -> Recipe | None:
        """The recipe of the paper; None if it is not requested.

        Raises:
            UserError: no paper proposes the network, or text and code of the paper do not differ.
        """
        if self.recipe == "native":
            return None
        if self.network not in RECIPES:
            raise UserError(
                f"--recipe {self.recipe}: no paper proposes {self.network}; there are recipes for "
                f"{', '.join(RECIPES)}"
            )
        found = RECIPES[self.network]
        if self.recipe == "paper":
            return found
        if found.printed is None:
            raise UserError(
                "--recipe printed: only for papers whose text differs from the authors' code; for "
                f"{self.network} pass --recipe paper"
            )
        return found.printed

    def topology(self) -> Topology | None:
        """The topology of the paper; None if it is not requested or a preset fixes the size."""
        if self.recipe == "native" or self.preset:
            return None
        return proposed_topology(self.network)

    def procedure(self) -> dict[str, Any]:
        """The training entry: recipe, overridden by preset, overridden by the user's entries."""
        recipe = self.paper()
        entry = recipe.procedure(self.batch_size) if recipe else {}
        if self.preset:
            entry |= PRESETS[self.preset].training
        return read_procedure({"training": entry | self.training})


def check(request: Request) -> None:
    """Check what does not depend on the dataset.

    Raises:
        UserError: an entry is not allowed, or two do not fit together.
    """
    find(request.network)
    if request.recipe not in PROCEDURES:
        raise UserError(f"--recipe {request.recipe}: allowed: {', '.join(PROCEDURES)}")
    if request.resampling not in CHOICES:
        raise UserError(f"--resampling {request.resampling}: allowed: {', '.join(CHOICES)}")
    if request.resampling != "nnunet" and request.recipe != "native":
        raise UserError(
            f"--resampling {request.resampling}: --recipe {request.recipe} has the interpolation of the paper; omit "
            "one of them"
        )
    if request.encoder is not None and request.encoder not in ENCODERS:
        raise UserError(f"--encoder {request.encoder}: allowed: {', '.join(ENCODERS)}")
    if request.preset and request.preset not in PRESETS:
        raise UserError(f"--preset {request.preset}: allowed: {', '.join(PRESETS)}")
    if request.network in PLANNERS and (request.encoder or request.preset not in (None, "cpu")):
        option = f"--encoder {request.encoder}" if request.encoder else f"--preset {request.preset}"
        raise UserError(
            f"{option}: {request.network} is planned as nnU-Net plans it; omit the option, or choose ModularUNet or "
            f"one of {', '.join(PLANNERS)}"
        )
    if request.options and request.network in PLANNERS:
        raise UserError(
            f"--arch-kwargs {request.options}: {request.network} is planned as nnU-Net plans it; omit the option, or "
            "choose ModularUNet"
        )
    if "pretrained" in request.training and (request.recipe != "native" or request.encoder):
        option = f"--encoder {request.encoder}" if request.encoder else f"--recipe {request.recipe}"
        raise UserError(
            f"{option}: the topology of a training that starts with other weights is that of the checkpoint; omit "
            "the option, or training.pretrained"
        )
    if request.trust and "pretrained" not in request.training:
        raise UserError("--trust: only for the checkpoint of --pretrained; omit it")
    if request.gpu_memory is not None and not 0 < request.gpu_memory < float("inf"):
        raise UserError(f"--gpu-memory {request.gpu_memory:g}: expected a number of GB above 0")
    for option, number in (("--batch-size", request.batch_size), ("-np", request.processes)):
        if number is not None and number < 1:
            raise UserError(f"{option} {number}: expected an integer of 1 or more")
    unknown = sorted(set(request.configurations) - set(CONFIGURATIONS))
    if unknown:
        raise UserError(f"-c {' '.join(unknown)}: allowed: {', '.join(CONFIGURATIONS)}")
    if request.residual() and request.topology() is not None:
        raise UserError(
            f"--encoder residual: --recipe {request.recipe} uses the paper's own topology; omit one of them"
        )
    check_plans_name(request.name())
