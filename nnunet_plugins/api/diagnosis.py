"""Diagnoses: train a classifier, score cases, and evaluate the scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nnunet_plugins.api.arguments import StrPath, several
from nnunet_plugins.errors import UserError

if TYPE_CHECKING:
    from nnunet_plugins.classifier.folder import Classifier
    from nnunet_plugins.classifier.predict import Predictions
    from nnunet_plugins.classifier.report import Evaluation
    from nnunet_plugins.classifier.train import Sources

Device = Literal["auto", "cpu", "cuda", "mps"]


def train_classifier(
    dataset: int | str,
    table: StrPath,
    output: StrPath,
    *,
    model: StrPath | None = None,
    masks: Sequence[StrPath] = (),
    reference_masks: bool = False,
    label_column: str = "label",
    positive: str | None = None,
    fold: int | None = None,
    shares: Sequence[float] = (455, 64, 129),
    split_seed: int = 0,
    device: Device = "auto",
    say: Callable[[str], None] = lambda _: None,
    **settings: Any,
) -> Classifier:
    """Train a classifier, or continue its training, as `nnunet-plugins classify train` does.

    Args:
        dataset: id or name of a dataset in nnUNet_raw.
        table: CSV file with the columns case, patient, label, and split or fold.
        output: folder of the classifier.
        model: the segmenter's folder: masks of its training cases are the validation predictions of its folds.
        masks: folders of predicted masks of cases that no fold was trained on.
        reference_masks: uses drawn masks; every output is marked.
        label_column: of the table.
        positive: the positive class; 1 of 1 and 0, or yes of yes and no, without one.
        fold: test on this fold of the table, validate on the next.
        shares: training, validation and test patients, for a table without splits.
        split_seed: of the drawn splits.
        device: of torch.
        say: receives lines on the progress.
        settings: fields of `nnunet_plugins.classifier.settings.Settings`, e.g. ``network="resnet18", epochs=100``.

    Returns:
        The classifier; its threshold is in ``output/finished.json``.

    Raises:
        UserError: a file is missing or not understood, a mask is of a case that its segmenter was trained on, a
            patient is on two sides, or a setting is unknown or not allowed.

    >>> train_classifier(700, "diagnoses.csv", "classifier", epoch=100)
    Traceback (most recent call last):
    nnunet_plugins.errors.UserError: train_classifier: unknown setting 'epoch'; allowed: network, size, spacing, \
channel, lesions, epochs, batch, learning_rate, positive_weight, augment, seeds
    """
    from dataclasses import fields

    from nnunet_plugins.classifier.settings import Settings
    from nnunet_plugins.classifier.splits import with_splits
    from nnunet_plugins.classifier.table import read_table
    from nnunet_plugins.classifier.train import prepare, train
    from nnunet_plugins.prediction import find_device

    allowed = [one.name for one in fields(Settings)]
    if unknown := sorted(set(settings) - set(allowed)):
        raise UserError(
            f"train_classifier: unknown setting {unknown[0]!r}; allowed: {', '.join(allowed)}"
        )
    chosen = Settings.from_json(settings)
    found = find_device(device)
    cases = read_table(Path(table), label=label_column, positive=positive)
    rows = with_splits(cases, fold=fold, shares=shares, seed=split_seed)
    sources = _sources(dataset, model, masks, reference_masks)
    classifier = prepare(Path(output), rows, cases.classes, sources, chosen, Path(table))
    for note in classifier.notes:
        say(f"note     {note}")
    train(classifier, device=found, say=say)
    return classifier


def classify(
    classifier: StrPath,
    output: StrPath,
    *,
    external: int | str | None = None,
    diagnoses: StrPath | None = None,
    unrelated_ids: bool = False,
    model: StrPath | None = None,
    masks: Sequence[StrPath] = (),
    reference_masks: bool = False,
    label_column: str = "label",
    grad_cam: int = 0,
    device: Device = "auto",
) -> tuple[Predictions, list[Path]]:
    """Score validation and test cases, or another dataset, as `nnunet-plugins classify predict` does.

    Args:
        classifier: folder of `train_classifier`.
        output: folder for predictions.csv, predictions.json and maps.
        external: id or name of another dataset, which is scored instead.
        diagnoses: CSV file of its cases, patients and diagnoses; without one, all of its images are scored.
        unrelated_ids: whether equal ids of patients in this table and that of the training are different patients.
        model: the segmenter's folder, for another dataset.
        masks: folders of predicted masks of another dataset.
        reference_masks: uses drawn masks of another dataset; every output is marked.
        label_column: of the table of diagnoses.
        grad_cam: number of cases of each test set with a Grad-CAM map.
        device: of torch.

    Returns:
        The probabilities and calls, and the files.

    Raises:
        UserError: the training is not finished, a file is missing or not understood, or images or patients are those
            of the training.
    """
    from nnunet_plugins.classifier.external import external_cases
    from nnunet_plugins.classifier.folder import read_classifier
    from nnunet_plugins.classifier.maps import write_maps
    from nnunet_plugins.classifier.predict import NEW, predict, write_predictions
    from nnunet_plugins.prediction import find_device

    if grad_cam < 0:
        raise UserError(f"--grad-cam {grad_cam}: expected 0 or more")
    device_found = find_device(device)
    trained = read_classifier(Path(classifier))
    splits: tuple[str, ...] = ("validation", "test", "external")
    if external is not None:
        sources = _sources(external, model, masks, reference_masks)
        table = None if diagnoses is None else Path(diagnoses)
        trained = external_cases(trained, sources, table, label_column, unrelated_ids=unrelated_ids)
        splits = ("external", NEW)
    found = predict(trained, splits, device=device_found)
    files = write_predictions(Path(output), found)
    if grad_cam:
        sides = ("test", "external", NEW)
        chosen = [one.case for side in sides for one in found.of(side)[:grad_cam]]
        files += write_maps(Path(output), trained, chosen, device=device_found)
    return found, files


def evaluate_classifier(
    predictions: StrPath,
    output: StrPath | None = None,
    *,
    against: StrPath | None = None,
    readers: StrPath | None = None,
    paper: bool = False,
    resamples: int = 2000,
) -> tuple[Evaluation, list[Path]]:
    """Measure a classifier on its test cases, as `nnunet-plugins classify evaluate` does.

    Args:
        predictions: folder of `classify`, or a folder with one such folder for each fold of a cross-validation.
        output: folder for tables, figures and the page; None writes nothing.
        against: the same of another classifier on the same cases.
        readers: CSV file with the columns case, reader and call.
        paper: shows table 4 of sij-fm-25d-attention-unet.
        resamples: of the bootstrap.

    Returns:
        Results for each test set, comparisons, and the files.

    Raises:
        UserError: a file is missing or not understood, folds are missing, or a test set has one class only.
    """
    from nnunet_plugins.classifier.folds import read_classified
    from nnunet_plugins.classifier.measures import evaluate
    from nnunet_plugins.classifier.paired import compare, read_readers
    from nnunet_plugins.classifier.report import Evaluation, write

    paths = [Path(predictions), *([Path(against)] if against is not None else [])]
    first, *rest = [read_classified(path) for path in paths]
    splits = [side for side in ("test", "external") if first.of(side)] or ["test"]
    results = tuple(evaluate(first, side, resamples=resamples) for side in splits)
    second = evaluate(rest[0], splits[0], resamples=resamples) if rest else None
    found = Evaluation(
        paths[0].resolve().name,
        results,
        (paths[1].resolve().name, second) if second else None,
        compare(results[0], second) if second else None,
        tuple(read_readers(Path(readers), results[0])) if readers is not None else (),
        paper,
        tuple(sorted(paths[0].rglob("*_gradcam.png"))) if paths[0].is_dir() else (),
    )
    return found, write(Path(output), found) if output is not None else []


def _sources(
    dataset: int | str, model: StrPath | None, masks: Sequence[StrPath], references: bool
) -> Sources:
    from nnunet_plugins.classifier.train import Sources
    from nnunet_plugins.nnunet_folders import find_dataset, folder_of

    raw = folder_of("nnUNet_raw")
    return Sources(
        raw / find_dataset(raw, str(dataset)),
        None if model is None else Path(model),
        tuple(map(Path, several(masks))),
        references,
    )
