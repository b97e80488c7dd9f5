"""What plans cost before they are trained: parameters, operations, memory, time."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from nnunet_plugins.commands.columns import columns, remark


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare WHAT [--network NAME ...] [-c NAME ...] [--card NAME | --measure] [--json]."""
    parser.add_argument(
        "what",
        metavar="PLANS|DATASET",
        help="plans file, model folder, or a planned dataset's id or name",
    )
    parser.add_argument(
        "--network",
        nargs="+",
        metavar="NAME",
        default=[],
        help="these networks on the plans' topology ('all': every one); default: the plans' own",
    )
    parser.add_argument(
        "-p", dest="plans_name", metavar="NAME", help="only the dataset's plans of this name"
    )
    parser.add_argument(
        "-c",
        dest="configurations",
        nargs="+",
        default=[],
        metavar="CONFIGURATION",
        help="default: all",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--card", metavar="NAME", help="estimate step times for this card, e.g. RTX3090"
    )
    where.add_argument("--measure", action="store_true", help="take real steps on this machine")
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    import os

    from nnunet_plugins.costs.profile import find_plans, profile
    from nnunet_plugins.errors import UserError
    from nnunet_plugins.networks import NETWORKS, find
    from nnunet_plugins.places import find_dataset, folder_of

    networks = list(NETWORKS) if arguments.network == ["all"] else arguments.network
    for name in networks:
        find(name)
    folder = None
    if not Path(arguments.what).exists():
        root = folder_of("nnUNet_preprocessed")
        folder = root / find_dataset(root, arguments.what)
    paths = find_plans(arguments.what, folder)
    if arguments.plans_name:
        named = [path for path in paths if path.stem == arguments.plans_name]
        if not named:
            raise UserError(
                f"-p {arguments.plans_name}: there are {', '.join(p.stem for p in paths)}"
            )
        paths = named
    clock = _clock(arguments)
    rows = []
    for path in paths:
        beside = path.with_name("dataset.json")
        if not beside.is_file():
            raise UserError(
                f"{path}: no dataset.json beside it, which tells channels and labels; put it there"
            )
        plans, dataset = _read(path), _read(beside)
        if "configurations" not in plans:
            raise UserError(f"{path}: no plans of nnU-Net: 'configurations' is missing")
        rows += profile(
            plans, dataset, clock, networks=networks, configurations=arguments.configurations
        )
    if arguments.json:
        print(json.dumps([row.to_dict() for row in rows], indent=1))
        return 0
    print(_table(rows))
    if not arguments.measure and os.environ.get("nnUNet_compile", "").lower() not in (
        "f",
        "0",
        "false",
    ):
        print(remark("", "Counted without compiling; a compiled step takes less memory and time."))
    return 0


def _clock(arguments: argparse.Namespace) -> Any:
    import torch

    from nnunet_plugins.costs.cards import find_card
    from nnunet_plugins.costs.profile import Clock, probe_processor

    if arguments.card:
        return Clock(arguments.card, find_card(arguments.card))
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        return Clock(name, measure=True)
    if arguments.measure:
        return Clock("this machine's processor", measure=True)
    return Clock("this machine's processor", flops_a_second=probe_processor())


def _read(path: Path) -> dict[str, Any]:
    from nnunet_plugins.errors import UserError

    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: an object is wanted, as nnU-Net writes it")
    return content


def _table(rows: list[Any]) -> str:
    """A block a configuration of plans, then what could not be counted and what the columns mean."""
    heads = (
        "network",
        "M params",
        "TFLOP",
        "weights+state",
        "activations",
        "peak GB",
        "card GB",
        "s/step",
        "hours",
    )
    lines: list[str] = []
    problems: list[str] = []
    blocks: dict[tuple[Any, ...], list[tuple[str, ...]]] = {}
    for row in rows:
        key = (row.plans, row.configuration, row.patch, row.batch)
        block = blocks.setdefault(key, [heads])
        if row.footprint is None:
            problems.append(f"{row.configuration}: {row.problem}")
            continue
        cost = row.footprint
        block.append(
            (
                row.network,
                f"{cost.parameters / 1e6:.2f}",
                f"{cost.flops / 1e12:.2f}",
                f"{(cost.weight_bytes + cost.state_bytes) / 1e9:.2f}",
                f"{cost.activation_bytes / 1e9:.2f}",
                f"{cost.peak_bytes / 1e9:.2f}",
                f"{row.needs_gb:.1f}",
                f"{row.seconds:.2f}",
                f"{row.hours:.1f}",
            )
        )
    for (plans, configuration, patch, batch), block in blocks.items():
        lines += [f"{plans} {configuration}: patch {'x'.join(map(str, patch))}, batch {batch}"]
        if len(block) > 1:
            lines += [columns(block, right=range(1, len(heads)))]
        lines += [""]
    timed = next((row for row in rows if row.footprint is not None), None)
    if timed is not None:
        lines.append(
            remark(
                "",
                "A training step at fp16 autocast, in GB (1e9 bytes). 'card' is the card that nnU-Net would name for "
                f"it, with room for what is not counted (--gpu-memory of `plan`). Time is {timed.seconds_from}"
                + ("; hours are the planned epochs." if timed.hours else "."),
            )
        )
    return "\n".join([*lines, *(remark("not possible:", p) for p in dict.fromkeys(problems))])
