"""Differences between two plans in a reader's words, and whether trainings with them are a fair comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_plugins.comparison.fairness import Difference, differences
from nnunet_plugins.errors import UserError
from nnunet_plugins.model_facts import facts_of_model, facts_of_plans
from nnunet_plugins.model_folder import is_model, read_model
from nnunet_plugins.plans_file import MALFORMED, check_plans, read_object, resolve

#: Argument of a network -> its name in the output; other arguments keep their names.
_CALLED = {
    "n_stages": "stages",
    "features_per_stage": "features",
    "kernel_sizes": "kernels",
    "n_conv_per_stage": "convolutions of encoder stages",
    "n_conv_per_stage_decoder": "convolutions of decoder stages",
    "n_blocks_per_stage": "residual blocks of encoder stages",
    "norm_op": "normalisation layer",
    "nonlin": "nonlinearity",
    "stage": "block after encoder stages",
    "wrap": "block around convolutions",
    "stem": "stem",
    "bottleneck": "bottleneck",
    "skip": "skips",
}
#: Defaults of nnU-Net and of our trainers for what plans do not state.
_USUAL = {"epochs": 1000, "iterations_per_epoch": 250}
#: Facts that plans alone do not have.
_OF_TRAININGS = ("splits", "finished", "initial_weights")
#: Entries of a configuration on the preprocessing of images.
_PREPROCESSING = (
    "normalization_schemes",
    "use_mask_for_norm",
    "resampling_fn_data",
    "median_image_size_in_voxels",
)


@dataclass(frozen=True)
class Source:
    """One side of the comparison.

    Attributes:
        where: the path, as given.
        plans: content of the plans.
        configurations: names of the configurations to compare.
        facts: of a trained model, in addition to the plans.
        trained: whether it is a trained model or only plans.
    """

    where: str
    plans: Mapping[str, Any]
    configurations: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    trained: bool = False


@dataclass(frozen=True)
class Diff:
    """The differences between one configuration of each side.

    Attributes:
        first: configuration of the first side.
        other: configuration of the other side.
        training: differences of the trainings, the most severe first.
        network: lines on topology, blocks and preprocessing.
    """

    first: str
    other: str
    training: tuple[Difference, ...]
    network: tuple[str, ...]

    @property
    def fair(self) -> bool:
        """Whether no known difference makes a comparison unfair."""
        return not any(one.severity == "unfair" for one in self.training)

    @property
    def same(self) -> bool:
        """Whether there is no known difference."""
        return not self.network and all(one.severity == "not recorded" for one in self.training)


def read_source(where: str, *, trust: bool = False) -> Source:
    """Read plans from a plans file, a model folder or a checkpoint.

    Args:
        where: its path.
        trust: load a checkpoint that cannot be read as plain data, which can run code of its author.

    Raises:
        UserError: the path is none of the three.
    """
    path = Path(where)
    if is_model(path):
        model = read_model(path)
        plans = check_plans(model.plans, path / "plans.json")
        known = (model.configuration,) if model.configuration else tuple(plans["configurations"])
        return Source(where, plans, known, facts_of_model(model), trained=True)
    if path.is_dir() and (path / "plans.json").is_file():
        path = path / "plans.json"
    if path.suffix == ".pth":
        return _of_checkpoint(path, trust=trust)
    if not path.is_file():
        raise UserError(
            f"{where}: pass a plans file, a model folder (with plans.json) or a checkpoint (.pth)"
        )
    plans = check_plans(read_object(path), path)
    return Source(where, plans, tuple(plans["configurations"]))


def compare(first: Source, other: Source, configuration: str | None = None) -> list[Diff]:
    """Differences of the common configurations, or of the only configuration of each side.

    Raises:
        UserError: there is no common configuration, or one side does not have the given one.
    """
    ours, theirs = first.configurations, other.configurations
    if configuration is not None:
        for side in (first, other):
            if configuration not in side.configurations:
                raise UserError(
                    f"-c {configuration}: {side.where} has {', '.join(side.configurations)}"
                )
        pairs = [(configuration, configuration)]
    elif len(ours) == len(theirs) == 1:
        pairs = [(ours[0], theirs[0])]
    else:
        pairs = [(name, name) for name in ours if name in theirs]
    if not pairs:
        raise UserError(
            f"no configuration in common: {first.where} has {', '.join(ours)}, {other.where} has {', '.join(theirs)}"
        )
    return [_diff(first, other, a, b) for a, b in pairs]


def _diff(first: Source, other: Source, a: str, b: str) -> Diff:
    facts = [
        {**({} if side.trained else _USUAL), **facts_of_plans(side.plans, name), **side.facts}
        for side, name in ((first, a), (other, b))
    ]
    found = differences(*facts)
    if not (first.trained and other.trained):
        found = [one for one in found if one.fact not in _OF_TRAININGS]
    ours, theirs = resolve(first.plans, a), resolve(other.plans, b)
    return Diff(a, b, tuple(found), tuple(_network(ours, theirs)))


def _network(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Lines on the networks' components and on preprocessing."""
    lines = []
    for key in _PREPROCESSING:
        lines += _line(key.replace("_", " "), ours.get(key), theirs.get(key))
    sides = [side.get("architecture", {}).get("arch_kwargs", {}) for side in (ours, theirs)]
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        if key != "input_size":  # the patch, which is listed already
            name = _CALLED.get(key, key.replace("_", " "))
            lines += _line(name, *(_by_stage(side.get(key)) for side in sides))
    entries = [dict(side.get("training", {})) for side in (ours, theirs)]
    for key in (
        "momentum",
        "lr_decay",
        "output_weights",
        "validation_iterations_per_epoch",
        "save_every",
    ):
        lines += _line(key.replace("_", " "), entries[0].get(key), entries[1].get(key))
    return lines


def _line(name: str, ours: Any, theirs: Any) -> list[str]:
    if _plain(ours) == _plain(theirs):
        return []
    return [f"{name} {_short(theirs)} against {_short(ours)}"]


def _by_stage(value: Any) -> Any:
    """Numbers per stage as text, to distinguish them from the three axes of a kernel."""
    flat = isinstance(value, list | tuple) and not any(isinstance(v, list | tuple) for v in value)
    return "-".join(map(_short, value)) if flat else value


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _short(value: Any) -> str:
    """A value in short form: [3, 3, 3] is 3x3x3, the path of a module its last name."""
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        inner = [_short(one) for one in value]
        if all(isinstance(one, list | tuple) for one in value):
            return " ".join(inner)
        return ("x" if len(inner) <= 3 else "-").join(inner)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str) and value.startswith("torch.nn"):
        return value.rpartition(".")[2]
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _of_checkpoint(path: Path, *, trust: bool) -> Source:
    """Plans in a checkpoint of nnU-Net."""
    import pickle

    import torch

    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        content = torch.load(path, map_location="meta", weights_only=not trust)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: holds more than plain data, like all checkpoints of nnU-Net; reading it can run code of its "
            "author. Pass --trust if you know its origin, or pass the model folder instead"
        ) from error
    except (OSError, EOFError, *MALFORMED) as error:
        raise UserError(f"{path}: cannot be read as a checkpoint ({error})") from error
    made = content.get("init_args") if isinstance(content, dict) else None
    if not isinstance(made, dict) or "plans" not in made:
        raise UserError(f"{path}: not a checkpoint of nnU-Net v2: init_args with plans is missing")
    plans, configuration = check_plans(made["plans"], path), made.get("configuration")
    if not isinstance(configuration, str) or configuration not in plans["configurations"]:
        raise UserError(
            f"{path}: was trained with configuration {configuration!r}, which its plans do not have"
        )
    trainer = {"trainer": content.get("trainer_name")}
    return Source(str(path), plans, (configuration,), trainer, trained=True)
