"""Configurations that differ from one in the plans by training entries only, e.g. one per seed.

A derived configuration inherits everything else (`inherits_from`), the preprocessed data included, and has a results
folder of its own because nnU-Net names that folder after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnunet_plugins.atomic_files import write_json
from nnunet_plugins.errors import UserError
from nnunet_plugins.plans_file import check_plans, check_plans_name, read_object, resolve
from nnunet_plugins.training.procedure import read_procedure


def derived_name(base: str, training: Mapping[str, Any]) -> str:
    """Name of the configuration that `derive` makes: the base, then key and value of each entry, the seed last.

    >>> derived_name("3d_fullres", {"seed": 2})
    '3d_fullres_seed2'
    >>> derived_name("2d", {"epochs": 50, "initial_lr": 0.01, "seed": 0})
    '2d_epochs50_initial-lr0.01_seed0'
    >>> derived_name("2d", {"seed": 0, "weight_decay": 0.0})
    '2d_weight-decay0.0_seed0'

    Raises:
        UserError: a value is a list or an object, which makes no readable name.
    """
    parts = [base]
    for key, value in sorted(training.items(), key=lambda one: (one[0] == "seed", one[0])):
        if not isinstance(value, int | float | str):
            raise UserError(f"training.{key} is {value!r}: name the configuration yourself")
        parts.append(f"{key.replace('_', '-')}{value}")
    name = "_".join(parts)
    check_plans_name(name)  # nnU-Net splits folder names of all three parts at '__'
    return name


def derive(
    plans: Mapping[str, Any], base: str, training: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Return name (see `derived_name`) and entry of a configuration with other training entries.

    Args:
        plans: content of a plans file.
        base: a configuration in it.
        training: entries that replace or extend those of ``base``, e.g. ``{"seed": 2}``.

    Raises:
        UserError: the plans have no such configuration, an entry is not allowed, or ``base`` refines another
            configuration: nnU-Net stores the segmentations of a cascade for one configuration by name.

    >>> plans = {"configurations": {"2d": {"training": {"epochs": 50}}}}
    >>> derive(plans, "2d", {"seed": 1})
    ('2d_seed1', {'inherits_from': '2d', 'training': {'epochs': 50, 'seed': 1}})
    """
    if base not in plans["configurations"]:
        known = ", ".join(plans["configurations"])
        raise UserError(f"the plans have no configuration called {base!r}; they have {known}")
    inherited = resolve(plans, base)
    if inherited.get("previous_stage"):
        raise UserError(
            f"{base} is the second stage of a cascade, which cannot be repeated under another name; "
            "repeat its first stage or another configuration"
        )
    entry = read_procedure({"training": {**inherited.get("training", {}), **training}})
    return derived_name(base, training), {"inherits_from": base, "training": entry}


def add_derived(file: Path, base: str, trainings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Add a configuration to a plans file for each of several training entries; return their names.

    Those that the file has already are left as they are, so trainings that have begun can continue.

    Args:
        file: plans in nnUNet_preprocessed.
        base: a configuration in it.
        trainings: entries as for `derive`; an empty one stands for ``base`` itself.

    Raises:
        UserError: as `derive`; or the file has another configuration of such a name.
    """
    plans = check_plans(read_object(file), file)
    names, new = [], {}
    for training in trainings:
        if not training:
            names.append(base)
            continue
        name, entry = derive(plans, base, training)
        names.append(name)
        there = plans["configurations"].get(name)
        if there is None:
            new[name] = entry
        elif there != entry:
            raise UserError(
                f"{file}: {name} is already there with other entries ({there}, not {entry}); plan again under "
                "another name, or remove it"
            )
    if new:
        content = plans | {"configurations": plans["configurations"] | new}
        write_json(file, content, indent=4)
    return names
