"""One training step of our networks against nnU-Net's own on the same plan, in one run.

    python benchmarks/train_step.py                                  # every network, 3D
    python benchmarks/train_step.py --patch 256 256                  # 2D
    python benchmarks/train_step.py -device cuda --patch 128 128 128 --compile
    python benchmarks/train_step.py --plans PLANS.json -c 3d_fullres --network MAGUNet
    python benchmarks/train_step.py --network MAGUNet --switch skip=plain --switch stem=plain

A step is forward, nnU-Net's deep-supervised Dice + CE, backward and SGD, under autocast on CUDA as in nnU-Net.
Each network alternates with the baseline, so that a drift in the machine's speed affects both. The second of two
steps is timed. Times are medians over rounds, ratios are medians of the rounds' ratios.
Operations and saved activations are counted (nnunet_plugins.costs);
peak memory is measured by the CUDA allocator, or by torch's profiler on the CPU.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from nnunet_plugins.costs.budget import topology_for
from nnunet_plugins.costs.footprint import count
from nnunet_plugins.costs.measured import measure_peak
from nnunet_plugins.costs.profile import read_dataset, setup_for, stand_in
from nnunet_plugins.costs.training_step import Setup, TrainingStep
from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import NETWORKS
from nnunet_plugins.planners.network_planner import RESIDUAL_BLOCKS, RESIDUAL_DECODER

CLASSES = 4


def given_setup(arguments: argparse.Namespace) -> Setup:
    """The baseline's step: of the plans, or nnU-Net's plan of isotropic data for the patch."""
    if arguments.plans:
        plans, dataset = read_dataset(arguments.plans)
        _, setup = setup_for(plans, arguments.configuration, dataset)
        return replace(setup, architecture=stand_in(setup.architecture))
    architecture, patch = topology_for([1.0] * len(arguments.patch), arguments.patch)
    if arguments.encoder == "residual":
        architecture = residual(architecture)
    return Setup(architecture, patch, arguments.batch, outputs=CLASSES)


def residual(architecture: dict[str, Any]) -> dict[str, Any]:
    """nnU-Net's residual encoder on the same topology."""
    kwargs = dict(architecture["arch_kwargs"])
    stages = len(kwargs.pop("n_conv_per_stage"))
    kwargs["n_blocks_per_stage"] = RESIDUAL_BLOCKS[:stages]
    kwargs["n_conv_per_stage_decoder"] = RESIDUAL_DECODER[: stages - 1]
    return stand_in({**architecture, "arch_kwargs": kwargs})


def measure(
    rows: dict[str, Setup], device: torch.device, compiled: bool, rounds: int
) -> list[dict[str, Any]]:
    """Return the numbers of every row; the first is the baseline."""
    cuda = device.type == "cuda"
    labels = list(rows)
    base = stepper(rows[labels[0]], device, compiled)
    results = []
    for label, setup in rows.items():
        print(f"{label} ...", file=sys.stderr, flush=True)
        step = stepper(setup, device, compiled) if results else base
        pairs = [(seconds(base), seconds(step)) for _ in range(rounds)]
        del step
        cost = count(setup, half=cuda)
        results.append(
            {
                "network": label,
                "seconds": statistics.median(own for _, own in pairs),
                "seconds_ratio": statistics.median(own / other for other, own in pairs)
                if results
                else 1.0,
                "peak_bytes": measure_peak(setup, device, half=cuda),
                "saved_bytes": cost.activation_bytes,
                "parameters": cost.parameters,
                "flops": cost.flops,
            }
        )
    return results


def stepper(setup: Setup, device: torch.device, compiled: bool) -> TrainingStep:
    """Return a step after warm-up."""
    cuda = device.type == "cuda"
    torch.manual_seed(0)
    step = TrainingStep(setup, device, half=cuda, scaled=cuda)
    if compiled:
        step.forward = torch.compile(step.network)
    for _ in range(3 if compiled or cuda else 1):
        step()
    return step


def seconds(step: TrainingStep) -> float:
    """Return the duration of the second of two steps: the allocator then holds blocks of its sizes."""
    step()
    if step.device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    step()
    if step.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


#: Heading, key, scale, digits of what the table shows, each with its ratio to the baseline.
COLUMNS = (
    ("s/step", "seconds", 1, 2),
    ("peak MB", "peak_bytes", 1e6, 0),
    ("saved MB", "saved_bytes", 1e6, 0),
    ("M params", "parameters", 1e6, 2),
    ("TFLOP", "flops", 1e12, 3),
)


def table(results: list[dict[str, Any]]) -> str:
    """A Markdown table: every number with its ratio to the first row, and the time for a FLOP as a ratio."""
    base = results[0]
    heads = ["network"]
    for head, *_ in COLUMNS:
        heads += [head, "ratio"]
    lines = [[*heads, "time per FLOP"]]
    for row in results:
        cells = [row["network"]]
        for _, key, scale, digits in COLUMNS:
            ratio = row["seconds_ratio"] if key == "seconds" else row[key] / base[key]
            cells += [f"{row[key] / scale:.{digits}f}", f"{ratio:.2f}"]
        work = row["seconds_ratio"] / (row["flops"] / base["flops"])
        lines.append([*cells, f"{work:.2f}"])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    lines.insert(1, ["-" * widths[0], *("-" * (w - 1) + ":" for w in widths[1:])])
    return "\n".join(
        "| "
        + " | ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in lines
    )


def processor() -> str:
    """Return the CPU's name, where Linux reports it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", nargs="+", help="default: all that take the plan")
    parser.add_argument(
        "--switch", action="append", default=[], metavar="SLOT=BLOCK", help="one more row each"
    )
    parser.add_argument("--plans", type=Path, help="plans file; else a stock plan for --patch")
    parser.add_argument("-c", dest="configuration", default="3d_fullres")
    parser.add_argument("--patch", type=int, nargs="+", default=[64, 64, 64])
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--encoder", choices=("plain", "residual"), default="plain")
    parser.add_argument("-device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", dest="output", type=Path, metavar="JSON", help="and a .md next to it")
    arguments = parser.parse_args()
    base = given_setup(arguments)
    rows = {"nnU-Net's own": base}
    for name in arguments.network or NETWORKS:
        setup = replace(base, network=name)
        try:
            with torch.device("meta"):
                setup.build()
        except UserError as error:
            if arguments.network:
                raise SystemExit(str(error)) from error
            print(f"left out: {error}", file=sys.stderr)
        else:
            rows[name] = setup
    for switch in arguments.switch:
        if not arguments.network:
            parser.error("--switch requires --network")
        name = arguments.network[0]
        slot, _, block = switch.partition("=")
        kwargs = {**base.architecture["arch_kwargs"], slot: block}
        rows[f"{name} {switch}"] = replace(
            base, network=name, architecture={**base.architecture, "arch_kwargs": kwargs}
        )
    results = measure(rows, torch.device(arguments.device), arguments.compile, arguments.rounds)
    machine = torch.cuda.get_device_name() if arguments.device == "cuda" else processor()
    about = {
        "machine": machine,
        "threads": torch.get_num_threads(),
        "device": arguments.device,
        "compiled": arguments.compile,
        "torch": torch.__version__,
        "patch": list(base.patch),
        "batch": base.batch,
        "features": list(base.architecture["arch_kwargs"]["features_per_stage"]),
    }
    summary = "; ".join(f"{k} {v}" for k, v in about.items())
    print(f"{summary}\n\n{table(results)}")
    if arguments.output:
        arguments.output.write_text(json.dumps({**about, "rows": results}, indent=1) + "\n")
        command = " ".join(["python", *sys.argv])
        text = f"# One training step against nnU-Net's own network\n\n`{command}`\n\n{summary}\n\n{table(results)}\n"
        arguments.output.with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
