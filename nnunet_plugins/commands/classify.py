"""Tell two diagnoses apart from images and segmented lesions: train, predict, evaluate."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

_DATASET = "id or name of the dataset in nnUNet_raw"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare train, predict and evaluate."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_train(
        actions.add_parser(
            "train",
            help="train a classifier",
            description="Train a classifier; the same command continues an interrupted training.",
        )
    )
    _add_predict(
        actions.add_parser(
            "predict",
            help="score patients",
            description="Score the validation and test cases of a classifier's table, or other images.",
        )
    )
    _add_evaluate(
        actions.add_parser(
            "evaluate",
            help="measure a classifier",
            description="Measure a classifier on its test cases, next to readers or a second classifier.",
        )
    )


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", metavar="DATASET", help=_DATASET)
    parser.add_argument(
        "table",
        metavar="TABLE.csv",
        type=Path,
        help="columns case, patient, label, and split or fold",
    )
    parser.add_argument(
        "-o",
        dest="output",
        metavar="DIR",
        type=Path,
        required=True,
        help="folder of the classifier",
    )
    _add_masks(parser)
    parser.add_argument(
        "--label-column", metavar="NAME", default="label", help="default: %(default)s"
    )
    parser.add_argument(
        "--positive", metavar="VALUE", help="the positive class (default: 1 of 0 and 1)"
    )
    parser.add_argument(
        "--fold", type=int, metavar="F", help="test on this fold of the table, validate on the next"
    )
    parser.add_argument(
        "--shares", nargs=3, type=float, metavar="N", default=(455, 64, 129),
        help="training, validation and test patients for a table without splits (default: 455 64 129)",
    )  # fmt: skip
    parser.add_argument(
        "--split-seed", type=int, metavar="N", default=0, help="default: %(default)s"
    )
    parser.add_argument(
        "--network",
        metavar="NAME",
        default="densenet121",
        help="densenet121 (default), resnet18, or densenet-small for trials without a GPU",
    )
    parser.add_argument(
        "--size", nargs=3, type=int, metavar="N", default=(16, 192, 192),
        help="slices, rows, columns (default: 16 192 192)",
    )  # fmt: skip
    parser.add_argument(
        "--spacing", nargs=3, type=float, metavar="MM", default=(7, 1, 1),
        help="across slices, along rows, along columns (default: 7 1 1)",
    )  # fmt: skip
    parser.add_argument(
        "--channel", type=int, metavar="N", default=0, help="of the images (default: 0)"
    )
    parser.add_argument(
        "--lesions", nargs="+", metavar="LABEL", default=[], help="labels that count (default: all)"
    )
    parser.add_argument("--epochs", type=int, metavar="N", default=300, help="default: %(default)s")
    parser.add_argument("--batch", type=int, metavar="N", default=8, help="default: %(default)s")
    parser.add_argument(
        "--learning-rate", type=float, metavar="X", default=1e-3, help="of Adam (default: 0.001)"
    )
    parser.add_argument(
        "--positive-weight", type=float, metavar="W", default=1.0, help="in the loss (default: 1)"
    )
    parser.add_argument(
        "--no-augmentation",
        dest="augment",
        action="store_false",
        help="train on the images as they are",
    )
    parser.add_argument(
        "--seeds",
        nargs="+",
        type=int,
        metavar="N",
        default=[0],
        help="one training each (default: 0)",
    )
    _add_device(parser)


def _add_predict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "classifier", metavar="CLASSIFIER", type=Path, help="folder of classify train"
    )
    parser.add_argument("-o", dest="output", metavar="DIR", type=Path, required=True)
    parser.add_argument(
        "--external", metavar="DATASET", help=f"score another dataset instead: {_DATASET}"
    )
    parser.add_argument(
        "--diagnoses", metavar="TABLE.csv", type=Path, help="cases and diagnoses of --external"
    )
    parser.add_argument(
        "--unrelated-ids", action="store_true",
        help="patients of --diagnoses and of the training with one id are different patients",
    )  # fmt: skip
    _add_masks(parser)
    parser.add_argument(
        "--label-column", metavar="NAME", default="label", help="default: %(default)s"
    )
    parser.add_argument(
        "--grad-cam",
        type=int,
        metavar="N",
        default=0,
        help="Grad-CAM of the first N cases of each test set",
    )
    _add_device(parser)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "predictions", metavar="PREDICTIONS", type=Path, nargs="+",
        help="folder of classify predict, or a folder with one such folder for each fold; a second one, of another "
        "classifier, is compared with the first",
    )  # fmt: skip
    parser.add_argument("-o", dest="output", metavar="DIR", type=Path, default=Path("classification"),
                        help="default: %(default)s")  # fmt: skip
    parser.add_argument(
        "--readers", metavar="CALLS.csv", type=Path, help="columns case, reader, call"
    )
    parser.add_argument(
        "--paper", action="store_true", help="show table 4 of sij-fm-25d-attention-unet"
    )
    parser.add_argument(
        "--resamples", type=int, metavar="N", default=2000, help="of the bootstrap (default: 2000)"
    )


def _add_masks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", metavar="MODEL", type=Path,
        help="the segmenter's folder: masks of its training cases are the validation predictions of its folds",
    )  # fmt: skip
    parser.add_argument(
        "--masks", metavar="DIR", type=Path, nargs="+", default=[],
        help="predicted masks of cases that no fold was trained on",
    )  # fmt: skip
    parser.add_argument(
        "--reference-masks", action="store_true",
        help="use drawn masks (labelsTr, labelsTs or --masks); every output is marked",
    )  # fmt: skip


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-device", default="auto", choices=("auto", "cpu", "cuda", "mps"))


def run(arguments: argparse.Namespace) -> int:
    """Run the action."""
    return {"train": _train, "predict": _predict, "evaluate": _evaluate}[arguments.action](
        arguments
    )


def _named(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options by the names of the function's arguments."""
    own = ("action", "command", "debug")
    return {name: value for name, value in vars(arguments).items() if name not in own}


def _train(arguments: argparse.Namespace) -> int:
    from nnunet_plugins.api import train_classifier
    from nnunet_plugins.classifier.folder import read_finished

    def say(line: str) -> None:
        print(line, flush=True)

    classifier = train_classifier(say=say, **_named(arguments))
    threshold = read_finished(classifier)["threshold"]
    print(f"written  {arguments.output} (threshold {threshold:.4f}, fixed on the validation set)")
    following = shlex.join(["nnunet-plugins", "classify", "predict", str(arguments.output)])
    print(f"next     {following} -o PREDICTIONS")
    return 0


def _predict(arguments: argparse.Namespace) -> int:
    from nnunet_plugins.api import classify

    found, files = classify(**_named(arguments))
    for path in files:
        print(f"written  {path}")
    for note in found.notes:
        print(f"note     {note}")
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    from nnunet_plugins.api import evaluate_classifier
    from nnunet_plugins.classifier.report import tables
    from nnunet_plugins.comparison.table_formats import text
    from nnunet_plugins.errors import UserError

    first, *rest = arguments.predictions
    if len(rest) > 1:
        raise UserError(
            "evaluate: at most two PREDICTIONS are compared; for a cross-validation, pass the folder that holds one "
            "folder of predictions for each fold"
        )
    options = _named(arguments)
    found, files = evaluate_classifier(
        **{**options, "predictions": first, "against": rest[0] if rest else None}
    )
    print(text(tables(found), found.warnings, ()))
    print()
    for path in files:
        print(f"written  {path}")
    return 0
