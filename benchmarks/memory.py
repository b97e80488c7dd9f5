"""Counted memory of a training step against measured memory.

    python benchmarks/memory.py                       # five networks, 2D and 3D, three shapes of data, fp32, CPU
    python benchmarks/memory.py -device cuda          # fp16 autocast, torch.cuda.max_memory_allocated
    python benchmarks/memory.py --network MAGUNet --patch 48 96 96 --spacing 4 0.6 0.6

The shapes are those of pelvis CT, SPIDER and CSIG (isotropic, 17x280x420 at 4 x 0.6 mm, 12x880x880 at 4.4 x
0.34 mm); patches are nnU-Net's topology for them, small enough for a machine without a GPU.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from train_step import processor

from nnunet_plugins.costs.budget import topology_for
from nnunet_plugins.costs.footprint import count
from nnunet_plugins.costs.measured import measure_peak
from nnunet_plugins.costs.training_step import Setup
from nnunet_plugins.errors import UserError

OURS = ("ModularUNet", "MAGUNet", "ASPPUNet", "InceptionDualUNet", "AttentionUNet25D")
SHAPES: dict[str, tuple[tuple[float, ...], tuple[int, ...]]] = {
    "CT 3D": ((1.0, 1.0, 1.0), (96, 96, 96)),
    "SPIDER 3D": ((4.0, 0.6, 0.6), (16, 192, 256)),
    "CSIG 3D": ((4.4, 0.34, 0.34), (12, 256, 256)),
    "CT 2D": ((1.0, 1.0), (512, 512)),
    "SPIDER 2D": ((0.6, 0.6), (280, 416)),
    "CSIG 2D": ((0.34, 0.34), (880, 880)),
}


def rows(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return one row per network and shape: counted, measured, ratio."""
    device = torch.device(arguments.device)
    half = device.type == "cuda"
    shapes = SHAPES
    if arguments.patch:
        shapes = {"given": (tuple(arguments.spacing), tuple(arguments.patch))}
    found = []
    for shape, (spacing, patch) in shapes.items():
        for network in arguments.network:
            architecture, size = topology_for(spacing, patch, arguments.features)
            setup = Setup(architecture, size, arguments.batch, 1, 4, network=network)
            try:
                counted = count(setup, half=half).peak_bytes
                peak = measure_peak(setup, device, half=half)
            except UserError as error:
                print(f"left out: {network}, {shape}: {error}", file=sys.stderr)
                continue
            found.append(
                {
                    "shape": shape,
                    "patch": list(size),
                    "network": network,
                    "counted_mb": round(counted / 1e6, 1),
                    "run_mb": round(peak / 1e6, 1),
                    "ratio": round(peak / counted, 3),
                }
            )
            print(f"{shape} {network}: {found[-1]['ratio']}", file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", nargs="+", default=list(OURS))
    parser.add_argument("--patch", type=int, nargs="+")
    parser.add_argument("--spacing", type=float, nargs="+", default=[1.0, 1.0, 1.0], help="mm")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--features", type=int, default=32, help="channels of the first stage")
    parser.add_argument("-device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("-o", dest="output", type=Path, metavar="JSON", help="and a .md next to it")
    arguments = parser.parse_args()
    found = rows(arguments)
    cuda = arguments.device.startswith("cuda")
    about = {
        "machine": torch.cuda.get_device_name() if cuda else processor(),
        "torch": torch.__version__,
        "precision": "fp16 autocast" if cuda else "fp32",
        "batch": arguments.batch,
        "features": arguments.features,
        "worst": round(max((abs(row["ratio"] - 1) for row in found), default=0.0), 3),
    }
    lines = ["; ".join(f"{k} {v}" for k, v in about.items()), ""]
    lines += ["| data | patch | network | counted MB | run MB | run / counted |"]
    lines += ["|---|---|---|---:|---:|---:|"]
    for row in found:
        patch = "x".join(map(str, row["patch"]))
        numbers = " | ".join(str(row[key]) for key in ("counted_mb", "run_mb", "ratio"))
        lines.append(f"| {row['shape']} | {patch} | {row['network']} | {numbers} |")
    text = "\n".join(lines)
    print(text)
    if arguments.output:
        arguments.output.write_text(json.dumps({**about, "rows": found}, indent=1) + "\n")
        command = " ".join(["python", *sys.argv])
        title = "# Counted memory of a training step against a step that is run"
        arguments.output.with_suffix(".md").write_text(f"{title}\n\n`{command}`\n\n{text}\n")


if __name__ == "__main__":
    main()
