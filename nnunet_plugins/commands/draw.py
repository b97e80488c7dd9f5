"""Draw the network of plans: stages, sizes and blocks."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnunet_plugins.commands.model_arguments import add_plans


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare WHAT [-p NAME] [-c NAME] [--network NAME] [-o FILE]."""
    add_plans(parser)
    parser.add_argument(
        "-c", dest="configuration", metavar="NAME", help="default: 3d_fullres if planned"
    )
    parser.add_argument(
        "--network", metavar="NAME",
        help="network to build on the plans' topology; default: the plans' own",
    )  # fmt: skip
    parser.add_argument(
        "-o", dest="output", type=Path, metavar="FILE",
        help=".svg, .png or .pdf (default: NETWORK_CONFIGURATION.svg in this folder)",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Write the drawing and print its path."""
    from nnunet_plugins.costs.profile import not_as_planned, read_dataset, select_plans, setup_for
    from nnunet_plugins.drawing.parts import decompose
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
    configuration = arguments.configuration or ("3d_fullres" if "3d_fullres" in known else known[0])
    name, setup = setup_for(plans, configuration, dataset, arguments.network)
    output = arguments.output or Path(f"{name}_{configuration}.svg")
    patch = "×".join(map(str, setup.patch))
    subtitle = f"{plans['plans_name']} · {configuration} · patch {patch} · batch {setup.batch}"
    try:
        drawing = decompose(setup)
    except ValueError as error:
        raise UserError(str(error)) from error
    except MALFORMED as error:
        raise not_as_planned(name, error) from error
    draw(drawing, name, subtitle, output)
    print(output)
    return 0
