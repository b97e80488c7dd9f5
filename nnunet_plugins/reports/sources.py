"""What a report is made of: a run's scores and facts, and where its cases lie."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_plugins.comparison.parameters import count_parameters
from nnunet_plugins.comparison.runs import Options, kept_references, load
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import ENDINGS, label_maps
from nnunet_plugins.evaluation.summary import Scores
from nnunet_plugins.model_folder import (
    facts_of_model,
    find_folds,
    is_model,
    name_parts,
    read_json,
)
from nnunet_plugins.plans_file import resolve
from nnunet_plugins.reports.training_log import Curves, read_curves
from nnunet_plugins.reports.volumes import CaseFiles


@dataclass(frozen=True)
class Source:
    """Everything that the page is written from.

    Attributes:
        name: of the run.
        kind: 'model' or 'predictions'.
        scores: of its cases.
        facts: of the training, as `comparison.model_folder.facts_of_model` names them; empty where nothing tells.
        plan: the configuration with what it inherits; empty where there is none.
        plans: the whole plans.
        dataset: dataset.json; empty where there is none.
        debug: nnU-Net's debug.json of the first fold that has one.
        curves: fold -> its training.
        progress: nnU-Net's own curves, for folds whose log says nothing.
        cases: name -> where it lies; those without a reference are left out.
        notes: what a reader must know.
    """

    name: str
    kind: str
    scores: Scores
    facts: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    plans: dict[str, Any] = field(default_factory=dict)
    dataset: dict[str, Any] = field(default_factory=dict)
    debug: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, Curves] = field(default_factory=dict)
    progress: dict[str, Path] = field(default_factory=dict)
    cases: dict[str, CaseFiles] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def channel(self) -> str:
        """nnU-Net's name of the first channel; '' where it is not known."""
        return str(self.dataset.get("channel_names", {}).get("0", ""))


def read_source(
    run: Path, options: Options, *, images: Path | None = None, model: Path | None = None
) -> Source:
    """Read a model folder or a folder of predictions.

    Args:
        run: either of them.
        options: as `compare` has them.
        images: folder of the images; None looks where nnU-Net keeps a model's.
        model: the model folder that the predictions come from.

    Raises:
        UserError: it is neither, or it cannot be scored.
    """
    if not run.is_dir():
        raise UserError(
            f"report: {run} is no folder; pass a model folder of nnU-Net (it holds plans.json and fold_0), "
            "or a folder of predictions and --reference REF"
        )
    if images is not None and not images.is_dir():
        raise UserError(f"report: --images {images} is no folder; pass the folder of the images")
    trained = run if is_model(run) else model
    if not is_model(run) and options.reference is None:
        raise UserError(
            f"report: {run} holds no trained model; pass --reference REF, the folder of the true label maps"
        )
    if trained is not None and not is_model(trained):
        raise UserError(
            f"report: --model {trained} is no model folder of nnU-Net (plans.json, dataset.json, fold_0)"
        )
    (loaded,) = load([str(run)], options)
    told: dict[str, Any] = {"notes": list(loaded.notes)}
    if trained is None:
        if (run / "dataset.json").is_file():
            told["dataset"] = read_json(run / "dataset.json")
    else:
        told |= _of_model(trained, options.folds)
        told["facts"] = told["facts"] | loaded.facts
        told["notes"] += list(loaded.notes)
    if run is trained:
        folds = find_folds(run, options.folds)
        dataset = told["plans"].get("dataset_name", "")
        references = options.reference or kept_references(dataset)
        images = images or _kept_images(dataset)
        predictions = _all_predictions([fold / "validation" for fold in folds])
    else:
        references, predictions = options.reference, label_maps(run)
    cases, notes = _cases(loaded.scores, predictions, references, images)
    told["notes"] = tuple(dict.fromkeys([*told["notes"], *notes]))
    return Source(
        name=run.absolute().name,
        kind="model" if run is trained else "predictions",
        scores=loaded.scores,
        cases=cases,
        **told,
    )


def _of_model(folder: Path, wanted: list[str] | None) -> dict[str, Any]:
    folds = find_folds(folder, wanted)
    plans = read_json(folder / "plans.json")
    curves = {fold.name: read_curves(fold) for fold in folds}
    debugs = [fold / "debug.json" for fold in folds if (fold / "debug.json").is_file()]
    facts = facts_of_model(folder, folds)
    dataset = read_json(folder / "dataset.json")
    trainer, configuration = name_parts(folder)
    facts["parameters"] = count_parameters(plans, dataset, configuration, trainer)
    return {
        "facts": facts,
        "plans": plans,
        "plan": resolve(plans, configuration),
        "dataset": dataset,
        "debug": read_json(debugs[0]) if debugs else {},
        "curves": {fold: one for fold, one in curves.items() if one},
        "progress": {
            fold.name: fold / "progress.png"
            for fold in folds
            if not curves[fold.name] and (fold / "progress.png").is_file()
        },
        "notes": [] if facts.get("finished") else ["training did not come to its end"],
    }


def _all_predictions(folders: list[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in folders:
        try:
            found |= label_maps(folder)
        except UserError:  # a fold may keep its summary alone
            continue
    return found


def _kept_images(dataset: str) -> Path | None:
    folder = Path(os.environ.get("nnUNet_raw", "")) / dataset / "imagesTr"
    return folder if os.environ.get("nnUNet_raw") and dataset and folder.is_dir() else None


def _cases(
    scores: Scores, predictions: dict[str, Path], references: Path | None, images: Path | None
) -> tuple[dict[str, CaseFiles], list[str]]:
    if references is None:
        return {}, ["no pictures: the true label maps are not known; pass --reference REF"]
    true = label_maps(references)
    cases: dict[str, CaseFiles] = {}
    bare = []
    for case in scores.cases:
        if case.name not in predictions or case.name not in true:
            continue
        image = None if images is None else _image_of(images, case.name)
        if image is None:
            bare.append(case.name)
        cases[case.name] = CaseFiles(case.name, predictions[case.name], true[case.name], image)
    if images is None:
        return cases, ["pictures show labels alone: no images are known; pass --images FOLDER"]
    notes = []
    if bare:
        named = ", ".join(bare[:5]) + (" ..." if len(bare) > 5 else "")
        notes.append(
            f"{len(bare)} of {len(cases)} cases have no image among the images: {named}; labels alone are shown"
        )
    return cases, notes


def _image_of(folder: Path, case: str) -> Path | None:
    """First channel of a case, under nnU-Net's name or its own."""
    for stem in (f"{case}_0000", case):
        for ending in ENDINGS:
            if (folder / f"{stem}{ending}").is_file():
                return folder / f"{stem}{ending}"
    return None
