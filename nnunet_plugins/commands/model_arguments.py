"""Arguments of the commands that take plans or a trained model."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_plans(parser: argparse.ArgumentParser) -> None:
    """Declare PLANS|DATASET [-p NAME]."""
    parser.add_argument(
        "what", metavar="PLANS|DATASET",
        help="plans file, model folder, or id or name of a planned dataset",
    )  # fmt: skip
    parser.add_argument(
        "-p", dest="plans_name", metavar="NAME", help="select the dataset's plans of this name"
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Declare MODEL."""
    parser.add_argument(
        "model", metavar="MODEL", type=Path, help="folder TRAINER__PLANS__CONFIGURATION"
    )


def add_weights(parser: argparse._ActionsContainer) -> None:
    """Declare [-f FOLD ...] [-chk FILE] [-device NAME], as nnU-Net calls them."""
    parser.add_argument(
        "-f", dest="folds", nargs="+", metavar="FOLD", help="folds (default: average all trained)"
    )
    parser.add_argument(
        "-chk", dest="checkpoint", default="checkpoint_final.pth", metavar="FILE",
        help="checkpoint file in each fold's folder (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("-device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
