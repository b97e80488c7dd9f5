"""Run the main job on synthetic patients: convert, plan, train, predict, evaluate."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare [--dataset NAME] [-o DIR] [-device NAME] [--epochs N]."""
    parser.add_argument(
        "--dataset", choices=("hospital-ct", "spider", "csig", "sij-mri"), default="hospital-ct",
        help="phantom to write, in the on-disk format of this dataset (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("-o", dest="folder", type=Path, default=Path("demo-output"), metavar="DIR",
                        help="output folder (default: %(default)s)")  # fmt: skip
    parser.add_argument(
        "-device", choices=("cpu", "cuda", "mps"), help="default: cuda if available, else cpu"
    )
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="epochs of 20 iterations (default: 5; csig: 6)"
    )
    parser.add_argument(
        "--classify", action="store_true",
        help="with --dataset sij-mri: go on to a diagnosis, from the lesions that two folds segment",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; print the scores, the path of the report and the commands for your own data."""
    from nnunet_plugins.demo import Demo, own_data
    from nnunet_plugins.evaluation import evaluate, score_table

    device = arguments.device
    if device is None:
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"

    def say(line: str) -> None:
        print(line, flush=True)

    folder = arguments.folder.resolve()
    if arguments.classify:
        return _classify(folder, device, arguments, say)
    demo = Demo(folder, device, arguments.epochs, say, arguments.dataset)
    report = demo.run()
    print()
    print(score_table(evaluate(*demo.scored())))
    print(f"\nreport   {report}\n\nYour own data:")
    print("\n".join(f"  {line}" for line in own_data(arguments.dataset)))
    return 0


def _classify(
    folder: Path, device: str, arguments: argparse.Namespace, say: Callable[[str], None]
) -> int:
    from nnunet_plugins.classify_demo import DiagnosisDemo
    from nnunet_plugins.errors import UserError
    from nnunet_plugins.plans_file import read_object

    if arguments.dataset != "sij-mri":
        raise UserError(f"--classify: pass --dataset sij-mri; {arguments.dataset} has no diagnoses")
    page = DiagnosisDemo(folder, device, arguments.epochs, say, arguments.dataset).run()
    auc = read_object(page.with_name("scores.json"))["splits"]["test"]["measures"]["auc"]
    print(f"\nAUC of the withheld patients: {auc['value']:.3f}\nreport   {page}")
    return 0
