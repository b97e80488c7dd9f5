"""Measure how a model's predictions change under noise, blur, bias field, coarser voxels and rotation."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from nnunet_plugins.commands.model_arguments import add_model, add_weights

WAYS = {
    "noise": ("K", "cai2023-aspp-unet: grey values on 0-255 plus K * Z, rounded, clipped"),
    "blur": ("MM", "Gaussian with this standard deviation"),
    "bias": ("C", "gain field, exp of a polynomial with coefficients up to C"),
    "spacing": ("TIMES", "voxels this many times as long"),
    "rotation": ("DEGREES", "rotation about --axis"),
}
USUAL = {"noise": [10.0, 30.0, 50.0, 70.0, 90.0]}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare MODEL INPUT, the references, and the strengths of each perturbation."""
    add_model(parser)
    parser.add_argument(
        "input", metavar="INPUT", type=Path, help="folder of images, as for nnUNetv2_predict"
    )
    parser.add_argument(
        "--labels", metavar="REF", type=Path, required=True, help="folder of reference label maps"
    )
    parser.add_argument(
        "-o", dest="output", metavar="DIR", type=Path, default=Path("robustness"),
        help="folder for robustness.json, .png and .svg (default: %(default)s)",
    )  # fmt: skip
    ways = parser.add_argument_group("perturbations (default: --noise 10 30 50 70 90)")
    for name, (metavar, about) in WAYS.items():
        ways.add_argument(f"--{name}", type=float, nargs="+", metavar=metavar, help=about)
    parser.add_argument(
        "--axis", choices=("x", "y", "z"), default="z",
        help="axis of the body, LPS (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--window", type=float, nargs=2, metavar=("LOW", "HIGH"),
        help="values that become grey 0 and 255 (default: each volume's minimum and maximum)",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the random numbers (default: %(default)s)"
    )
    parser.add_argument(
        "--show", metavar="CASE", default="",
        help="also write robustness_CASE.png: its images under every condition, and their predictions",
    )  # fmt: skip
    add_weights(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, write, and print the table."""
    from tqdm import tqdm

    from nnunet_plugins.errors import UserError
    from nnunet_plugins.prediction import find_model, load
    from nnunet_plugins.prediction.inputs import find_inputs
    from nnunet_plugins.reports.perturbed_panels import perturbed_panels
    from nnunet_plugins.robustness.curves import draw, table
    from nnunet_plugins.robustness.perturbations import Setting, check_strengths
    from nnunet_plugins.robustness.run import measure, notes_about
    from nnunet_plugins.text_table import columns, remark

    given = {name: getattr(arguments, name) for name in WAYS if getattr(arguments, name)}
    asked: dict[str, list[float]] = given or USUAL
    window = None if arguments.window is None else (arguments.window[0], arguments.window[1])
    if window is not None and window[0] >= window[1]:
        raise UserError(f"--window {window[0]:g} {window[1]:g}: the first must be below the second")
    check_strengths(asked)
    model = find_model(arguments.model, arguments.folds, arguments.checkpoint)
    cases = find_inputs(arguments.input, model)  # before the model is loaded
    print(f"note   {model.warning}", file=sys.stderr)
    for note in notes_about(model, cases, arguments.labels):
        print(f"note   {note}", file=sys.stderr)
    predictor = load(model, arguments.device)

    def progress(steps: list[Any]) -> Any:
        return tqdm(steps, unit="case", desc="predict", file=sys.stderr, disable=None)

    found = measure(
        model, predictor, arguments.input, arguments.labels, asked,
        Setting(arguments.seed, window, arguments.axis), progress, arguments.show,
    )  # fmt: skip
    files = [arguments.output / f"robustness.{ending}" for ending in ("png", "svg", "json")]
    if arguments.show:
        files.append(arguments.output / f"robustness_{arguments.show}.png")
        perturbed_panels(files[3:], found, model.folder / "dataset.json")
    _write(files[:3], found, draw)
    rows = table(found)
    print(columns(rows, right=range(1, len(rows[0]))))
    print()
    about = "Mean Dice over the cases of each label, and the mean over labels, on the references' grids."
    print(remark("note  ", about))
    print("\n".join(f"written  {path}" for path in files))
    return 0


def _write(files: list[Path], found: Any, draw: Any) -> None:
    """Write all three files, or none."""
    from nnunet_plugins.atomic_files import placed_in
    from nnunet_plugins.errors import UserError

    try:
        with placed_in(files[0].parent) as scratch:
            *pictures, record = (scratch / path.name for path in files)
            draw(found, pictures)
            text = json.dumps(found.to_dict(), indent=1, allow_nan=False) + "\n"
            record.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{files[0].parent}: is not writable ({error}); pass -o DIR") from error
