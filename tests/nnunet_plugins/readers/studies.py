"""Reader studies of invented readers: tables, masks, images."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import SimpleITK as sitk

ALONE = date(2024, 1, 8)
SKILL = {"alone": 1.0, "assisted": 2.0}
READERS = ("resident", "expert")


@dataclass(frozen=True)
class Study:
    """What is written.

    Attributes:
        cases: number; three of five are positive.
        days: from the arm alone to the arm assisted.
        readers: names.
        seed: of the reads.
    """

    cases: int = 20
    days: int = 90
    readers: Sequence[str] = READERS
    seed: int = 0


def rows(study: Study = Study()) -> list[dict[str, object]]:
    """Reads with dates, shuffled order, calls, confidences 1 to 5 and minutes."""
    rng = np.random.default_rng(study.seed)
    found = []
    for reader in study.readers:
        for arm, skill in SKILL.items():
            order = rng.permutation(study.cases)
            for case in range(study.cases):
                score = rng.normal() + skill * (0.7 if positive(case) else -0.7)
                day = ALONE + timedelta(days=study.days * (arm == "assisted"))
                found.append(
                    {
                        "case": name(case),
                        "reader": reader,
                        "arm": arm,
                        "date": day.isoformat(),
                        "order": int(order[case]) + 1,
                        "call": "axSpA" if score > 0 else "other",
                        "confidence": int(np.clip(np.floor(score) + 3, 1, 5)) if score > 0 else
                        int(np.clip(np.floor(score) + 3, 1, 2)),
                        "minutes": round(float(rng.uniform(4, 9) - 2 * (arm == "assisted")), 1),
                    }
                )  # fmt: skip
    return found


def name(case: int) -> str:
    return f"case_{case:02d}"


def positive(case: int) -> bool:
    return case % 5 < 3


def truth(study: Study = Study()) -> list[dict[str, object]]:
    return [
        {"case": name(i), "truth": "axSpA" if positive(i) else "other"} for i in range(study.cases)
    ]


def write_csv(path: Path, table: Sequence[dict[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    return path


def write_tables(folder: Path, study: Study = Study()) -> Path:
    write_csv(folder / "reads.csv", rows(study))
    write_csv(folder / "truth.csv", truth(study))
    return folder


def write_masks(folder: Path, cases: int = 6, readers: Sequence[str] = READERS) -> Path:
    """Images, references, masks of readers and model: cubes that are moved less when assisted; flat voxels."""
    rng = np.random.default_rng(1)
    for case in range(cases):
        image = rng.normal(size=(6, 32, 32)).astype(np.float32)
        true = np.zeros((6, 32, 32), np.uint8)
        true[1:5, 8:20, 8:20] = 1
        image[true > 0] += 3
        write_image(folder / "images" / f"{name(case)}_0000.nii.gz", image)
        write_image(folder / "reference" / f"{name(case)}.nii.gz", true)
        write_image(folder / "model" / f"{name(case)}.nii.gz", np.roll(true, 1, axis=2))
        for number, reader in enumerate(readers):
            for arm, shift in (("alone", 3 + number), ("assisted", 1 + number)):
                moved = np.roll(true, shift + case % 2, axis=2)
                write_image(folder / "masks" / reader / arm / f"{name(case)}.nii.gz", moved)
    return folder


def write_image(path: Path, voxels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((1.0, 1.0, 4.0))
    sitk.WriteImage(image, str(path))
