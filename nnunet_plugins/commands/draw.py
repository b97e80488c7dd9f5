"""Draw the network of plans: stages, sizes, and where the blocks sit."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare WHAT [-p NAME] [-c NAME] [--network NAME] [-o FILE]."""
    parser.add_argument(
        "what",
        metavar="PLANS|DATASET",
        help="plans file, model folder, or a planned dataset's id or name",
    )
    parser.add_argument("-p", dest="plans_name", metavar="NAME", help="which plans of the dataset")
    parser.add_argument(
        "-c", dest="configuration", metavar="NAME", help="default: 3d_fullres if it is there"
    )
    parser.add_argument("--network", metavar="NAME", help="this network on the plans' topology")
    parser.add_argument(
        "-o",
        dest="output",
        type=Path,
        metavar="FILE",
        help=".svg, .png or .pdf (default: NETWORK_CONFIGURATION.svg here)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the picture and say where."""
    from nnunet_plugins.costs.profile import not_as_planned, read_dataset, select_plans, setup_for
    from nnunet_plugins.drawing.parts import take_apart
    from nnunet_plugins.drawing.picture import draw
    from nnunet_plugins.errors import UserError
    from nnunet_plugins.plans_file import MALFORMED

    paths = select_plans(arguments.what, arguments.plans_name)
    if len(paths) > 1:
        raise UserError(
            f"{arguments.what}: several plans; choose with -p: {', '.join(p.stem for p in paths)}"
        )
    plans, dataset = read_dataset(paths[0])
    known = list(plans["configurations"])
    wanted = arguments.configuration or ("3d_fullres" if "3d_fullres" in known else known[0])
    name, setup = setup_for(plans, wanted, dataset, arguments.network)
    output = arguments.output or Path(f"{name}_{wanted}.svg")
    patch = "×".join(map(str, setup.patch))
    about = f"{plans['plans_name']} · {wanted} · patch {patch} · batch {setup.batch}"
    try:
        drawing = take_apart(setup)
    except ValueError as error:
        raise UserError(str(error)) from error
    except MALFORMED as error:
        raise not_as_planned(name, error) from error
    draw(drawing, name, about, output)
    print(output)
    return 0
