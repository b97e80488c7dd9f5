"""Arguments of the commands that predict with a trained model."""

from __future__ import annotations

import argparse
from pathlib import Path


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
