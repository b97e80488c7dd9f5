"""One training step of our networks against nnU-Net's own on the same plan, in one run.

    python benchmarks/train_step.py                                  # every network, 3D
    python benchmarks/train_step.py --patch 256 256                  # 2D
    python benchmarks/train_step.py -device cuda --patch 128 128 128 --compile
    python benchmarks/train_step.py --plans PLANS.json -c 3d_fullres --network MAGUNet
    python benchmarks/train_step.py --network MAGUNet --switch skip=plain --switch stem=plain

A step is forward, nnU-Net's deep-supervised Dice + CE, backward and SGD, under autocast on CUDA as in nnU-Net.
Networks take turns, so that a machine whose speed drifts slows all alike; a time is the median over rounds,
a ratio the median of the rounds' ratios. Saved activations are what the allocator holds after the forward
pass beyond what it held before. Peak memory is the CUDA allocator's, or on the CPU the growth of the
resident set of a process of its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.experiment_planning.experiment_planners.network_topology import (
    get_pool_and_conv_props,
)
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from torch.utils.flop_counter import FlopCounterMode

from architectures.outputs import Output
from nnunet_plugins.losses import (
    DEFAULT_LOSS,
    DEFAULT_WEIGHTS,
    AttentionLoss,
    OutputsLoss,
    build_loss,
)
from nnunet_plugins.networks import NETWORKS, public_name, takes_input_size

BASELINES = {
    "plain": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "residual": "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
}
CLASSES = 4


def stock_plan(patch: list[int], batch: int, encoder: str) -> dict[str, Any]:
    """What nnU-Net's planner writes for isotropic data and this patch."""
    rank = len(patch)
    _, strides, kernels, patch, _ = get_pool_and_conv_props([1.0] * rank, patch, 4, 999999)
    stages = len(strides)
    kwargs = {
        "n_stages": stages,
        "features_per_stage": [min(320 if rank == 3 else 512, 32 * 2**i) for i in range(stages)],
        "conv_op": f"torch.nn.modules.conv.Conv{rank}d",
        "kernel_sizes": kernels,
        "strides": strides,
        "n_conv_per_stage_decoder": [2 if encoder == "plain" else 1] * (stages - 1),
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{rank}d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    if encoder == "plain":
        kwargs["n_conv_per_stage"] = [2] * stages
    else:
        kwargs["n_blocks_per_stage"] = [1, 3, 4, 6, 6, 6, 6, 6][:stages]
    return {"patch_size": [int(p) for p in patch], "batch_size": batch, "arch_kwargs": kwargs}


def build(name: str, plan: dict[str, Any]) -> torch.nn.Module:
    imports = ["conv_op", "norm_op", "dropout_op", "nonlin"]
    kwargs = dict(plan["arch_kwargs"])
    if name.rpartition(".")[2] in NETWORKS and takes_input_size(name.rpartition(".")[2]):
        kwargs["input_size"] = plan["patch_size"]
    return get_network_from_plans(name, kwargs, imports, 1, CLASSES, deep_supervision=True)


def outputs_of(network: torch.nn.Module, plan: dict[str, Any]) -> list[Output]:
    """What the network returns; nnU-Net's own has a head at every decoder level."""
    if hasattr(network, "outputs"):
        return list(network.outputs)
    strides = np.cumprod(plan["arch_kwargs"]["strides"], axis=0)[:-1]
    return [Output("logits", tuple(s)) for s in strides.tolist()]


class Step:
    """A network with what a training step needs."""

    def __init__(self, name: str, plan: dict[str, Any], device: str, compiled: bool) -> None:
        torch.manual_seed(0)
        self.network = build(name, plan).to(device)
        self.device = torch.device(device)
        shape = (plan["batch_size"], 1, *plan["patch_size"])
        self.data = torch.randn(shape, device=device)
        outputs = outputs_of(self.network, plan)
        self.target = [
            torch.randint(
                CLASSES, (shape[0], 1, *(-(-np.array(shape[2:]) // o.stride))), device=device
            ).float()
            for o in outputs
        ]
        labels = {"regions": False, "ignore_label": None}
        loss = build_loss(DEFAULT_LOSS, **labels, batch_dice=False, ddp=False)
        weights = [DEFAULT_WEIGHTS.get(o.kind, 0.5**i) for i, o in enumerate(outputs)]
        kinds = [o.kind for o in outputs]
        self.loss = OutputsLoss(
            loss, AttentionLoss(**labels), list(zip(kinds, weights, strict=True))
        )
        self.forward = torch.compile(self.network) if compiled else self.network
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), 0.01, momentum=0.99, nesterov=True
        )
        self.scaler = torch.amp.GradScaler(device) if self.device.type == "cuda" else None

    def compute_loss(self) -> torch.Tensor:
        with torch.autocast(self.device.type, enabled=self.scaler is not None):
            return self.loss(self.forward(self.data), self.target)

    def __call__(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        value = self.compute_loss()
        if self.scaler is None:
            value.backward()
            self.optimizer.step()
        else:
            self.scaler.scale(value).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
            torch.cuda.synchronize()

    def saved_bytes(self) -> int:
        """What the allocator still holds after the forward pass, beyond what it held before."""
        if self.device.type == "cuda":
            before = torch.cuda.memory_allocated()
            value = self.compute_loss()
            return torch.cuda.memory_allocated() - before - value.nbytes
        with torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
        ) as profile:
            value = self.compute_loss()
        held = sum(event.self_cpu_memory_usage for event in profile.key_averages())
        del value
        return held

    def flops(self) -> int:
        with FlopCounterMode(display=False) as counter:
            self.compute_loss().backward()
        return counter.get_total_flops()


def resident(key: str) -> int:
    """VmRSS or VmHWM (its peak) of this process in bytes; Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) * 1024


def cpu_peak(name: str, plan: dict[str, Any], queue: Any) -> None:
    step = Step(name, plan, "cpu", compiled=False)
    Path("/proc/self/clear_refs").write_text(
        "5"
    )  # forget the peak so far, that of the parent included
    before = resident("VmRSS")
    step()
    queue.put(resident("VmHWM") - before)


def peak_bytes(step: Step, name: str, plan: dict[str, Any]) -> int:
    if step.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        step()
        return torch.cuda.max_memory_allocated()
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=cpu_peak, args=(name, plan, queue))
    process.start()
    peak = queue.get()
    process.join()
    return peak


def measure(
    rows: dict[str, tuple[str, dict]], device: str, compiled: bool, rounds: int
) -> list[dict[str, Any]]:
    """Numbers of every row; the first is the baseline."""
    steps = {label: Step(*row, device, compiled) for label, row in rows.items()}
    for step in steps.values():
        for _ in range(3 if compiled or device == "cuda" else 1):
            step()
    times: dict[str, list[float]] = {label: [] for label in rows}
    for done in range(rounds):
        for label, step in steps.items():
            start = time.perf_counter()
            step()
            times[label].append(time.perf_counter() - start)
        print(f"\rround {done + 1} of {rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    results = []
    for label, step in steps.items():
        pairs = zip(times[label], times[next(iter(rows))], strict=True)
        results.append(
            {
                "network": label,
                "seconds": statistics.median(times[label]),
                "seconds_ratio": statistics.median(a / b for a, b in pairs),
                "peak_bytes": peak_bytes(step, *rows[label]),
                "saved_bytes": step.saved_bytes(),
                "parameters": sum(p.numel() for p in step.network.parameters()),
                # Compiled graphs hide their operations from the counter: count the eager network.
                "flops": None if compiled else step.flops(),
            }
        )
    return results


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
            if row[key] is None:
                cells += ["", ""]
                continue
            ratio = row["seconds_ratio"] if key == "seconds" else row[key] / base[key]
            cells += [f"{row[key] / scale:.{digits}f}", f"{ratio:.2f}"]
        work = row["flops"] and row["seconds_ratio"] / (row["flops"] / base["flops"])
        lines.append([*cells, f"{work:.2f}" if work else ""])
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
    """The CPU's name where Linux tells it."""
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
    parser.add_argument("--encoder", choices=sorted(BASELINES), default="plain")
    parser.add_argument("-device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", dest="output", type=Path, metavar="JSON", help="and a .md beside it")
    arguments = parser.parse_args()
    if arguments.plans:
        planned = json.loads(arguments.plans.read_text())["configurations"][arguments.configuration]
        plan = {k: planned[k] for k in ("patch_size", "batch_size")}
        plan["arch_kwargs"] = planned["architecture"]["arch_kwargs"]
    else:
        plan = stock_plan(arguments.patch, arguments.batch, arguments.encoder)
    residual = "n_blocks_per_stage" in plan["arch_kwargs"]
    rows = {"nnU-Net's own": (BASELINES["residual" if residual else "plain"], plan)}
    for name in arguments.network or NETWORKS:
        try:
            with torch.device("meta"):
                build(public_name(name), plan).check_input_size(plan["patch_size"])
        except ValueError as error:
            if arguments.network:
                raise SystemExit(str(error)) from error
            print(f"left out: {error}", file=sys.stderr)
        else:
            rows[name] = (public_name(name), plan)
    for switch in arguments.switch:
        if not arguments.network:
            parser.error("--switch wants --network")
        slot, _, block = switch.partition("=")
        switched = {**plan, "arch_kwargs": {**plan["arch_kwargs"], slot: block}}
        rows[f"{arguments.network[0]} {switch}"] = (public_name(arguments.network[0]), switched)
    results = measure(rows, arguments.device, arguments.compile, arguments.rounds)
    machine = torch.cuda.get_device_name() if arguments.device == "cuda" else processor()
    about = {
        "machine": machine,
        "threads": torch.get_num_threads(),
        "device": arguments.device,
        "compiled": arguments.compile,
        "torch": torch.__version__,
        "patch": plan["patch_size"],
        "batch": plan["batch_size"],
        "features": list(plan["arch_kwargs"]["features_per_stage"]),
    }
    said = "; ".join(f"{k} {v}" for k, v in about.items())
    print(f"{said}\n\n{table(results)}")
    if arguments.output:
        arguments.output.write_text(json.dumps({**about, "rows": results}, indent=1) + "\n")
        command = " ".join(["python", *sys.argv])
        text = f"# One training step, beside nnU-Net's own network\n\n`{command}`\n\n{said}\n\n{table(results)}\n"
        arguments.output.with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
