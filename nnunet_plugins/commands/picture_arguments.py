"""Options of `compare` for the pictures of several runs: panels and loss curves."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def add_pictures(parser: argparse.ArgumentParser) -> None:
    """Declare --panels and --curves, and how panels are drawn."""
    pictures = parser.add_argument_group("pictures (.png, .pdf or .svg)")
    pictures.add_argument(
        "--panels", metavar="FILE", type=Path,
        help="image, reference and the prediction of every run side by side, one line per case; the slice is chosen "
        "by the reference",
    )  # fmt: skip
    pictures.add_argument(
        "--curves", metavar="FILE", type=Path,
        help="training and validation loss of the model folders",
    )  # fmt: skip
    pictures.add_argument(
        "--images", metavar="DIR", type=Path,
        help="images of the panels (default for model folders: imagesTr of the dataset in nnUNet_raw)",
    )  # fmt: skip
    pictures.add_argument(
        "--case", metavar="CASE", nargs="+", default=[],
        help="in the panels (default: up to four, evenly spread over the names)",
    )  # fmt: skip
    pictures.add_argument(
        "--plane", choices=("axial", "coronal", "sagittal"), default="",
        help="of the panels (default: that of the finest voxels)",
    )  # fmt: skip
    pictures.add_argument(
        "--masked", action="store_true",
        help="panels show the image times the mask, as in yan2025-mag-unet, instead of coloured labels",
    )  # fmt: skip


def check_pictures(arguments: argparse.Namespace) -> None:
    """Check the files of the pictures, and that the runs have what they show, before the work.

    Raises:
        UserError: another ending, scores files for panels, or runs that are not trained for curves.
    """
    from nnunet_plugins.comparison.run_names import split_name
    from nnunet_plugins.errors import UserError
    from nnunet_plugins.figures import check_figure
    from nnunet_plugins.model_folder import is_model, model_of_fold

    for path in filter(None, (arguments.panels, arguments.curves)):
        check_figure(path)
    for path in (split_name(text)[1] for text in arguments.runs):
        if arguments.panels and path.is_file():
            raise UserError(
                f"--panels: {path} is a file of scores; pass the folder of its predictions"
            )
        if arguments.curves and not (is_model(path) or model_of_fold(path)):
            raise UserError(
                f"--curves: {path} is not a model folder of nnU-Net, so it has no training logs"
            )


def draw_pictures(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    """Draw the pictures of the runs and print their files.

    Args:
        arguments: of the command; its runs are model folders, folds or folders of predictions.
        names: of the runs, in their order.
    """
    from nnunet_plugins.comparison.run_names import split_name
    from nnunet_plugins.model_folder import is_model, read_model
    from nnunet_plugins.reports.loss_curves import loss_curves
    from nnunet_plugins.reports.panels import Style, panels

    paths = [split_name(text)[1] for text in arguments.runs]
    folders = {
        name: read_model(path, arguments.fold).folds if is_model(path) else (path,)
        for name, path in zip(names, paths, strict=True)
    }
    if arguments.panels:
        shown = panels(
            arguments.panels,
            folders,
            references=arguments.reference,
            images=arguments.images,
            cases=arguments.case,
            style=Style(arguments.plane, arguments.masked),
        )
        print(f"written: {arguments.panels} ({', '.join(shown)})")
    if arguments.curves:
        loss_curves(arguments.curves, folders)
        print(f"written: {arguments.curves}")
