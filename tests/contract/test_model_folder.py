"""Files that nnU-Net writes next to a model, as we read them: debug.json, the log, summary.json."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from nnunetv2.evaluation.evaluate_predictions import compute_metrics, save_summary_json
from nnunetv2.evaluation.find_best_configuration import find_best_configuration
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.file_path_utilities import folds_tuple_to_string
from nnunetv2.utilities.json_export import recursive_fix_for_json_export
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_plugins.comparison.nnunet_summary import read_summaries
from nnunet_plugins.evaluation import evaluate
from nnunet_plugins.evaluation.labels import read_labels
from nnunet_plugins.evaluation.validation import CROSS_VALIDATION
from nnunet_plugins.model_facts import DEBUG_KEYS
from nnunet_plugins.training_log import read_training_log

from . import making


@pytest.fixture
def fold(make_trainer, tmp_path):
    """A trainer with its own output folder."""
    trainer = make_trainer()
    trainer.output_folder = str(tmp_path)
    trainer.log_file = str(tmp_path / "training_log_2026_1_1_00_00_00.txt")
    return trainer, tmp_path


def test_debug_json_describes_the_training(fold):
    trainer, folder = fold
    trainer._set_batch_size_and_oversample()  # initialize would do both, and want data
    trainer.network = torch.nn.Identity()
    trainer._save_debug_information()
    found = json.loads((folder / "debug.json").read_text())
    for key, kind in DEBUG_KEYS.values():
        assert key in found
        kind(found[key])
    assert int(found["num_epochs"]) == trainer.num_epochs
    assert found["network"] == "Identity"
    # The report's.
    assert {"cudnn_version", "inference_allowed_mirroring_axes"} <= found.keys()
    assert "gpu_name" in inspect.getsource(nnUNetTrainer._save_debug_information)


def test_the_log_has_epochs_and_their_times(fold, monkeypatch):
    trainer, folder = fold
    monkeypatch.setattr(trainer, "save_checkpoint", lambda _: None)
    monkeypatch.setattr(trainer.logger, "plot_progress_png", lambda _: None)
    trainer._best_ema = 2.0
    for epoch in (0, 1):
        trainer.current_epoch = epoch
        trainer.print_to_log_file(f"Epoch {epoch}")
        trainer.on_epoch_start()
        for key in ("train_losses", "val_losses", "mean_fg_dice"):
            trainer.logger.log(key, 0.5, epoch)
        trainer.logger.log("dice_per_class_or_region", [0.5], epoch)
        trainer.on_epoch_end()
    log = read_training_log(folder)
    assert len(log.seconds) == 2
    assert not log.finished
    assert log.train == log.val == log.dice == {0: 0.5, 1: 0.5}
    # Further lines of a complete training.
    assert "print_to_log_file(f'Epoch {self.current_epoch}')" in inspect.getsource(nnUNetTrainer)
    assert '"Training done."' in inspect.getsource(nnUNetTrainer.on_train_end)


@pytest.mark.parametrize("dataset", [making.DATASET, making.REGIONS], ids=["labels", "regions"])
def test_summary_json_has_the_counts_by_label(tmp_path, dataset):
    validation = tmp_path / "fold_0" / "validation"
    validation.mkdir(parents=True)
    random = np.random.default_rng(0)
    files = []
    for file in (validation / "case.nii.gz", tmp_path / "case.nii.gz"):
        sitk.WriteImage(
            sitk.GetImageFromArray(random.integers(0, 3, (4, 5, 6), np.uint8)), str(file)
        )
        files.append(file)
    (tmp_path / "dataset.json").write_text(json.dumps(dataset))
    manager = PlansManager(making.plans()).get_label_manager(dataset)
    wanted = manager.foreground_regions if manager.has_regions else manager.foreground_labels
    result = compute_metrics(str(files[1]), str(files[0]), SimpleITKIO(), wanted)
    recursive_fix_for_json_export(result)
    means = {key: {"Dice": 0.0} for key in wanted}
    summary = {"metric_per_case": [result], "mean": means, "foreground_mean": {}}
    save_summary_json(summary, str(validation / "summary.json"))
    labels = read_labels(tmp_path / "dataset.json", "test")
    theirs = read_summaries([tmp_path / "fold_0"], labels).cases[0]
    ours = evaluate(*files, dataset_json=tmp_path / "dataset.json").cases[0]
    assert theirs.name == "case"
    for label in labels.values:
        assert theirs.labels[label].counts == ours.labels[label].counts
        assert theirs.labels[label].dice == ours.labels[label].dice


def test_a_cross_validations_folder_has_the_names_of_its_folds():
    name = f"{CROSS_VALIDATION}_{{folds_tuple_to_string(folds)}}"
    assert f"join(output_folder, f'{name}')" in inspect.getsource(find_best_configuration)
    assert folds_tuple_to_string([0, 1, 10]) == "0_1_10"
