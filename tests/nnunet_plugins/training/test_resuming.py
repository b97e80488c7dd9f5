"""A training is continued or validated only with the fold, plans and dataset that it started with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import SimpleITK as sitk
import torch

from dataset_conversion.raw_format.preprocessed import remember_source, source_digest
from nnunet_plugins.errors import UserError
from nnunet_plugins.plans_file import unfinished_mark
from nnunet_plugins.training.resuming import check_folds, check_same
from tests.contract.making import DATASET, plans
from tests.nnunet_plugins import tiny
from tests.nnunet_plugins.tiny import Tiny

TRAINING = {"epochs": 2, "iterations_per_epoch": 1, "validation_iterations_per_epoch": 1}


def arguments(fold: int | str = 0, configuration: str = "3d_fullres") -> dict[str, Any]:
    content = plans()
    content["configurations"]["3d_fullres"]["training"] = {"weight_decay": 0.0, "epochs": 8}
    return {
        "plans": content,
        "configuration": configuration,
        "fold": fold,
        "dataset_json": deepcopy(DATASET),
    }


def fullres(entry: dict[str, Any]) -> dict[str, Any]:
    return entry["plans"]["configurations"]["3d_fullres"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda n: fullres(n)["training"].update(weight_decay=0.1), "training.weight_decay 0.0, now 0.1"),
        (lambda n: fullres(n)["training"].update(epochs=3), "training.epochs 8, now 3"),
        (lambda n: fullres(n)["training"].update(optimizer="SGD"), "training.optimizer not set, now 'SGD'"),
        (lambda n: fullres(n).pop("training"), "training {'weight_decay': 0.0, 'epochs': 8}, now not set"),
        (lambda n: fullres(n).update(batch_size=4), "batch_size 2, now 4"),
        (lambda n: fullres(n)["architecture"]["arch_kwargs"].update(conv_bias=False),
         "architecture.arch_kwargs.conv_bias True, now False"),
        (lambda n: n["plans"].update(transpose_forward=[1, 0, 2]), "transpose_forward [0, 1, 2], now [1, 0, 2]"),
        (lambda n: n["dataset_json"]["labels"].update(sacrum=2, ilium=1),
         "dataset.json.labels.sacrum 1, now 2; dataset.json.labels.ilium 2, now 1"),
    ],
)  # fmt: skip
def test_every_difference_is_listed(change: Callable[[Any], Any], line: str) -> None:
    now = arguments()
    change(now)
    with pytest.raises(UserError) as caught:
        check_same(arguments(), now, "latest.pth")
    assert str(caught.value).startswith("latest.pth: the training started with other values: ")
    assert f": {line}. Restore" in str(caught.value)


def test_another_order_of_regions_is_another_training() -> None:
    """Each output of the network belongs to the region at its place in dataset.json."""
    started, now = arguments(), arguments()
    started["dataset_json"]["labels"] = {"background": 0, "spine": [1, 2], "disc": 2}
    now["dataset_json"]["labels"] = {"disc": 2, "spine": [1, 2], "background": 0}
    with pytest.raises(UserError, match=r"order of regions \['spine', 'disc'\], now \['disc', 'sp"):
        check_same(started, now, "latest.pth")


@pytest.mark.parametrize(
    "change",
    [
        lambda n: None,
        lambda n: n["dataset_json"].update(
            labels=dict(reversed(n["dataset_json"]["labels"].items()))
        ),
        lambda n: n["plans"]["configurations"]["2d"].update(batch_size=7),
        lambda n: n["plans"]["configurations"].update(mine={"inherits_from": "3d_fullres"}),
        lambda n: n["plans"].update(continue_training=True),
        lambda n: fullres(n).update(memory={"needs_gb": 3.0}),
        lambda n: fullres(n)["training"].update(save_every=5),
        lambda n: n["dataset_json"].update(description="corrected"),
        lambda n: n["plans"].update(transpose_forward=(0, 1, 2)),
    ],
)
def test_what_does_not_change_the_training_is_accepted(change: Callable[[Any], Any]) -> None:
    now = arguments()
    change(now)
    check_same(arguments(), now, "latest.pth")


def test_inherited_values_are_compared() -> None:
    started, now = arguments(configuration="mine"), arguments(configuration="mine")
    for one in (started, now):
        one["plans"]["configurations"]["mine"] = {"inherits_from": "3d_fullres"}
    check_same(started, now, "latest.pth")
    fullres(now)["training"]["weight_decay"] = 1.0
    with pytest.raises(UserError, match=r"training\.weight_decay 0\.0, now 1\.0"):
        check_same(started, now, "latest.pth")


@pytest.mark.parametrize("fold", [1, "all"])
def test_another_folds_checkpoint_is_refused(fold: int | str) -> None:
    with pytest.raises(UserError, match=f"started as fold 0, not {fold}; move its folder back"):
        check_same(arguments(), arguments(fold), "latest.pth")


def test_a_long_list_is_cut() -> None:
    now = arguments()
    fullres(now)["training"].update({f"key{n}": n for n in range(20)})
    with pytest.raises(UserError, match=r"; and 8 more\. Restore"):
        check_same(arguments(), now, "latest.pth")


@pytest.fixture(scope="module")
def base(nnunet: Path) -> Tiny:
    return tiny.make("labels", 761, network="ModularUNet", training=TRAINING)


@pytest.fixture
def data(base: Tiny) -> Iterator[Tiny]:
    """The dataset, restored after the test."""
    kept = base.raw.parent.parent / "kept"
    for number, folder in enumerate((base.raw, base.preprocessed)):
        shutil.copytree(folder, kept / str(number))
    yield base
    for number, folder in enumerate((base.raw, base.preprocessed)):
        shutil.rmtree(folder)
        shutil.copytree(kept / str(number), folder)
    shutil.rmtree(kept)


def trainer(data: Tiny) -> Any:
    return tiny.trainer_of(data, "2d", "ModularUNetTrainer")


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.fixture
def saved(data: Tiny, tmp_path: Path) -> str:
    """A checkpoint of a training that has read its folds."""
    first = trainer(data)
    first.initialize()
    first.do_split()
    path = str(tmp_path / "checkpoint_latest.pth")
    first.save_checkpoint(path)
    return path


def test_a_checkpoint_continues_and_keeps_what_it_started_with(saved: str, data: Tiny) -> None:
    again = trainer(data)
    again.load_checkpoint(saved)
    again.do_split()
    record = torch.load(saved, weights_only=False)["init_args"]["nnunet_plugins"]
    assert again._started["cases"] == record["cases"]
    assert record["cases"]["training"][0] == 4
    assert "case" not in json.dumps(record["cases"]["training"])


def test_edited_plans_are_refused_before_anything_is_loaded(saved: str, data: Tiny) -> None:
    def change(content: Any) -> None:
        content["configurations"]["2d"]["training"]["weight_decay"] = 0.1

    edit(data.preprocessed / "TinyPlans.json", change)
    again = trainer(data)
    with pytest.raises(UserError, match=r"training\.weight_decay not set, now 0\.1"):
        again.load_checkpoint(saved)
    assert not again.was_initialized


def test_other_folds_are_refused(saved: str, data: Tiny) -> None:
    edit(data.preprocessed / "splits_final.json", lambda folds: folds.reverse())
    again = trainer(data)
    again.load_checkpoint(saved)
    with pytest.raises(UserError, match="fold 0 has other training and validation cases"):
        again.do_split()


def test_a_checkpoint_without_our_record_is_accepted(saved: str, data: Tiny) -> None:
    content = torch.load(saved, weights_only=False)
    del content["init_args"]["nnunet_plugins"]
    torch.save(content, saved)
    again = trainer(data)
    again.load_checkpoint(saved)
    again.do_split()


def test_training_stops_where_a_mask_has_changed_since(data: Tiny) -> None:
    mask = data.raw / "labelsTr" / "case0.nii.gz"
    found = sitk.ReadImage(str(mask))
    sitk.WriteImage(sitk.Flip(found, (True, False, False)), str(mask))
    with pytest.raises(UserError, match=r"the mask of case0 differs\); plan again .*--force"):
        trainer(data).on_train_start()


def test_training_stops_where_the_recorded_dataset_has_changed(data: Tiny) -> None:
    remember_source(data.preprocessed / "TinyPlans_2d", source_digest(data.raw))
    edit(data.raw / "dataset.json", lambda d: d["labels"].update(bone=2, disc=1))
    with pytest.raises(UserError, match="the dataset has changed since they were made"):
        trainer(data).on_train_start()


def test_training_without_the_raw_dataset_is_not_compared(
    data: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nnunet_plugins.training.data import check_current

    (data.raw / "labelsTr" / "case0.nii.gz").write_bytes(b"changed")
    with pytest.raises(UserError):
        check_current(data.preprocessed / "TinyPlans_2d")
    monkeypatch.delenv("nnUNet_raw")
    check_current(data.preprocessed / "TinyPlans_2d")


def test_a_training_is_not_continued_on_data_that_were_made_again(saved: str, data: Tiny) -> None:
    folder = data.preprocessed / "TinyPlans_2d"
    again = trainer(data)
    again.load_checkpoint(saved)
    again._started["data"] = "of the start"
    remember_source(folder, source_digest(data.raw))
    with pytest.raises(UserError, match="preprocessed from another version of the dataset"):
        again.on_train_start()


def test_training_on_unfinished_plans_is_refused(data: Tiny) -> None:
    unfinished_mark(data.preprocessed / "TinyPlans.json").touch()
    with pytest.raises(UserError, match=r"TinyPlans are not finished: .*run it again"):
        trainer(data).on_train_start()


def test_a_fold_with_other_plans_does_not_join_the_model(data: Tiny) -> None:
    """nnU-Net would replace the plans of the fold that is there."""
    first = trainer(data)
    model = Path(first.output_folder_base)
    (model / "fold_1").mkdir(parents=True)
    for name, content in (("plans", first.plans_manager.plans), ("dataset", first.dataset_json)):
        (model / f"{name}.json").write_text(json.dumps(content))
    check_folds(model, 0, first.my_init_kwargs)
    change = {"weight_decay": 0.1}
    edit(
        data.preprocessed / "TinyPlans.json",
        lambda plans: plans["configurations"]["2d"]["training"].update(change),
    )
    trainer(data).on_train_start()  # a folder without a checkpoint does not count
    (model / "plans.json").write_text(json.dumps(first.plans_manager.plans))
    (model / "fold_1" / "checkpoint_final.pth").touch()
    with pytest.raises(
        UserError, match=r"fold_1 there were trained with other values: training\.weight_decay not"
    ):
        trainer(data).on_train_start()
    file = model / "fold_1" / "checkpoint_final.pth"
    file.rename(model / "fold_0" / file.name)  # the fold itself may be trained again
    trainer(data).on_train_start()
    shutil.rmtree(model)


@pytest.mark.integration
def test_nnunets_command_continues_only_the_same_training(data: Tiny) -> None:
    fold = tiny.train(data, "2d", "ModularUNetTrainer") / "fold_0"
    log_before = sorted(fold.glob("training_log*"))
    (fold / "checkpoint_final.pth").rename(fold / "checkpoint_latest.pth")
    moved = fold.with_name("fold_1")
    shutil.copytree(fold, moved)
    with pytest.raises(UserError, match="started as fold 0, not 1"):
        tiny.train(data, "2d", "ModularUNetTrainer", fold=1, continue_training=True)
    edit(
        data.preprocessed / "TinyPlans.json",
        lambda p: p["configurations"]["2d"]["training"].update(epochs=3),
    )
    with pytest.raises(UserError, match=r"training\.epochs 2, now 3"):
        tiny.train(data, "2d", "ModularUNetTrainer", continue_training=True)
    plans_of_model = json.loads((fold.parent / "plans.json").read_text())
    assert plans_of_model["configurations"]["2d"]["training"]["epochs"] == 2
    assert set(log_before) <= set(fold.glob("training_log*"))
