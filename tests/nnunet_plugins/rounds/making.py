"""Rounds on tiny cases whose trainings are stubs: each command leaves nnU-Net's files."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunet_plugins.plans_file import unfinished_mark
from nnunet_plugins.rounds.folder import Rounds
from nnunet_plugins.rounds.ingest import Ingested, ingest
from nnunet_plugins.rounds.init import Choices, begin
from nnunet_plugins.rounds.training import PLANS

SHAPE = (4, 8, 10)  # z, y, x
NAME = "Dataset700_Tiny"
LABELS = {"background": 0, "bone": 1, "disc": 2}
SETTINGS: dict[str, Any] = {
    "network": "ModularUNet", "configuration": "3d_fullres", "plan": [], "folds": 2, "seed": 0, "fine_tune": False,
    "batch": None, "order": "random", "format": "nii.gz", "most_rounds": 5, "stop_dice": 0.95, "device": "cpu",
    "cpus": 1,
}  # fmt: skip


def box(value: int = 1, at: int = 2, width: int = 3) -> np.ndarray:
    """A mask with a box of one label."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[1:3, 2:6, at : at + width] = value
    return mask


def own(cases: Iterable[str], at: int = 3) -> dict[str, np.ndarray]:
    """A mask of each case: a box, and a voxel that no other case has."""
    masks = {case: box(at=at) for case in cases}
    for case, mask in masks.items():
        mask[0, 0, ord(case) - ord("a")] = 1
    return masks


def write(array: np.ndarray, path: Path, origin: float = 0.0) -> Path:
    """Write a volume of anisotropic voxels."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.5, 1.0, 3.0))
    image.SetOrigin((origin, 0.0, 0.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def write_source(root: Path, labelled: int = 4, unlabelled: int = 2) -> Path:
    """A raw dataset with a patient of two cases (a, b), others of one, each at a place of its own."""
    source, rng = root / NAME, np.random.default_rng(1)
    names = [chr(ord("a") + number) for number in range(labelled + unlabelled)]
    for place, case in enumerate(names):
        folder = "imagesTr" if place < labelled else "imagesTs"
        image = rng.normal(size=SHAPE).astype(np.float32)
        write(image, source / folder / f"{case}_0000.nii.gz", 10.0 * place)
        if place < labelled:
            write(box(at=2 + place % 3), source / "labelsTr" / f"{case}.nii.gz", 10.0 * place)
    dataset = {
        "channel_names": {"0": "MRI"}, "labels": LABELS, "numTraining": labelled, "file_ending": ".nii.gz",
        "nnunet_plugins": {"orientation": "LPS"},
    }  # fmt: skip
    (source / "dataset.json").write_text(json.dumps(dataset))
    patients = {case: max(1, place) for place, case in enumerate(names)}
    (source / "conversion.json").write_text(json.dumps({"format": 4, "patients": patients}))
    return source


def begun(tmp_path: Path, monkeypatch: Any, *, labelled: int = 4, unlabelled: int = 2, labels: str = "all",
          blind: int = 0, **settings: Any) -> Rounds:  # fmt: skip
    """Rounds after `rounds init`."""
    root = tmp_path / "nnUNet_raw"
    if not root.exists():
        write_source(root, labelled, unlabelled)
    monkeypatch.setenv("nnUNet_raw", str(root))
    chosen = Choices("700", labels, blind, None, SETTINGS | settings)
    return begin(tmp_path / "rounds", chosen)[0]


class Commands:
    """Stands for nnU-Net's commands; writes their files one after the other.

    Args:
        before: called before each file is written.
    """

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self.before, self.ran = before, []
        self.lines: list[list[str]] = []

    def __call__(
        self, command: list[str], log: Path, who: str, *, environment: dict[str, str], **_: Any
    ) -> None:
        words = list(map(str, command))
        self.lines.append(words)
        self.ran.append(log.stem)
        preprocessed = Path(environment["nnUNet_preprocessed"]) / NAME
        raw = Path(environment["nnUNet_raw"]) / NAME
        results = (
            Path(environment["nnUNet_results"]) / NAME / f"ModularUNetTrainer__{PLANS}__3d_fullres"
        )
        if log.stem == "plan":
            self._plan(preprocessed, raw)
        elif log.stem.startswith("train"):
            fold = int(log.stem[-1])
            split = json.loads((preprocessed / "splits_final.json").read_text())[fold]
            self._train(results / f"fold_{fold}", raw, split["val"])
        elif log.stem.startswith("predict"):
            source, target = (Path(words[words.index(option) + 1]) for option in ("-i", "-o"))
            for image in sorted(source.iterdir()):
                self._mask(image, target / image.name.replace("_0000", ""))

    def _plan(self, preprocessed: Path, raw: Path) -> None:
        preprocessed.mkdir(parents=True, exist_ok=True)
        mark = unfinished_mark(preprocessed / f"{PLANS}.json")
        mark.touch()
        for name in ("dataset.json", "splits_final.json"):
            self.before()
            shutil.copyfile(raw / name, preprocessed / name)
        for name in (f"{PLANS}.json", "dataset_fingerprint.json"):
            self.before()
            (preprocessed / name).write_text("{}")
        self.before()
        mark.unlink()

    def _train(self, fold: Path, raw: Path, cases: list[str]) -> None:
        (fold / "validation").mkdir(parents=True, exist_ok=True)
        self.before()
        (fold / "checkpoint_latest.pth").write_bytes(b"half")
        self.before()
        for name in ("checkpoint_latest.pth", "checkpoint_final.pth"):
            with zipfile.ZipFile(fold / name, "w") as archive:
                archive.writestr("data", "weights")
        for case in cases:
            self._mask(
                raw / "imagesTr" / f"{case}_0000.nii.gz", fold / "validation" / f"{case}.nii.gz"
            )
        self.before()
        (fold / "validation" / "summary.json").write_text("{}")

    def _mask(self, image: Path, target: Path) -> None:
        """A proposal: a box that depends on the image alone."""
        self.before()
        found = sitk.ReadImage(str(image))
        place = int(abs(found.GetOrigin()[0])) // 10
        target.parent.mkdir(parents=True, exist_ok=True)
        mask = sitk.GetImageFromArray(box(at=1 + place, width=4) if place < 5 else box() * 0)
        mask.CopyInformation(found)
        sitk.WriteImage(mask, str(target))


def save(rounds: Rounds, number: int, folder: Path, masks: dict[str, np.ndarray]) -> Path:
    """Masks as a reader saves them, on the grids of their images."""
    for case, array in masks.items():
        image = sitk.ReadImage(str(rounds.image(case)))
        mask = sitk.GetImageFromArray(array)
        mask.CopyInformation(image)
        folder.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(mask, str(folder / f"{case}.nii.gz"))
    return folder


def return_all(rounds: Rounds, number: int, folder: Path, at: int = 3, **options: Any) -> Ingested:
    """All cases of a round come back."""
    save(rounds, number, folder, own(rounds.export(number)["cases"], at))
    return ingest(rounds.folder, folder, "R1", **options)
