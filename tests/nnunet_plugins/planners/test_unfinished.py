"""`plan` after an interrupted run: everything is made again, and the result is that of an undisturbed run.

nnU-Net's steps are replaced; test_killed.py kills real runs.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dataset_conversion.raw_format.preprocessed import recorded_source
from nnunet_plugins.errors import UserError
from nnunet_plugins.planners import planning
from nnunet_plugins.planners.planning import Request, interrupted
from nnunet_plugins.planners.unfinished import alone, is_unfinished
from nnunet_plugins.plans_file import unfinished_mark
from tests.nnunet_plugins import tiny

NAME = "ModularUNetPlansCPU"
REQUEST = Request("751", "ModularUNet", preset="cpu")


class Killed(BaseException):
    """The process ends here."""


class Planner:
    """Writes plans as nnU-Net does, without counting memory."""

    ranks = (2, 3)
    UNet_vram_target_GB = 0.25

    def __init__(self, dataset: Path) -> None:
        self.target = dataset / f"{NAME}.json"

    def plan_experiment(self) -> dict[str, Any]:
        names = ("2d", "3d_fullres")
        plans = {"configurations": {n: {"data_identifier": f"{NAME}_{n}"} for n in names}}
        if self.target.exists():  # nnU-Net merges
            plans |= json.loads(self.target.read_text())
        self.target.write_text(json.dumps(plans))
        return plans


@pytest.fixture
def dataset(nnunet: Path) -> Iterator[Path]:
    name, _ = tiny.write_raw("labels", 751)
    yield nnunet / "nnUNet_preprocessed" / name
    shutil.rmtree(nnunet / "nnUNet_raw" / name)
    shutil.rmtree(nnunet / "nnUNet_preprocessed" / name, ignore_errors=True)


@pytest.fixture
def plan(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """`plan` with replaced pools; ``fail`` is raised in the given step of nnU-Net."""
    raw = Path(planning.folder_of("nnUNet_raw")) / dataset.name

    def run(fail: BaseException | None = None, step: str = "preprocess", **options: Any) -> Path:
        def fingerprint(*_: Any, **__: Any) -> None:
            if fail and step == "fingerprint":
                raise fail

        def preprocess(_: int, name: str, chosen: list[str], **__: Any) -> None:
            for configuration in chosen:
                data = dataset / f"{name}_{configuration}"
                shutil.rmtree(data, ignore_errors=True)
                data.mkdir()
                (data / "a.pkl").write_text("half" if fail else "whole")
                if fail:
                    raise fail
            (dataset / "gt_segmentations").mkdir(exist_ok=True)
            for label in (raw / "labelsTr").iterdir():
                copy = dataset / "gt_segmentations" / label.name
                if not copy.exists():  # nnU-Net: or older
                    shutil.copyfile(label, copy)

        monkeypatch.setattr(planning, "_planner", lambda *_: Planner(dataset))
        monkeypatch.setattr(planning, "_check_networks", lambda *_: None)
        monkeypatch.setattr(planning, "extract_fingerprint_dataset", fingerprint)
        monkeypatch.setattr(planning, "preprocess_dataset", preprocess)
        request = {"preset": "cpu", "configurations": ("2d", "3d_fullres"), **options}
        return planning.plan(Request("751", "ModularUNet", **request))

    return run


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def kill(plan: Callable[..., Path], step: str = "preprocess", **options: Any) -> None:
    """Interrupt a run; a killed process leaves its mark, whatever it was doing."""
    with pytest.raises(Killed):
        plan(Killed(), step, **options)


def test_a_finished_run_leaves_no_mark(plan: Callable[..., Path]) -> None:
    target = plan()
    assert not is_unfinished(target)
    assert not list(target.parent.glob("*.old"))
    assert recorded_source(target.parent / f"{NAME}_2d")
    content = json.loads(target.read_text())
    for one in content["configurations"].values():
        one["training"] = planning.Request("751", "ModularUNet", preset="cpu").procedure()
    target.write_text(json.dumps(content))
    with pytest.raises(UserError, match="plans of that name exist for Dataset751_Tiny; choose"):
        plan()
    with pytest.raises(UserError, match=r"Tiny, with other values of training\.seed; choose"):
        plan(training={"seed": 1})


@pytest.mark.parametrize("again", [{}, {"force": True}], ids=["plain", "force"])
def test_the_next_run_starts_again_and_gives_the_same(
    plan: Callable[..., Path],
    dataset: Path,
    again: dict[str, Any],
) -> None:
    plan()
    whole = tree(dataset)
    shutil.rmtree(dataset)
    assert not interrupted(REQUEST)
    kill(plan)
    assert interrupted(REQUEST)
    assert is_unfinished(dataset / f"{NAME}.json")
    (dataset / "gt_segmentations").mkdir()
    (dataset / "gt_segmentations" / "case0.nii.gz").write_bytes(b"half")
    plan(**again)
    assert tree(dataset) == whole


def test_incomplete_data_of_a_configuration_that_is_not_made_again_is_removed(
    plan: Callable[..., Path], dataset: Path
) -> None:
    kill(plan, configurations=("3d_fullres",))
    assert (dataset / f"{NAME}_3d_fullres").is_dir()
    plan(configurations=("2d",))
    assert not (dataset / f"{NAME}_3d_fullres").exists()


def test_an_early_failure_restores_the_plans_and_leaves_no_mark(
    plan: Callable[..., Path], dataset: Path
) -> None:
    target = plan()
    target.write_text(json.dumps(json.loads(target.read_text()) | {"edited": True}))
    before = tree(dataset)
    with pytest.raises(UserError, match="nnU-Net rejects the dataset"):
        plan(RuntimeError("no"), "fingerprint", force=True)
    with pytest.raises(UserError, match="nnU-Net plans only"):
        plan(force=True, configurations=("3d_lowres",))
    assert tree(dataset) == before


def test_plans_that_were_set_aside_survive_two_interrupted_runs(
    plan: Callable[..., Path], dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = plan()
    target.write_text(json.dumps(json.loads(target.read_text()) | {"edited": True}))
    edited = target.read_bytes()
    aside = target.with_suffix(".json.old")
    target.rename(aside)  # killed while nnU-Net planned, with half a file
    target.write_text("{")
    unfinished_mark(target).touch()
    with pytest.raises(UserError, match="plans only"):
        plan(configurations=("3d_lowres",))
    assert target.read_bytes() == edited
    assert is_unfinished(target)
    assert not aside.exists()


def test_a_second_run_is_refused_while_one_is_running(
    plan: Callable[..., Path], dataset: Path
) -> None:
    target = dataset / f"{NAME}.json"
    with alone(target):
        assert not interrupted(REQUEST)
        with pytest.raises(UserError, match="another run of plan is making these"):
            plan()
    plan()


def test_folds_that_cannot_be_read_are_named(plan: Callable[..., Path], dataset: Path) -> None:
    raw = Path(planning.folder_of("nnUNet_raw")) / dataset.name
    (raw / "splits_final.json").write_text('[{"train": ["a"], "val": ["b"]}]')
    dataset.mkdir(exist_ok=True)
    (dataset / "splits_final.json").write_text('[{"train": ["a"],')
    with pytest.raises(UserError, match=r"splits_final\.json: cannot be read .*; remove it$"):
        plan()
