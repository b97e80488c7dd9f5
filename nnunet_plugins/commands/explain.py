"""Explain a prediction: Grad-CAM of a class at a layer over an entire case, and the network's attention maps."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from nnunet_plugins.commands.model_arguments import add_model, add_weights


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare MODEL CASE and the options."""
    add_model(parser)
    parser.add_argument(
        "case", metavar="CASE", type=Path, nargs="?",
        help="the case's image (with several channels, CASE_0000)",
    )  # fmt: skip
    parser.add_argument(
        "-o", dest="output", metavar="DIR", type=Path, default=Path("explain"),
        help="folder for maps, figure and JSON (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--label", nargs="+", metavar="NAME", help="classes (default: the first foreground class)"
    )
    parser.add_argument(
        "--layer", metavar="NAME", help="layer of the Grad-CAM (default: the bottleneck)"
    )
    parser.add_argument(
        "--list-layers", action="store_true", help="list the layers that output maps, and exit"
    )
    parser.add_argument(
        "--everywhere", action="store_true",
        help="explain the class's logits at every voxel, not only where the class is predicted",
    )  # fmt: skip
    add_weights(parser)


def run(arguments: argparse.Namespace) -> int:
    """Explain and write, or list the layers."""
    from nnunet_plugins.errors import UserError
    from nnunet_plugins.prediction import find_model, load

    model = find_model(arguments.model, arguments.folds, arguments.checkpoint)
    if arguments.case is None and not arguments.list_layers:
        raise UserError("explain: expected CASE, the image of a case, or --list-layers")
    print(f"note   {model.warning}", file=sys.stderr)
    predictor = load(model, arguments.device)

    from nnunet_plugins.explain.case import explain, find_images, list_layers

    if arguments.list_layers:
        print(_layers(list_layers(predictor, model)))
        return 0
    from tqdm import tqdm

    def progress(windows: list[Any]) -> Any:
        return tqdm(windows, unit="window", desc="explain", file=sys.stderr, disable=None)

    images = find_images(arguments.case, model)
    found = explain(
        predictor, model, images, labels=arguments.label, layer=arguments.layer,
        everywhere=arguments.everywhere, progress=progress,
    )  # fmt: skip
    stem = re.sub(r"_0000$", "", arguments.case.name[: -len(model.ending)])
    for path in _write(arguments.output, stem, found, predictor.trainer_name, arguments.everywhere):
        print(f"written  {path}")
    for note in found.notes:
        print(f"note     {note}")
    for name, peak in found.peaks.items():
        if not peak:
            print(f"note     {name}: the map is empty: the network predicts no voxel of this class, or nothing "
                  "at this layer contributes to it (--everywhere explains every voxel)")  # fmt: skip
    return 0


def _layers(layers: Any) -> str:
    from nnunet_plugins.explain.layers import default_layer
    from nnunet_plugins.text_table import columns

    default = default_layer(layers)
    rows = [("layer", "class", "channels", "size", "")]
    rows += [
        (
            one.name,
            one.kind,
            str(one.channels),
            "x".join(map(str, one.size)),
            "default" * (one.name == default),
        )
        for one in layers
    ]
    return columns(rows, right=(2,))


def _write(folder: Path, stem: str, found: Any, trainer: str, everywhere: bool) -> list[Path]:
    """Write all files, or none."""
    import SimpleITK as sitk

    from nnunet_plugins.atomic_files import placed_in
    from nnunet_plugins.errors import UserError
    from nnunet_plugins.explain.overlay import draw

    maps = {f"gradcam_{name}": one for name, one in found.cams.items()}
    maps |= {f"attention_{name}": one for name, one in found.attention.items()}
    names = {key: f"{stem}_{re.sub(r'[^A-Za-z0-9.-]+', '_', key)}.nii.gz" for key in maps}
    record = {
        "format": "nnunet-plugins explanation",
        "format_version": 1,
        "trainer": trainer,
        "method": "Grad-CAM (MONAI) of the class's logits summed over "
        + ("every voxel" if everywhere else "the voxels predicted as the class (Seg-Grad-CAM)")
        + ", per window with nnU-Net's steps and weights, averaged over folds, without mirroring; each map is "
        "divided by its maximum",
        "layer": vars(found.layer),
        "largest_value": found.peaks,
        "files": names,
    }
    captions = dict(found.cams)
    gates = {_short(name): one for name, one in found.attention.items()}
    written = [*names.values(), f"{stem}_explain.png", f"{stem}_explain.json"]
    try:
        with placed_in(folder) as scratch:
            for key, one in maps.items():
                sitk.WriteImage(one, str(scratch / names[key]))
            draw(
                scratch / written[-2],
                found.image,
                captions | gates,
                f"Grad-CAM at {found.layer.name}, {trainer}",
                tuple(gates),
                oriented=found.oriented,
            )
            text = json.dumps(record, indent=1) + "\n"
            (scratch / written[-1]).write_text(text, encoding="utf-8")
    except (OSError, RuntimeError) as error:
        raise UserError(f"{folder}: is not writable ({error}); pass -o DIR") from error
    return [folder / name for name in written]


def _short(name: str) -> str:
    return name.replace("decoder.", "").replace("gates", "gate").replace("attentions", "attention")
