"""What can be compared: a scores file, a folder of predictions, a trained model's folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nnunet_plugins.comparison.nnunet_summary import read_summaries
from nnunet_plugins.comparison.parameters import count_parameters
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import Pair, find_pairs, label_maps
from nnunet_plugins.evaluation.labels import Labels, read_labels
from nnunet_plugins.evaluation.metrics import TOLERANCE
from nnunet_plugins.evaluation.patients import find_patients, with_patients
from nnunet_plugins.evaluation.saved import is_scores, read_scores
from nnunet_plugins.evaluation.scoring import Progress, evaluate, score_pairs
from nnunet_plugins.evaluation.summary import Scores
from nnunet_plugins.model_folder import (
    ModelFolder,
    facts_of_model,
    is_model,
    read_model,
    stored_references,
)
from nnunet_plugins.planned_network import NotAllowedError


@dataclass(frozen=True)
class Run:
    """The scores of one segmentation method, and how it was trained.

    Attributes:
        name: its name in tables.
        scores: of its cases.
        facts: of its training; empty if nothing is recorded.
        notes: what a reader must know.
        configuration: nnU-Net's configuration, '' if it is not known.
    """

    name: str
    scores: Scores
    facts: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    configuration: str = ""


@dataclass(frozen=True)
class Options:
    """How runs without scores are scored.

    Attributes:
        reference: folder of the reference label maps; None looks where nnU-Net keeps them.
        folds: of model folders; None takes all numbered folds.
        tolerance: of NSD, mm.
        pixels: measure distances in voxels as well.
        jobs: number of processes.
        progress: wraps the cases, as tqdm does.
        groups: CSV file of cases and their patients; None takes what the runs know.
    """

    reference: Path | None = None
    folds: list[str] | None = None
    tolerance: float = TOLERANCE
    pixels: bool = False
    jobs: int = 1
    progress: Progress | None = None
    groups: Path | None = None

    @property
    def scoring(self) -> dict[str, Any]:
        """Keyword arguments of `evaluate` and `score_pairs`."""
        names = ("tolerance", "pixels", "jobs", "progress")
        return {name: getattr(self, name) for name in names}


def load(arguments: Sequence[str], options: Options) -> list[Run]:
    """Load runs, each given as ``PATH`` or ``NAME=PATH``.

    Raises:
        UserError: a path is not a run or cannot be scored, or two runs have the same name.
    """
    named = [_split(one) for one in arguments]
    short_names = _short_names([path for _, path in named])
    runs = [
        replace(_grouped(_load(path, options), options.groups), name=name or short)
        for (name, path), short in zip(named, short_names, strict=True)
    ]
    seen: dict[str, str] = {}
    for run, text in zip(runs, arguments, strict=True):
        if run.name in seen:
            raise UserError(
                f"compare: {seen[run.name]} and {text} would both be called {run.name!r}; "
                "pass NAME=RUN for one of them"
            )
        seen[run.name] = text
    return runs


def training_facts(model: ModelFolder) -> dict[str, Any]:
    """The facts of a training, with the number of the network's parameters if the network is known."""
    facts = facts_of_model(model)
    try:
        parameters = count_parameters(model)
    except NotAllowedError as error:
        return facts | {"not_counted": str(error).partition("; allowed")[0]}
    return facts | ({} if parameters is None else {"parameters": parameters})


def training_notes(facts: dict[str, Any]) -> list[str]:
    """Notes on a training that was not finished, and on a network that was not built."""
    notes = [] if facts.get("finished") else ["the training did not finish"]
    return notes + [
        f"parameters not counted, not a known network: {one}"
        for one in [facts.get("not_counted")]
        if one
    ]


def _split(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if equals and not Path(text).exists():
        return name.strip(), Path(path)
    return "", Path(text)


def _short_names(paths: Sequence[Path]) -> list[str]:
    """Names for runs; for model folders only the parts in which they differ."""
    parts = [path.absolute().name.split("__") for path in paths]
    if len(paths) > 1 and all(
        len(one) == 3 and p.is_dir() for one, p in zip(parts, paths, strict=True)
    ):
        differing = [i for i in range(3) if len({one[i] for one in parts}) > 1]
        if differing:
            return [" ".join(one[i] for i in differing) for one in parts]
    plain = ("scores", "summary", "validation")
    return [
        path.absolute().parent.name if path.stem in plain else path.name.removesuffix(".json")
        for path in paths
    ]


def _load(path: Path, options: Options) -> Run:
    if not path.exists():
        raise UserError(
            f"compare: {path} does not exist; pass a scores .json, a folder of predictions or a model folder"
        )
    if path.is_file():
        return Run(path.stem, read_scores(path))
    if is_model(path):
        return _model(path, options)
    return _predictions(path, options)


def _grouped(run: Run, groups: Path | None) -> Run:
    """The run with the patients of a table, if one is given."""
    if groups is None:
        return run
    patients, _ = find_patients([case.name for case in run.scores.cases], None, groups)
    return replace(run, scores=with_patients(run.scores, patients))


def _predictions(folder: Path, options: Options) -> Run:
    """A folder of predictions: scored against the reference, or with its own scores file."""
    if options.reference is not None:
        return Run(folder.name, evaluate(folder, options.reference, **options.scoring))
    files = [one for one in sorted(folder.glob("*.json")) if is_scores(one)]
    if len(files) != 1:
        found = f"{len(files)} scores files" if files else "no scores file and no trained model"
        raise UserError(
            f"compare: {folder} holds {found}; pass --reference REF to score its predictions, or the .json that "
            "nnunet-plugins evaluate wrote"
        )
    scores = read_scores(files[0])
    predictions = label_maps(folder)
    if {case.name for case in scores.cases} != set(predictions):
        raise UserError(
            f"{files[0]}: has other cases than its folder; evaluate again, or pass --reference REF"
        )
    newest = max(file.stat().st_mtime for file in predictions.values())
    if newest > files[0].stat().st_mtime:
        raise UserError(
            f"{files[0]}: is older than the predictions in its folder; evaluate again, or pass --reference REF"
        )
    return Run(folder.name, scores)


def _model(folder: Path, options: Options) -> Run:
    """A trained model: the validation predictions of its folds, scored; else nnU-Net's own summaries."""
    model = read_model(folder, options.folds)
    facts = training_facts(model)
    labels = read_labels(folder / "dataset.json", "dataset.json of the model")
    reference = options.reference or stored_references(model.plans.get("dataset_name", ""))
    notes = training_notes(facts)
    try:
        scores = (
            _validation(model, reference, labels, options)
            if reference
            else read_summaries(model.folds, labels)
        )
    except UserError as error:
        raise UserError(f"{folder}: {error}") from error
    if reference and options.groups is None:
        patients, more = find_patients([case.name for case in scores.cases], reference, None)
        scores, notes = with_patients(scores, patients), [*notes, *more]
    if not reference:
        notes.append("scored by nnU-Net's summary.json: overlaps only, no distances")
    return Run(folder.name, scores, facts, tuple(notes), model.configuration)


def _validation(model: ModelFolder, reference: Path, labels: Labels, options: Options) -> Scores:
    pairs: dict[str, Pair] = {}
    for fold in model.folds:
        found, left_out = find_pairs(fold / "validation", reference, chill=True)
        if unknown := [note for note in left_out if "without reference" in note]:
            raise UserError(f"{fold.name}: {unknown[0]} in {reference}")
        for pair in found:
            if pair.name in pairs:
                raise UserError(f"case {pair.name} is in two folds; select one of them with --fold")
            pairs[pair.name] = pair
    return score_pairs([pairs[name] for name in sorted(pairs)], labels, **options.scoring)
