"""What a paper prints, what its recipe planned here, and why they differ: the table of `plan --recipe paper`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from nnunet_plugins.costs.training_step import Setup
from nnunet_plugins.papers.library import proposed_topology
from nnunet_plugins.papers.recipe import Recipe
from nnunet_plugins.papers.topologies import Topology
from nnunet_plugins.planners.folds import training_cases
from nnunet_plugins.planners.plan_words import in_words
from nnunet_plugins.planners.request import Request
from nnunet_plugins.plans_file import read_object

#: Item -> entries of the procedure that it shows.
_ENTRIES: dict[str, tuple[str, ...]] = {
    "augmentation": ("augmentation", "mirror_axes"),
    "sampling": ("oversample_foreground",),
    "loss": ("loss", "output_weights"),
    "optimizer": ("optimizer", "weight_decay", "momentum"),
    "learning rate": ("initial_lr", "lr_schedule", "lr_decay", "lr_step"),
    "epochs": ("epochs",),
    "steps per epoch": ("iterations_per_epoch",),
    "prediction": ("prediction_mirror_axes",),
}
_CHANGED = "set by an option or a preset"
_NNUNET = (
    "training step",
    "not printed",
    "gradient norm at most 12; half precision on CUDA",
    "nnU-Net's, not an entry of the plans",
)


class Line(NamedTuple):
    """One item: what the paper prints, what is planned here, and the reason if they differ."""

    item: str
    paper: str
    here: str
    reason: str


def recipe_lines(
    recipe: Recipe,
    topology: Topology,
    plans: Mapping[str, Any],
    dataset: Mapping[str, Any],
    *,
    cases: int,
    batch_size: int | None = None,
    changed: Mapping[str, str],
) -> list[Line]:
    """The table for the configuration of the paper.

    Args:
        recipe: of the paper.
        topology: of the network that it proposes.
        plans: that were made with the recipe.
        dataset: dataset.json.
        cases: training cases of the first fold.
        batch_size: the user's; None: the paper's.
        changed: item -> why it is not as the recipe has it, besides entries of the procedure.
    """
    plan = plans["configurations"][topology.configuration]
    here = in_words(plan, plans, dataset)
    changed = {**_changed(recipe, plan, batch_size), **changed}
    paper = {**recipe.paper, "steps per epoch": str(recipe.steps())}
    lines = [
        _network(topology, plan, dataset, changed.get("network", "")),
        *_conversion(recipe, dataset),
    ]
    for item, found in here.items():
        if item not in paper:
            continue
        reason = changed.get(item) or recipe.reasons.get(item, "")
        if item == "intensities":
            reason = _unlike_window(recipe, plan, dataset) or reason
        if item == "steps per epoch" and item not in changed:
            reason = f"one pass over the paper's {recipe.cases} cases"
            if cases != recipe.cases:
                own = recipe.steps(plan["batch_size"], cases)
                reason += f"; over yours: --iterations {own} ({cases} cases)"
            lines.append(Line(item, paper[item], found, reason))
            continue
        lines.append(Line(item, paper[item], found, "" if found == paper[item] else reason))
    return [*lines, *(Line(*one) for one in recipe.remarks), Line(*_NNUNET)]


def table_of(request: Request, plans: Mapping[str, Any], preprocessed: Path) -> list[Line]:
    """The table of plans that `plan` has made; [] if the paper's configuration is not among them.

    Args:
        request: with a recipe.
        plans: that it made.
        preprocessed: the dataset's folder in nnUNet_preprocessed.

    Raises:
        UserError: dataset.json or the folds cannot be read.
    """
    recipe, topology = request.paper(), proposed_topology(request.network)
    if recipe is None or topology is None or topology.configuration not in plans["configurations"]:
        return []
    changed: dict[str, str] = {}
    patch = plans["configurations"][topology.configuration]["patch_size"]
    if request.topology() is None:
        sizes = ("network", "matrix", "spacing", "patch", "second target")
        changed = dict.fromkeys(sizes, f"preset {request.preset} sets the size")
    elif sorted(patch) != sorted(recipe.patch):
        why = f"the paper's does not fit --gpu-memory {request.gpu_memory:g}"
        changed = dict.fromkeys(("patch", "second target"), why)
    dataset = read_object(preprocessed / "dataset.json")
    cases = training_cases(preprocessed)
    return recipe_lines(
        recipe,
        topology,
        plans,
        dataset,
        cases=cases,
        batch_size=request.batch_size,
        changed=changed,
    )


def _changed(recipe: Recipe, plan: Mapping[str, Any], batch_size: int | None) -> dict[str, str]:
    """Items that options or a preset have changed."""
    ours, planned = recipe.procedure(batch_size), plan["training"]
    changed = {
        item: _CHANGED
        for item, keys in _ENTRIES.items()
        if any(ours.get(key) != planned.get(key) for key in keys)
    }
    if plan["batch_size"] != recipe.batch_size:
        changed |= dict.fromkeys(("batch", "steps per epoch"), _CHANGED)
    return changed


def _network(
    topology: Topology, plan: Mapping[str, Any], dataset: Mapping[str, Any], changed: str
) -> Line:
    with torch.device("meta"):  # without memory for the weights
        network = Setup.of(plan, dataset).build()
    found = sum(weight.numel() for weight in network.parameters())
    printed = topology.published.get("trainable", topology.published["total"])
    counts = [f"{n / 1e6:.2f} M parameters" for n in (printed, found)]
    reason = changed or topology.note
    if not reason and counts[0] != counts[1]:
        reason = "counted with the channels and labels of this dataset"
    return Line(
        "network", f"{topology.name}, {counts[0]}", f"{topology.network}, {counts[1]}", reason
    )


def _conversion(recipe: Recipe, dataset: Mapping[str, Any]) -> list[Line]:
    """What `convert` does; it records its transforms in dataset.json."""
    entry = dataset.get("nnunet_plugins") or {}
    done = {step.get("step") for step in entry.get("steps") or ()}
    return [
        Line(one.item, one.paper, one.paper, "")
        if one.step in done
        else Line(one.item, one.paper, one.otherwise, one.option)
        for one in recipe.conversion
    ]


def _unlike_window(recipe: Recipe, plan: Mapping[str, Any], dataset: Mapping[str, Any]) -> str:
    """Why a window in HU is not applied; '' if it is."""
    if recipe.window is None or set(plan["normalization_schemes"]) == {"CTNormalization"}:
        return ""
    recorded = (dataset.get("nnunet_plugins") or {}).get("window")
    if recorded and tuple(recorded) == recipe.window:
        return "as the paper's window; what it is mapped to is not printed"
    names = dataset.get("channel_names", dataset.get("modality", {})).values()
    return (
        f"channel {', '.join(map(str, names))}: a window in HU requires images of channel CT, which convert has not "
        "windowed"
    )
