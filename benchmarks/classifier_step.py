"""Step time and peak memory of `classify train` at its default size and batch, on synthetic patients.

    python benchmarks/classifier_step.py -o benchmarks/results/classifier_step.json

Each network trains in a process of its own, whose peak memory is that of the operating system.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from train_step import processor

from nnunet_plugins.classifier.images import Volume
from nnunet_plugins.classifier.settings import Settings
from nnunet_plugins.classifier.training import Examples, train_network

NETWORKS = ("densenet121", "resnet18")


def patient(settings: Settings, number: int) -> Volume:
    """Noise with a lesion."""
    random = np.random.default_rng(number)
    mask = np.zeros(settings.size, np.bool_)
    mask[4:8, 60:90, 60:90] = True
    image = (random.normal(size=settings.size) + mask * (2 * (number % 2) - 1)).astype(np.float16)
    return Volume(image, mask, sitk.Image(), "LIP", str(number))


def measured(network: str, steps: int) -> dict[str, Any]:
    """Epochs of one step each. The time is that of the processor, for one thread, with two validation cases."""
    torch.set_num_threads(1)
    settings = Settings(network=network, epochs=steps)
    train, held = (
        Examples([patient(settings, n) for n in range(count)], [n % 2 for n in range(count)])
        for count in (settings.batch, 2)
    )
    moments, losses = [time.process_time()], []

    def report(epoch: int, loss: float, auc: float) -> None:
        moments.append(time.process_time())
        losses.append(loss)

    with tempfile.TemporaryDirectory() as folder:
        train_network(Path(folder), settings, 0, train, held, report=report)
    times = [after - before for before, after in pairwise(moments)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "network": network,
        "size": list(settings.size),
        "batch": settings.batch,
        "cpu_seconds_per_step": round(statistics.median(times), 1),
        "peak_memory_gb": round(peak / 1e9, 2),
        "first_loss": round(losses[0], 3),
        "last_loss": round(losses[-1], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", default=NETWORKS, help="default: both")
    parser.add_argument("--steps", type=int, default=3, help="default: %(default)s")
    parser.add_argument("-o", dest="output", type=Path, metavar="JSON")
    arguments = parser.parse_args()
    rows = []
    for network in arguments.networks:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append(pool.apply(measured, (network, arguments.steps)))
        print(rows[-1], flush=True)
    about = {"machine": processor(), "torch": torch.__version__}
    if arguments.output:
        content = {**about, "steps": arguments.steps, "rows": rows}
        arguments.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
