"""What can be compared: a scores file, a folder of predictions, a trained model's folder."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from dataset_conversion.io.atomic_files import digest_json
from nnunet_plugins.comparison.nnunet_summary import read_summaries
from nnunet_plugins.comparison.patient_leaks import patient_leaks
from nnunet_plugins.comparison.run_names import owner_of, row_names, short_names, split_name
from nnunet_plugins.comparison.training_notes import training_facts, training_notes
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.labels import Labels, read_labels
from nnunet_plugins.evaluation.measuring import Scoring
from nnunet_plugins.evaluation.pairs import Pair, find_pairs, label_maps
from nnunet_plugins.evaluation.patients import find_patients, with_patients
from nnunet_plugins.evaluation.saved import is_scores, read_scores
from nnunet_plugins.evaluation.saw_model import saw_model_notes
from nnunet_plugins.evaluation.scoring import evaluate, marked, score_pairs
from nnunet_plugins.evaluation.summary import Scores
from nnunet_plugins.evaluation.validation import (
    SUMMARY,
    fold_of,
    validation_cases,
    validation_maps,
    why_trained_on,
)
from nnunet_plugins.model_facts import seed_of, without_seed
from nnunet_plugins.model_folder import (
    ModelFolder,
    is_model,
    read_model,
    scored_folds,
    stored_references,
)
from nnunet_plugins.plans_file import resolve


@dataclass(frozen=True)
class Run:
    """The scores of one segmentation method, and how it was trained.

    Attributes:
        name: its name in tables.
        scores: of its cases.
        facts: of its training; empty if nothing is recorded.
        notes: what a reader must know.
        configuration: nnU-Net's configuration without its seed, '' if it is not known.
        seed: of the training; None if it has none, or is not known.
        recipe: digest of everything but the seed that the plans state; '' if they are not known.
        repeats: the scores of each training, if ``scores`` are the means of several.
        folds: case -> name of the fold that it validates; empty if they are not known.
    """

    name: str
    scores: Scores
    facts: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    configuration: str = ""
    seed: int | None = None
    recipe: str = ""
    repeats: tuple[Scores, ...] = ()
    folds: Mapping[str, str] = field(default_factory=dict)

    @property
    def trainings(self) -> tuple[Scores, ...]:
        """The scores of each training."""
        return self.repeats or (self.scores,)

    def on(self, cases: Collection[str]) -> Run:
        """The run with these of its cases."""

        def kept(scores: Scores) -> Scores:
            found = tuple(case for case in scores.cases if case.name in cases)
            return scores if len(found) == len(scores.cases) else replace(scores, cases=found)

        return replace(self, scores=kept(self.scores), repeats=tuple(map(kept, self.repeats)))


@dataclass(frozen=True)
class Options(Scoring):
    """How runs without scores are scored.

    Attributes:
        reference: folder of the reference label maps; None looks where nnU-Net keeps them.
        folds: of model folders; None takes all numbered folds.
        groups: CSV file of cases and their patients; None takes what the runs know.
    """

    reference: Path | None = None
    folds: list[str] | None = None
    groups: Path | None = None


def load(arguments: Sequence[str], options: Options) -> list[Run]:
    """Load runs, each given as ``PATH`` or ``NAME=PATH``.

    Raises:
        UserError: a path is not a run or cannot be scored, or two runs that are not trainings of one row would have
            the same name.
    """
    named = [split_name(one) for one in arguments]
    runs = [_grouped(_load(path, options), options.groups) for _, path in named]
    names = row_names(
        arguments,
        [name for name, _ in named],
        short_names([path for _, path in named]),
        [(run.recipe, run.seed) for run in runs],
    )
    return [replace(run, name=name) for run, name in zip(runs, names, strict=True)]


def _load(path: Path, options: Options) -> Run:
    if not path.exists():
        raise UserError(
            f"compare: {path} does not exist; pass a scores .json, a folder of predictions or a model folder"
        )
    owner = owner_of(path)
    if owner and path.name == SUMMARY:
        path = path.parent
    if path.is_file():
        return Run(path.stem, read_scores(path))
    if is_model(path):
        return _model(path, options)
    if owner and (options.reference or not _scores_files(path)):
        model, folds = owner
        return _model(model, replace(options, folds=folds))
    found = _predictions(path, options)
    fold_folder = fold_of(path)
    if fold_folder and not found.scores.trained_on:  # scores of an earlier version do not state it
        return replace(found, scores=marked(found.scores, why_trained_on(fold_folder)))
    return found


def _grouped(run: Run, groups: Path | None) -> Run:
    """The run with the patients of a table, if one is given."""
    if groups is None:
        return run
    patients, _ = find_patients([case.name for case in run.scores.cases], None, groups)
    return replace(run, scores=with_patients(run.scores, patients))


def _predictions(folder: Path, options: Options) -> Run:
    """A folder of predictions: scored against the reference, or with its own scores file."""
    if options.reference is not None:
        asked = {one.name: getattr(options, one.name) for one in fields(Scoring)}
        return Run(folder.name, evaluate(folder, options.reference, **asked))
    files = _scores_files(folder)
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


def _scores_files(folder: Path) -> list[Path]:
    return [one for one in sorted(folder.glob("*.json")) if is_scores(one)]


def _model(folder: Path, options: Options) -> Run:
    """A trained model: the validation predictions of its folds, scored; else nnU-Net's own summaries."""
    try:
        model, notes = scored_folds(read_model(folder, options.folds), options.folds)
        labels = read_labels(folder / "dataset.json", "dataset.json of the model")
        reference = options.reference or stored_references(model.plans.get("dataset_name", ""))
        gap = "" if reference else "the references are not known: pass --reference REF"
        gap = gap or _without_maps(model)
        if reference and not gap:
            scores = _validation(model, reference, labels, options)
        else:
            scores = read_summaries(model.folds, labels)
            notes.append(f"scored by nnU-Net's summary.json: overlaps only, no distances ({gap})")
    except UserError as error:
        raise UserError(f"{folder}: {error}") from error
    facts = training_facts(model)
    reasons = [why_trained_on(fold, model.logs[fold.name]) for fold in model.folds]
    scores = marked(scores, "; ".join(filter(None, reasons)))
    notes += [*training_notes(model, facts), *_incomplete(model, scores)]
    names = [case.name for case in scores.cases]
    notes += saw_model_notes(reference or folder, names)
    patients, more = find_patients(names, reference, options.groups)
    scores = with_patients(scores, patients)
    notes += [*more, *patient_leaks(model, scores, None if options.groups else reference)]
    planned = resolve(model.plans, model.configuration)
    seed = seed_of(planned)
    return Run(
        folder.name,
        scores,
        facts,
        tuple(notes),
        configuration=without_seed(model.configuration, seed),
        seed=seed,
        recipe=_recipe(model, planned),
        folds={case: fold.name for fold in model.folds for case in validation_cases(fold)},
    )


def _recipe(model: ModelFolder, planned: Mapping[str, Any]) -> str:
    """Digest of dataset, trainer and configuration without the seed and entries that do not change a training."""
    kept = {k: v for k, v in planned.items() if k not in ("inherits_from", "memory")}
    kept["training"] = {
        k: v for k, v in planned.get("training", {}).items() if k not in ("seed", "save_every")
    }
    return digest_json([model.plans.get("dataset_name"), model.trainer, kept])


def _without_maps(model: ModelFolder) -> str:
    """Which folds have only nnU-Net's scores of their validation, as in nnU-Net's zip of a model; '' if none."""
    lacking = [fold.name for fold in model.folds if not validation_maps(fold)]
    return f"the label maps of the validation are not in {', '.join(lacking)}" if lacking else ""


def _incomplete(model: ModelFolder, scores: Scores) -> list[str]:
    """A note on every fold of whose validation cases not all are scored."""
    scored = {case.name for case in scores.cases}
    notes = []
    for fold in model.folds:
        cases = validation_cases(fold)
        found, every = len(scored.intersection(cases)), model.logs[fold.name].validation_cases
        if found < max(every or 0, len(cases)):
            notes.append(
                f"{fold.name}: {found} of its {max(every or 0, len(cases))} validation cases are scored"
            )
    return notes


def _validation(model: ModelFolder, reference: Path, labels: Labels, options: Options) -> Scores:
    cases = {case for fold in model.folds for case in validation_maps(fold)}
    if not cases.intersection(label_maps(reference)):
        raise UserError(
            f"no validation case of {', '.join(fold.name for fold in model.folds)} is in {reference}; for other "
            "cases, such as a test set, predict them (nnUNetv2_predict) and pass the folder of predictions"
        )
    pairs: dict[str, Pair] = {}
    for fold in model.folds:
        found, left_out = find_pairs(fold / "validation", reference, chill=True)
        if unknown := [note for note in left_out if "without reference" in note]:
            raise UserError(f"{fold.name}: {unknown[0]} in {reference}")
        for pair in found:
            if pair.name in pairs:
                raise UserError(f"case {pair.name} is in two folds; select one of them with --fold")
            pairs[pair.name] = pair
    return score_pairs([pairs[name] for name in sorted(pairs)], labels, options)
