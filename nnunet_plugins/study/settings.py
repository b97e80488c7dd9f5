"""A study's settings, as study.yaml holds them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_plugins.errors import UserError
from nnunet_plugins.study.schema import read_entry

FILE = "study.yaml"
DEVICES = ("cuda", "cpu", "mps")
RECIPES = ("native", "paper")
_ROW_NAME = r"[A-Za-z0-9][A-Za-z0-9.+-]*"


@dataclass(frozen=True)
class Data:
    """Where the cases come from.

    Attributes:
        dataset: id of the dataset in nnUNet_raw; the id that a converted source gets.
        source: folder to convert first; None: the dataset is in nnUNet_raw already.
        format: the source's format, a name of `nnunet-plugins convert`.
        options: further options of `nnunet-plugins convert`.
        groups: CSV file of cases and patients, for datasets that were not converted here.
    """

    dataset: int
    source: str | None = None
    format: str | None = None
    options: tuple[str, ...] = ()
    groups: str | None = None


@dataclass(frozen=True)
class RowEntry:
    """A row outside of tables: a network with changes.

    Attributes:
        name: names the row in tables.
        network: a network of this package.
        options: arguments of the network, e.g. ``{"bottleneck": "se"}``.
        training: entries of the training procedure that the row is about.
    """

    name: str
    network: str
    options: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Budget:
    """What all rows share: data, patch, batch size and procedure.

    Attributes:
        network: patch and batch size are planned for this network.
        recipe: ``native`` or ``paper``.
        preset: of `nnunet-plugins plan`.
        gpu_memory: GB to plan for.
        batch_size: None: planned.
        epochs: per training.
        iterations: per epoch.
        training: further entries of the training procedure.
    """

    network: str = "ModularUNet"
    recipe: str = "native"
    preset: str | None = None
    gpu_memory: float | None = None
    batch_size: int | None = None
    epochs: int | None = None
    iterations: int | None = None
    training: dict[str, Any] = field(default_factory=dict)

    def procedure(self) -> dict[str, Any]:
        """Entries of the training procedure that the budget sets."""
        named = {"epochs": self.epochs, "iterations_per_epoch": self.iterations}
        return self.training | {key: value for key, value in named.items() if value is not None}


@dataclass(frozen=True)
class Resources:
    """What a job may use.

    Attributes:
        device: nnU-Net's -device.
        gpus: per training; more than one trains with DDP.
        cpus: cores per job.
        memory_gb: main memory per job.
        hours: time limit of a job on a cluster; a training that meets it is submitted again and goes on.
        resubmissions: how often a job that met its limit is submitted again.
        container: image of Apptainer in which the jobs run; None: in this environment.
    """

    device: str = "cuda"
    gpus: int = 1
    cpus: int = 8
    memory_gb: float = 32.0
    hours: float = 48.0
    resubmissions: int = 5
    container: str | None = None


@dataclass(frozen=True)
class ExtraRuns:
    """Runs of some rows in addition to rows x folds x seeds."""

    rows: tuple[str, ...]
    folds: tuple[int | str, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Settings:
    """The content of study.yaml.

    Attributes:
        data: the cases.
        rows: keys of rows of the table, names of networks, or rows of their own; the first is the baseline.
        table: a table of a paper, e.g. ``yan2025-mag-unet.4``.
        configuration: nnU-Net's; None takes that of the table, or 3d_fullres.
        budget: what all rows share.
        folds: numbers, or ``all``.
        seeds: of weights, sampling and augmentation; each is one training of every row and fold.
        extra_runs: further runs of some rows.
        test: whether the test set of the dataset (imagesTs, labelsTs) is predicted and scored.
        metrics: that are compared.
        resources: of a job.
    """

    data: Data
    rows: tuple[str | RowEntry, ...]
    table: str | None = None
    configuration: str | None = None
    budget: Budget = field(default_factory=Budget)
    folds: tuple[int | str, ...] = (0, 1, 2, 3, 4)
    seeds: tuple[int, ...] = (0,)
    extra_runs: tuple[ExtraRuns, ...] = ()
    test: bool = False
    metrics: tuple[str, ...] = ("dice", "hd95_mm")
    resources: Resources = field(default_factory=Resources)

    @property
    def row_names(self) -> list[str]:
        """Names of the rows, in their order."""
        return [row if isinstance(row, str) else row.name for row in self.rows]


def read_settings(folder: Path) -> Settings:
    """Read and check DIR/study.yaml.

    Raises:
        UserError: there is none, it is not YAML, or a key or value is not allowed.
    """
    file = folder / FILE
    if not file.is_file():
        raise UserError(
            f"{folder}: no {FILE}; create one: nnunet-plugins study init {folder} --dataset 660 --networks ..."
        )
    try:
        return parse_settings(file.read_text(encoding="utf-8"))
    except UserError as error:
        raise UserError(f"{file}: {error}") from error


def parse_settings(text: str) -> Settings:
    """Return the settings of the text of a study.yaml.

    Raises:
        UserError: it is not YAML, or a key or value is not allowed.
    """
    from nnunet_plugins.optional_imports import need

    yaml = need("yaml", "study", "study.yaml")
    try:
        twice = _twice(yaml.compose(text, yaml.SafeLoader))
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"not YAML ({' '.join(str(error).split())})") from error
    if twice:
        raise UserError(f"{twice[0]!r} is given twice in one entry; keep one of them")
    settings = read_entry(Settings, content, "")
    _check(settings)
    return settings


def _twice(root: Any) -> list[str]:
    """Keys that an entry of a YAML document has twice; YAML takes the last one."""
    found, left, seen = [], [root], set()
    while left:
        node = left.pop()
        children = getattr(node, "value", None)
        if id(node) in seen or not isinstance(children, list):
            continue
        seen.add(id(node))  # a document may refer to itself
        keys = [str(child[0].value) for child in children if isinstance(child, tuple)]
        found += [key for key in keys if keys.count(key) > 1]
        left += [child[1] if isinstance(child, tuple) else child for child in children]
    return found


def _check(settings: Settings) -> None:
    """Check values that depend on neither the dataset nor the networks."""
    data, resources = settings.data, settings.resources
    if not 1 <= data.dataset <= 999:
        raise UserError(f"data.dataset: is {data.dataset}; expected an id from 1 to 999")
    if settings.budget.recipe not in RECIPES:
        raise UserError(
            f"budget.recipe: is {settings.budget.recipe!r}; allowed: {', '.join(RECIPES)}"
        )
    for name in ("epochs", "iterations", "batch_size"):
        value = getattr(settings.budget, name)
        if value is not None and value < 1:
            raise UserError(f"budget.{name}: is {value}; expected 1 or more")
    memory = settings.budget.gpu_memory
    if memory is not None and not 0 < memory < math.inf:
        raise UserError(f"budget.gpu_memory: is {memory}; expected GB above 0")
    if (data.source is None) != (data.format is None):
        raise UserError("data: source and format belong together; give both or neither")
    if resources.device not in DEVICES:
        raise UserError(f"resources.device: is {resources.device!r}; allowed: {', '.join(DEVICES)}")
    for name in ("gpus", "cpus", "memory_gb", "hours"):
        least = 0 if name == "gpus" else 1 if name == "cpus" else 0.01
        if getattr(resources, name) < least:
            raise UserError(
                f"resources.{name}: is {getattr(resources, name)}; expected {least} or more"
            )
    _check_names("rows", settings.row_names)
    for name in settings.row_names:
        if not re.fullmatch(_ROW_NAME, name):
            raise UserError(
                f"rows: {name!r} is not a name; allowed: letters, digits, '.', '+', '-'"
            )
    _check_runs(settings.folds, settings.seeds, "")
    for extra in settings.extra_runs:
        _check_runs(extra.folds, extra.seeds, "extra_runs: ")
        for name in extra.rows:
            if name not in settings.row_names:
                raise UserError(
                    f"extra_runs: no row called {name!r}; rows: {', '.join(settings.row_names)}"
                )


def _check_runs(folds: Sequence[int | str], seeds: Sequence[int], where: str) -> None:
    _check_names(f"{where}folds", folds)
    _check_names(f"{where}seeds", seeds)
    for fold in folds:
        if fold != "all" and (not isinstance(fold, int) or fold < 0):
            raise UserError(f"{where}folds: {fold!r} is not a fold; allowed: 0, 1, ... or all")
    if min(seeds) < 0:
        raise UserError(f"{where}seeds: {min(seeds)} is not a seed; allowed: integers of 0 or more")


def _check_names(what: str, names: Sequence[int | str]) -> None:
    if not names:
        raise UserError(f"{what}: is empty; name one or more")
    twice = [name for name in names if list(names).count(name) > 1]
    if twice:
        raise UserError(f"{what}: {twice[0]!r} is listed twice")
