"""Cost of plans' configurations before training, for one or more networks."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_plugins.costs.budget import needed_gigabytes
from nnunet_plugins.costs.cpu_speed import Processor
from nnunet_plugins.costs.footprint import Footprint, count
from nnunet_plugins.costs.gpus import Gpu
from nnunet_plugins.costs.training_step import Setup, TrainingStep
from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import find
from nnunet_plugins.nnunet_folders import find_dataset, folder_of
from nnunet_plugins.planned_network import check_names
from nnunet_plugins.plans_file import MALFORMED, NOT_PLANS, check_plans, read_object

#: nnU-Net's defaults.
EPOCHS, ITERATIONS, VALIDATION_ITERATIONS = 1000, 250, 50


@dataclass(frozen=True)
class Profile:
    """One network in one configuration.

    Attributes:
        plans: name of the plans.
        configuration: name of the configuration.
        network: name of the network.
        patch: voxels.
        batch: samples.
        footprint: None if the network does not support the plan; see ``problem``.
        needs_gb: the smallest sufficient memory target (see ``costs.budget``).
        seconds: duration of a training step, or None.
        seconds_from: 'measured on ...' or 'estimated for ...'.
        hours: duration of the training; a validation step counts as a third of a training step.
        problem: reason for missing numbers.
    """

    plans: str
    configuration: str
    network: str
    patch: tuple[int, ...]
    batch: int
    footprint: Footprint | None = None
    needs_gb: float | None = None
    seconds: float | None = None
    seconds_from: str = ""
    hours: float | None = None
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Clock:
    """Source of step durations.

    Attributes:
        name: GPU or machine.
        device: GPU or CPU to estimate for; None measures real steps, on CUDA if available.
    """

    name: str
    device: Gpu | Processor | None = None

    def seconds(self, setup: Setup, footprint: Footprint) -> tuple[float, str]:
        """Return the duration of a step and its source."""
        if self.device is None:
            return _measured(setup), f"measured on {self.name}"
        return self.device.seconds(footprint), f"estimated for {self.name}"


def profile(
    plans: Mapping[str, Any],
    dataset_json: Mapping[str, Any],
    clock: Clock,
    *,
    networks: Sequence[str] = (),
    configurations: Sequence[str] = (),
) -> list[Profile]:
    """Count every network in every configuration of plans.

    Args:
        plans: content of a plans file.
        dataset_json: content of the dataset's dataset.json.
        clock: source of step durations.
        networks: names of networks to build on the plans' topology; default: the plans' own.
        configurations: names; default: all.
    """
    return [
        _row(plans, name, dataset_json, network, clock)
        for name, network in _selected(plans, networks, configurations)
    ]


def _selected(
    plans: Mapping[str, Any], networks: Sequence[str], configurations: Sequence[str]
) -> list[tuple[str, str | None]]:
    names = configurations or list(plans["configurations"])
    return [(name, network) for name in names for network in networks or (None,)]


def setup_for(
    plans: Mapping[str, Any],
    configuration: str,
    dataset_json: Mapping[str, Any],
    network: str | None = None,
) -> tuple[str, Setup]:
    """Return name and step of a configuration's network; ``network`` replaces the plans' own.

    Raises:
        UserError: the plans have no such configuration, are malformed, or name a layer that is not allowed.
    """
    if configuration not in plans["configurations"]:
        raise UserError(
            f"-c {configuration}: plans {plans['plans_name']} have {', '.join(plans['configurations'])}"
        )
    try:
        planned_as = PlansManager(dict(plans)).get_configuration(configuration).configuration
        setup = Setup.of(planned_as, dataset_json)
    except UserError:
        raise
    except MALFORMED as error:
        raise not_as_planned(f"plans {plans['plans_name']}, {configuration}", error) from error
    planned = str(setup.architecture.get("network_class_name")).rpartition(".")[2]
    if network is not None and network != planned:
        find(network)
        setup = replace(setup, network=network, architecture=stand_in(setup.architecture))
        planned = network
    check_names(setup.architecture, f"plans {plans['plans_name']}, {configuration}")
    return planned, setup


def not_as_planned(who: str, error: Exception) -> UserError:
    """Describe an error of nnU-Net or torch that malformed plans or a malformed dataset.json caused."""
    message = f"{error}".strip().partition("\n")[0]
    return UserError(
        f"{who}: plans or dataset.json are not as nnU-Net writes them ({type(error).__name__}: {message})"
    )


def stand_in(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``architecture`` reduced to its topology, under the name of nnU-Net's own network."""
    given = architecture["arch_kwargs"]
    host = ResidualEncoderUNet if "n_blocks_per_stage" in given else PlainConvUNet
    kwargs = {k: v for k, v in given.items() if k in inspect.signature(host).parameters}
    return {
        "network_class_name": f"{host.__module__}.{host.__name__}",
        "arch_kwargs": kwargs,
        "_kw_requires_import": [k for k in architecture["_kw_requires_import"] if k in kwargs],
    }


def _row(
    plans: Mapping[str, Any],
    configuration: str,
    dataset_json: Mapping[str, Any],
    network: str | None,
    clock: Clock,
) -> Profile:
    name, setup = setup_for(plans, configuration, dataset_json, network)
    row = Profile(plans["plans_name"], configuration, name, setup.patch, setup.batch)
    try:
        footprint = count(setup)
    except ValueError as error:
        return replace(row, problem=str(error))
    except MALFORMED as error:
        return replace(row, problem=str(not_as_planned(name, error)))
    try:
        seconds, source = clock.seconds(setup, footprint)
    except torch.OutOfMemoryError:
        return replace(
            row, problem=f"{name}: {clock.name} has not enough memory for a step; see --gpu"
        )
    training = setup.training
    steps = training.get("iterations_per_epoch", ITERATIONS)
    steps += training.get("validation_iterations_per_epoch", VALIDATION_ITERATIONS) / 3
    return replace(
        row,
        footprint=footprint,
        needs_gb=needed_gigabytes(len(setup.patch), footprint.peak_bytes),
        seconds=seconds,
        seconds_from=source,
        hours=training.get("epochs", EPOCHS) * steps * seconds / 3600,
    )


def _measured(setup: Setup) -> float:
    """Return the median duration of three steps after two for warm-up."""
    cuda = torch.cuda.is_available()
    step = TrainingStep(setup, torch.device("cuda" if cuda else "cpu"), half=cuda, scaled=cuda)
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        step()
        if cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return sorted(times[2:])[1]


def select_plans(what: str, name: str | None = None) -> list[Path]:
    """Return plans files: the given one, that of a model folder, or those of a planned dataset.

    Args:
        what: path, or id or name of a dataset.
        name: select the plans of this name.

    Raises:
        UserError: no plans match.
    """
    path = Path(what)
    if path.is_file():
        return [path]
    if (path / "plans.json").is_file():
        return [path / "plans.json"]
    folder = path
    if not path.is_dir():
        root = folder_of("nnUNet_preprocessed")
        folder = root / find_dataset(root, what)
    found = sorted(p for p in folder.glob("*.json") if p.stem not in NOT_PLANS)
    if not found:
        raise UserError(
            f"{what}: no plans found; expected a plans file, a model folder, or a planned dataset: "
            "nnunet-plugins plan DATASET --network NAME"
        )
    if name is None:
        return found
    named = [p for p in found if p.stem == name]
    if not named:
        raise UserError(f"-p {name}: {what} has plans {', '.join(p.stem for p in found)}")
    return named


def read_dataset(plans: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a plans file and the dataset.json next to it.

    Raises:
        UserError: either is missing or malformed.
    """
    dataset = plans.with_name("dataset.json")
    if not dataset.is_file():
        raise UserError(
            f"{plans}: no dataset.json next to it, which lists channels and labels; copy it there"
        )
    return check_plans(read_object(plans), plans), read_object(dataset)
