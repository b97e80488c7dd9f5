"""The whole main job on synthetic patients: convert, plan, train, predict, evaluate."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """On which phantom, where, on what, how long."""
    parser.add_argument(
        "--dataset", choices=("hospital-ct", "spider", "csig", "sij-mri"), default="hospital-ct",
        help="whose phantom, in its own on-disk format (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("-o", dest="folder", type=Path, default=Path("demo-output"), metavar="DIR",
                        help="everything is written here (default: %(default)s)")  # fmt: skip
    parser.add_argument(
        "-device", choices=("cpu", "cuda", "mps"), help="default: cuda if there is one, else cpu"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="of 20 steps (default: 5 or more)")


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; print the scores, the report's path and what to type for one's own data."""
    from nnunet_plugins.demo import Demo, own_data
    from nnunet_plugins.evaluation import evaluate, score_table

    device = arguments.device
    if device is None:
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"

    def say(line: str) -> None:
        print(line, flush=True)

    folder = arguments.folder.resolve()
    demo = Demo(folder, device, arguments.epochs, say, arguments.dataset)
    report = demo.run()
    print()
    print(score_table(evaluate(*demo.scored())))
    print(f"\nreport   {report}\n\nYour own data:")
    print("\n".join(f"  {line}" for line in own_data(arguments.dataset)))
    return 0
