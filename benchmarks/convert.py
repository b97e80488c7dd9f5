"""Conversion against a bare SimpleITK loop over the same files, in one run; prints the ratio.

    python benchmarks/convert.py                                  # all datasets, full-size phantoms
    python benchmarks/convert.py --dataset hospital-ct -j 2       # and with two cases at a time

The bare loop reads each image and mask with SimpleITK and writes it as .nii.gz with SimpleITK. The conversion
does the complete job: digests of the sources, checks of every slice's position, orientation, the remap, packing,
digests of the output, read-back, splits, manifest and preview picture. Both run on one case at a time, alternate,
and read cached files. Times are medians over rounds, ratios are medians of the rounds' ratios; "shortest" is the
ratio of the shortest times, which other work on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import SimpleITK as sitk

from dataset_conversion.datasets.registry import CONVERTERS, converter
from dataset_conversion.phantoms.catalogue import WRITERS
from dataset_conversion.phantoms.truth import Truth

LIMIT = 1.3


def bare(images: list[Truth], target: Path) -> None:
    target.mkdir()
    for number, one in enumerate(images):
        sitk.WriteImage(read(one.image), str(target / f"{number}_0000.nii.gz"), True)
        if one.mask is not None:
            sitk.WriteImage(sitk.ReadImage(str(one.mask)), str(target / f"{number}.nii.gz"), True)


def read(path: Path) -> sitk.Image:
    if path.is_file():
        return sitk.ReadImage(str(path))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(path)))
    image = reader.Execute()
    # GDCM gives 32 bits where there is a rescale; writing them would double the bytes.
    return sitk.Cast(image, sitk.sitkInt16) if image.GetPixelID() == sitk.sitkInt32 else image


def ours(dataset: str, source: Path, target: Path, jobs: int = 1) -> None:
    one = converter(dataset)
    more = {}
    if (source / "labels.json").is_file() and "labels" in one.options.__dataclass_fields__:
        more["labels"] = source / "labels.json"
    one.convert(source, target, 1, options=one.options(jobs=jobs, allow_empty=True, **more))


def timed(work: Callable[[], None], target: Path) -> float:
    start = time.perf_counter()
    work()
    taken = time.perf_counter() - start
    shutil.rmtree(target)
    return taken


def measure(dataset: str, folder: Path, patients: int, rounds: int, jobs: int) -> dict:
    source, target = folder / dataset, folder / "out"
    images = WRITERS[dataset](source, patients, size="full")
    works: dict[str, Callable[[], None]] = {
        "SimpleITK": lambda: bare(images, target),
        "convert": lambda: ours(dataset, source, target),
    }
    if jobs > 1:
        works[f"convert -j {jobs}"] = lambda: ours(dataset, source, target, jobs)
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            taken = timed(work, target)
            if number:  # the first round fills the system's cache
                times[name].append(taken)
    shutil.rmtree(source)
    base = times["SimpleITK"]
    return {
        "images": len(images),
        **{
            name: {
                "seconds": round(statistics.median(taken), 2),
                "ratio": round(
                    statistics.median(t / b for t, b in zip(taken, base, strict=True)), 3
                ),
                "shortest": round(min(taken) / min(base), 3),
            }
            for name, taken in times.items()
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", choices=list(CONVERTERS), action="append", help="default: all")
    parser.add_argument("--patients", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-j", type=int, default=0, help="time several cases at a time as well")
    parser.add_argument("-o", type=Path, metavar="JSON", help="write the numbers to a file")
    arguments = parser.parse_args()
    results = {}
    for dataset in arguments.dataset or list(CONVERTERS):
        with tempfile.TemporaryDirectory() as folder:
            results[dataset] = measure(
                dataset, Path(folder), arguments.patients, arguments.rounds, arguments.j
            )
        ratio = results[dataset]["convert"]["ratio"]
        word = "within" if ratio <= LIMIT else "OVER"
        print(
            f"{dataset}: {ratio} times the bare loop ({word} {LIMIT}) {results[dataset]}",
            flush=True,
        )
    record = {"machine": platform.platform(), "patients": arguments.patients, "results": results}
    if arguments.o:
        arguments.o.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return 0 if all(r["convert"]["ratio"] <= LIMIT for r in results.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
