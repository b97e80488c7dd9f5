"""The whole main job on synthetic patients: convert, plan, train, predict, evaluate."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where, on what, how long."""
    parser.add_argument("-o", dest="folder", type=Path, default=Path("demo-output"), metavar="DIR",
                        help="everything is written here (default: %(default)s)")  # fmt: skip
    parser.add_argument(
        "-device", choices=("cpu", "cuda", "mps"), help="default: cuda if there is one, else cpu"
    )
    parser.add_argument(
        "--epochs", type=int, default=5, metavar="N", help="of 20 steps (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; print the scores, the report's path and what to type for one's own data."""
    from nnunet_plugins.demo import OWN_DATA, Demo
    from nnunet_plugins.evaluation import evaluate

    device = arguments.device
    if device is None:
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    demo = Demo(
        arguments.folder.resolve(), device, arguments.epochs, lambda line: print(line, flush=True)
    )
    report = demo.run()
    print()
    print(evaluate(demo.folder / "predictions", demo.folder / "reference"))
    print(f"\nreport   {report}\n\nYour own data:\n" + "\n".join(f"  {line}" for line in OWN_DATA))
    return 0
