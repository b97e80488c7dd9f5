"""Estimate the cost of plans before training: parameters, operations, memory, time."""

from __future__ import annotations

import argparse
import json
from typing import Any

from nnunet_plugins.commands.model_arguments import add_plans
from nnunet_plugins.text_table import columns, remark


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare WHAT [--network NAME ...] [-c NAME ...] [--gpu NAME | --measure] [--json]."""
    add_plans(parser)
    parser.add_argument(
        "--network", nargs="+", metavar="NAME", default=[],
        help="networks to build on the plans' topology, or 'all'; default: the plans' own",
    )  # fmt: skip
    parser.add_argument(
        "-c", dest="configurations", nargs="+", default=[], metavar="CONFIGURATION",
        help="default: all",
    )  # fmt: skip
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--gpu", "--card", dest="gpu", metavar="NAME",
        help="estimate step times for this GPU, e.g. RTX3090",
    )  # fmt: skip
    where.add_argument("--measure", action="store_true", help="measure real steps on this machine")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    import os

    from nnunet_plugins.costs.profile import profile, read_dataset, select_plans
    from nnunet_plugins.networks import NETWORKS, find

    networks = list(NETWORKS) if arguments.network == ["all"] else arguments.network
    for name in networks:
        find(name)
    read = [read_dataset(path) for path in select_plans(arguments.what, arguments.plans_name)]
    which = {"networks": networks, "configurations": arguments.configurations}
    clock = _clock(arguments)
    rows = [row for plans, dataset in read for row in profile(plans, dataset, clock, **which)]
    if arguments.json:
        print(json.dumps([row.to_dict() for row in rows], indent=1))
        return 0
    print(_table(rows))
    if not arguments.measure and os.environ.get("nnUNet_compile", "").lower() not in (
        "f",
        "0",
        "false",
    ):
        print(
            remark("", "Counted without compilation; a compiled step takes less memory and time.")
        )
    return 0


def _clock(arguments: argparse.Namespace) -> Any:
    import torch

    from nnunet_plugins.costs.cpu_speed import probe
    from nnunet_plugins.costs.gpus import find_gpu
    from nnunet_plugins.costs.profile import Clock

    if arguments.gpu:
        return Clock(arguments.gpu, find_gpu(arguments.gpu))
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        return Clock(name)
    return Clock("this machine's CPU, in fp32", None if arguments.measure else probe())


def _table(rows: list[Any]) -> str:
    """Return one block per configuration, then what could not be counted and a legend."""
    heads = (
        "network",
        "M params",
        "TFLOP",
        "weights+state",
        "activations",
        "peak GB",
        "GPU GB",
        "s/step",
        "hours",
    )
    lines: list[str] = []
    problems: dict[str, list[str]] = {}  # and the configurations that have them
    blocks: dict[tuple[Any, ...], list[tuple[str, ...]]] = {}
    for row in rows:
        key = (row.plans, row.configuration, row.patch, row.batch)
        block = blocks.setdefault(key, [heads])
        if row.footprint is None:
            problems.setdefault(row.problem, []).append(row.configuration)
            continue
        cost = row.footprint
        block.append(
            (
                row.network,
                f"{cost.parameters / 1e6:.2f}",
                _number(cost.flops / 1e12, 2),
                _number((cost.weight_bytes + cost.state_bytes) / 1e9, 2),
                _number(cost.activation_bytes / 1e9, 2),
                _number(cost.peak_bytes / 1e9, 2),
                _number(row.needs_gb, 1),
                _number(row.seconds, 2),
                _number(row.hours, 1),
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
                "Training step under fp16 autocast, as on a GPU, in GB (1e9 bytes); in fp32, as on a CPU, "
                "activations take up to twice as much. 'GPU GB' is the smallest sufficient --gpu-memory of `plan`, "
                f"with a margin for what is not counted. Time is {timed.seconds_from}"
                + ("; hours are the planned epochs." if timed.hours else "."),
            )
        )
    for problem, where in problems.items():
        lines.append(remark("not possible:", f"{', '.join(dict.fromkeys(where))}: {problem}"))
    return "\n".join(lines)


def _number(value: float, digits: int) -> str:
    """Round to decimals, but keep one significant digit of what would round to zero."""
    rounded = f"{value:.{digits}f}"
    return rounded if float(rounded) or not value else f"{float(f'{value:.1g}'):f}".rstrip("0")
