"""What a report is made from: a run's scores and facts, and the files of its cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dataset_conversion.io.atomic_files import digest
from dataset_conversion.raw_format.manifest import read_manifest
from nnunet_plugins.comparison.known_cases import marked_by_model
from nnunet_plugins.comparison.runs import Options, load
from nnunet_plugins.comparison.training_notes import training_facts, training_notes
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import ENDINGS
from nnunet_plugins.evaluation.pairs import label_maps
from nnunet_plugins.evaluation.summary import Scores
from nnunet_plugins.evaluation.validation import training_cases
from nnunet_plugins.evaluation.value_map import ValueMap, plan_map
from nnunet_plugins.model_folder import (
    ModelFolder,
    is_model,
    model_of_fold,
    read_model,
    scored_folds,
    stored_images,
    stored_references,
    stored_splits,
)
from nnunet_plugins.plans_file import read_object, resolve
from nnunet_plugins.reports.volumes import CaseFiles
from nnunet_plugins.training_log import TrainingLog


@dataclass(frozen=True)
class Source:
    """Everything that the page is written from.

    Attributes:
        name: of the run.
        kind: 'model' or 'predictions'.
        scores: of its cases.
        facts: of the training, named as by `model_folder.facts_of_model`; empty if nothing is recorded.
        plan: the trained configuration with what it inherits; empty if there is none.
        plans: the content of plans.json.
        dataset: the content of dataset.json; empty if there is none.
        debug: nnU-Net's debug.json of the first fold that has one.
        logs: fold -> its training log, if the log has curves.
        progress: fold -> nnU-Net's picture of the curves, if the log has none.
        cases: name -> files, for the cases that have a reference.
        notes: what a reader must know.
        values: of predictions of another tool.
        drawn: how the folds were drawn, as conversion.json records it; '' if it does not.
    """

    name: str
    kind: str
    scores: Scores
    facts: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    plans: dict[str, Any] = field(default_factory=dict)
    dataset: dict[str, Any] = field(default_factory=dict)
    debug: dict[str, Any] = field(default_factory=dict)
    logs: dict[str, TrainingLog] = field(default_factory=dict)
    progress: dict[str, Path] = field(default_factory=dict)
    cases: dict[str, CaseFiles] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    values: ValueMap | None = None
    drawn: str = ""

    @property
    def channel(self) -> str:
        """nnU-Net's name of the first channel; '' if it is not known."""
        return first_channel(self.dataset)


def read_source(
    run: Path, options: Options, *, images: Path | None = None, model: Path | None = None
) -> Source:
    """Read a model folder or a folder of predictions.

    Args:
        run: either of them.
        options: as for `compare`.
        images: folder of the images; None looks where nnU-Net keeps a model's training images.
        model: the model folder that the predictions come from.

    Raises:
        UserError: the run is neither, or it cannot be scored.
    """
    owner = None if is_model(run) else model_of_fold(run)
    if owner:  # a fold, or its validation
        run, options = owner[0], replace(options, folds=[owner[1]])
    _check(run, options, images, model)
    trained = run if is_model(run) else model
    folder = None if trained is None else read_model(trained, options.folds)
    (loaded,) = load([str(run)], options)
    if folder is not None and run is trained:
        folder, _ = scored_folds(folder, options.folds)
    if folder is not None and run is not trained:
        loaded = replace(loaded, scores=marked_by_model(folder, loaded.scores))
    notes = list(loaded.notes)
    if folder is None:
        path = run / "dataset.json"
        found: dict[str, Any] = {"dataset": read_object(path) if path.is_file() else {}}
    else:
        facts = loaded.facts or training_facts(folder)
        notes = training_notes(folder, facts) + notes
        found = _found_in(folder) | {"facts": facts}
    references, predictions = options.reference, {}
    if folder is not None and run is trained:
        dataset = folder.plans.get("dataset_name", "")
        references = references or stored_references(dataset)
        images = images or stored_images(dataset)
        predictions = predictions_in(fold / "validation" for fold in folder.folds)
    else:
        predictions = label_maps(run)
    cases, more = _cases(loaded.scores, predictions, references, images)
    return Source(
        name=run.absolute().name,
        kind="model" if run is trained else "predictions",
        scores=loaded.scores,
        cases=cases,
        notes=tuple(dict.fromkeys([*notes, *more])),
        values=plan_map(options.map, loaded.scores.labels)[0] if options.map else None,
        **found,
    )


def _check(run: Path, options: Options, images: Path | None, model: Path | None) -> None:
    if not run.is_dir():
        raise UserError(
            f"report: {run} is not a folder; pass a model folder of nnU-Net (with plans.json and fold_0), "
            "or a folder of predictions and --reference REF"
        )
    if images is not None and not images.is_dir():
        raise UserError(f"report: --images {images} is not a folder; pass the folder of the images")
    if is_model(run):
        return
    if options.reference is None:
        raise UserError(
            f"report: {run} is not a trained model (plans.json, dataset.json, fold_0); pass the folder "
            "TRAINER__PLANS__CONFIGURATION in it, or for predictions --reference REF, the reference label maps"
        )
    if model is not None and not is_model(model):
        raise UserError(
            f"report: --model {model} is not a model folder of nnU-Net (plans.json, dataset.json, fold_0)"
        )


def _found_in(model: ModelFolder) -> dict[str, Any]:
    return {
        "plans": model.plans,
        "plan": resolve(model.plans, model.configuration),
        "dataset": model.dataset,
        "debug": next(iter(model.debug), {}),
        "logs": {name: log for name, log in model.logs.items() if log.has_curves},
        "progress": {
            fold.name: fold / "progress.png"
            for fold in model.folds
            if not model.logs[fold.name].has_curves and (fold / "progress.png").is_file()
        },
        "drawn": _drawn(model),
    }


def _drawn(model: ModelFolder) -> str:
    """How the folds were drawn; '' if they are not those of the dataset's conversion.json."""
    name = model.plans.get("dataset_name", "")
    images, used = stored_images(name), stored_splits(name)
    if images is None or used is None or not all(map(training_cases, model.folds)):
        return ""
    record = read_manifest(images.parent)
    if record.get("files", {}).get(used.name) != digest(used):
        return ""
    how = record.get("splits", {})
    return f"split {how.get('split')}, seed {how.get('seed')}"


def first_channel(dataset: Mapping[str, Any]) -> str:
    """The name of the first channel in a dataset.json; '' if it has none."""
    return str(dataset.get("channel_names", {}).get("0", ""))


def predictions_in(folders: Iterable[Path]) -> dict[str, Path]:
    """Case -> label map, of several folders; those without label maps are passed over."""
    found: dict[str, Path] = {}
    for folder in folders:
        try:
            found |= label_maps(folder)
        except UserError:  # a fold may have only its summary
            continue
    return found


def _cases(
    scores: Scores, predictions: dict[str, Path], references: Path | None, images: Path | None
) -> tuple[dict[str, CaseFiles], list[str]]:
    if references is None:
        return {}, ["no pictures: the reference label maps are not known; pass --reference REF"]
    reference = label_maps(references)
    cases = {
        case.name: CaseFiles(
            case.name,
            predictions[case.name],
            reference[case.name],
            None if images is None else image_of(images, case.name),
        )
        for case in scores.cases
        if case.name in predictions and case.name in reference
    }
    if not cases:
        return {}, ["no pictures: the label maps of the predictions are not in the folder"]
    if images is None:
        return cases, ["pictures show labels only: the images are not known; pass --images FOLDER"]
    missing = [name for name, case in cases.items() if case.image is None]
    if not missing:
        return cases, []
    named = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
    return cases, [
        f"{len(missing)} of {len(cases)} cases have no image: {named}; only their labels are shown"
    ]


def image_of(folder: Path, case: str) -> Path | None:
    """First channel of a case, under nnU-Net's name or the case's."""
    files = (folder / f"{stem}{ending}" for stem in (f"{case}_0000", case) for ending in ENDINGS)
    return next((file for file in files if file.is_file()), None)
