"""Score predicted label maps against references: Dice, IoU, precision, recall, HD95, ASSD."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare PRED REF [-o FILE] [-djfile FILE] [--chill]; the option names are nnU-Net's."""
    parser.add_argument("prediction", metavar="PRED", type=Path, help="label map or folder of them")
    parser.add_argument("reference", metavar="REF", type=Path, help="label map or folder of them")
    parser.add_argument("-o", metavar="FILE.json", type=Path, help="write every score as JSON")
    parser.add_argument(
        "-djfile",
        metavar="FILE",
        type=Path,
        help="nnU-Net's dataset.json; else it is looked for beside PRED, then beside and above REF",
    )
    parser.add_argument(
        "--chill", action="store_true", help="score only what was predicted, e.g. one fold"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    from tqdm import tqdm

    from nnunet_plugins.evaluation import evaluate

    def progress(pairs: list[Any]) -> Iterable[Any]:
        # disable=None: silent where stderr is a file.
        return tqdm(pairs, unit="case", desc="evaluate", file=sys.stderr, disable=None)

    scores = evaluate(
        arguments.prediction,
        arguments.reference,
        dataset_json=arguments.djfile,
        output=arguments.o,
        progress=progress,
        chill=arguments.chill,
    )
    print(scores.table())
    if arguments.o is not None:
        print(f"written: {arguments.o}")
    return 0
