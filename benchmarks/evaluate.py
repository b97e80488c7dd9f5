"""Evaluation against MONAI's functions and nnU-Net's Dice, in one run; prints the ratios.

    python benchmarks/evaluate.py                       # 6 cases of 150x512x512 with five labels, 2 processes
    python benchmarks/evaluate.py --cases 100 --monai-cases 1     # benchmarks/results/evaluate_100_cases.json
    python benchmarks/evaluate.py --cases 8 --monai-cases 1       # benchmarks/results/evaluate_8_cases.json
    python benchmarks/evaluate.py --cases 2 --shape 40 128 128

Our side is `nnunet-plugins evaluate`: it reads and checks the files, scores them and writes the JSON. nnU-Net's side
does the same with Dice and IoU only, in as many processes. MONAI's part is timed without reading: confusion matrix,
Dice, IoU, HD, HD95, ASSD and surface Dice of each label, on arrays in memory. All see the same cases, and the numbers
are compared. The start of the processes counts: use many cases. Memory is the largest of our processes, on Linux.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunet_plugins.evaluation import evaluate

SPACING = (1.0, 0.7, 0.7)  # mm, z y x
LABELS = 5
TOLERANCE = 2.0
MONAI_SHARE = 40
#: Centre and half axes of each label, as shares of the image: a sacrum, two hip bones, two vertebrae.
BODIES = (
    ((0.50, 0.66, 0.50), (0.30, 0.10, 0.11)),
    ((0.50, 0.50, 0.68), (0.42, 0.17, 0.09)),
    ((0.50, 0.50, 0.32), (0.42, 0.17, 0.09)),
    ((0.86, 0.60, 0.50), (0.09, 0.08, 0.08)),
    ((0.12, 0.70, 0.50), (0.08, 0.07, 0.08)),
)


def label_map(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Return bodies with wavy outlines and one island, different at each call."""
    grid = np.ogrid[tuple(slice(0, 1, size * 1j) for size in shape)]
    found = np.zeros(shape, dtype=np.uint8)
    for value, (centre, axes) in enumerate(BODIES, 1):
        moved = np.asarray(centre) + random.normal(0, 0.004, 3)
        radius = sum(((g - c) / a) ** 2 for g, c, a in zip(grid, moved, axes, strict=True))
        phases, speeds = random.uniform(0, 6, 3), random.uniform(20, 60, 3)
        waves = sum(np.sin(s * g + p) for g, s, p in zip(grid, speeds, phases, strict=True))
        found[radius + 0.06 * waves < 1] = value
    at = [int(random.uniform(0.1, 0.8) * size) for size in shape]
    found[tuple(slice(a, a + 8) for a in at)] = random.integers(1, LABELS + 1)
    return found


def write_cases(folder: Path, cases: int, shape: tuple[int, ...]) -> None:
    """Predictions and references; the dataset.json names the labels."""
    random = np.random.default_rng(0)
    for number in range(cases):
        for part in ("predictions", "references"):
            (folder / part).mkdir(exist_ok=True)
            image = sitk.GetImageFromArray(label_map(shape, random))
            image.SetSpacing(SPACING[::-1])
            sitk.WriteImage(image, str(folder / part / f"case{number:03}.nii.gz"), True)
    labels = {"background": 0, **{f"label {value}": value for value in range(1, LABELS + 1)}}
    (folder / "predictions" / "dataset.json").write_text(json.dumps({"labels": labels}))


def monai_scores(prediction: np.ndarray, reference: np.ndarray) -> Iterator[dict[str, float]]:
    """Yield each label's scores by MONAI's functions."""
    import torch
    from monai import metrics

    for value in range(1, LABELS + 1):
        x, y = (torch.from_numpy(image == value)[None, None] for image in (prediction, reference))
        near = {"include_background": True, "spacing": list(SPACING)}
        counts = metrics.get_confusion_matrix(x.float(), y.float())
        found = {
            "precision": metrics.compute_confusion_matrix_metric("precision", counts),
            "recall": metrics.compute_confusion_matrix_metric("recall", counts),
            "accuracy": metrics.compute_confusion_matrix_metric("accuracy", counts),
            "specificity": metrics.compute_confusion_matrix_metric("specificity", counts),
            "dice": metrics.compute_dice(x, y, include_background=True),
            "iou": metrics.compute_iou(x, y, include_background=True),
            "hd_mm": metrics.compute_hausdorff_distance(x, y, **near),
            "hd95_mm": metrics.compute_hausdorff_distance(x, y, percentile=95, **near),
            "assd_mm": metrics.compute_average_surface_distance(x, y, symmetric=True, **near),
            "nsd": metrics.compute_surface_dice(x, y, [TOLERANCE], **near),
        }
        yield {name: score.item() for name, score in found.items()}


def nnunet_dice(folder: Path, jobs: int) -> list[dict[int, float]]:
    """Return the Dice of each label in each case by nnU-Net's evaluation, which writes a JSON file as ours does."""
    from nnunetv2.evaluation.evaluate_predictions import compute_metrics_on_folder
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    found = compute_metrics_on_folder(
        str(folder / "references"),
        str(folder / "predictions"),
        str(folder / "summary.json"),
        SimpleITKIO(),
        ".nii.gz",
        list(range(1, LABELS + 1)),
        num_processes=jobs,
    )
    return [
        {value: one["Dice"] for value, one in case["metrics"].items()}
        for case in found["metric_per_case"]
    ]


def timed(work: Callable[[], Any]) -> tuple[Any, np.ndarray]:
    """Return the result, and the seconds by the clock and of computing in all processes."""
    before = time.perf_counter(), sum(os.times()[:4])
    result = work()
    return result, np.array([time.perf_counter(), sum(os.times()[:4])]) - before


def watched(pairs: list, peaks: list[int]) -> Iterator:
    """Record the processes' peak memory, MiB; `resource` would include the parent's."""
    for pair in pairs:
        yield pair
        for process in multiprocessing.active_children():
            status = Path(f"/proc/{process.pid}/status")
            if status.is_file():
                line = next((x for x in status.read_text().splitlines() if x[:5] == "VmHWM"), None)
                peaks += [int(line.split()[1]) // 1024] if line else []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=6)
    parser.add_argument("--monai-cases", type=int, help="MONAI on the first of them only")
    parser.add_argument("--shape", type=int, nargs=3, default=(150, 512, 512), metavar="N")
    parser.add_argument("-j", type=int, default=2, help="our processes")
    parser.add_argument("-o", type=Path, metavar="JSON", help="write the numbers to a file")
    arguments = parser.parse_args()
    compared = min(arguments.monai_cases or arguments.cases, arguments.cases)
    warnings.simplefilter("ignore")  # MONAI's, about its own call and about the empty warm-up
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_cases(folder, arguments.cases, tuple(arguments.shape))
        peaks: list[int] = []
        scores, ours = timed(
            lambda: evaluate(
                folder / "predictions",
                folder / "references",
                output=folder / "scores.json",
                tolerance=TOLERANCE,
                jobs=arguments.j,
                progress=lambda pairs: watched(pairs, peaks),
            )
        )
        importlib.import_module("nnunetv2.evaluation.evaluate_predictions")  # not timed
        dice, nnunet = timed(lambda: nnunet_dice(folder, arguments.j))
        tiny = np.ones((2, 3, 4), dtype=np.uint8)
        list(monai_scores(tiny, tiny))  # imports are not timed
        theirs = np.zeros(2)
        worst = max(
            abs(mine.dice - other)
            for case, found in zip(scores.cases, dice, strict=True)
            for mine, other in zip(case.labels.values(), found.values(), strict=True)
        )
        for case in scores.cases[:compared]:
            pair = [
                sitk.GetArrayFromImage(sitk.ReadImage(str(folder / part / f"{case.name}.nii.gz")))
                for part in ("predictions", "references")
            ]
            found, seconds = timed(lambda: list(monai_scores(*pair)))  # noqa: B023
            theirs += seconds / compared
            for mine, other in zip(case.labels.values(), found, strict=True):
                worst = max(worst, *(abs(getattr(mine, k) - v) for k, v in other.items()))
    ours, nnunet = ours / arguments.cases, nnunet / arguments.cases
    result = {
        "cases": arguments.cases,
        "shape": list(arguments.shape),
        "processes": arguments.j,
        "cores": len(os.sched_getaffinity(0)),
        **{
            f"{name}_{kind}seconds_a_case": round(float(seconds), 2)
            for name, times in (("ours", ours), ("nnunet_dice", nnunet), ("monai", theirs))
            for kind, seconds in zip(("", "cpu_"), times, strict=True)
        },
        "ratio_to_nnunet": round(float(ours[0] / nnunet[0]), 3),
        "ratio_to_monai": round(float(ours[0] / theirs[0]), 4),
        "largest_difference": worst,
        "largest_process_mib": max(peaks, default=None),
        "machine": platform.platform(),
    }
    fast = ours[0] <= min(nnunet[0], theirs[0] / MONAI_SHARE)
    word = "within" if fast else "OVER"
    print(f"{word} nnU-Net's Dice and 1/{MONAI_SHARE} of MONAI's functions: {result}")
    if arguments.o:
        arguments.o.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if fast and worst < 1e-3 else 1


if __name__ == "__main__":
    raise SystemExit(main())
