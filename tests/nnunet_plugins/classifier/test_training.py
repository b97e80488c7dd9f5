"""A training that stops and continues gives the same network; phantoms are told apart, shuffled labels are not."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from sklearn.metrics import roc_auc_score

from dataset_conversion.io.geometry import like
from dataset_conversion.phantoms.catalogue import WRITERS
from nnunet_plugins.classifier import training
from nnunet_plugins.classifier.images import Volume, load
from nnunet_plugins.classifier.settings import Settings
from nnunet_plugins.classifier.training import (
    Examples,
    load_network,
    logits_of,
    train_network,
)
from nnunet_plugins.errors import UserError

TINY = Settings(network="densenet-small", size=(8, 16, 16), epochs=4, batch=4, learning_rate=0.003)


def examples(count, seed=0):
    random = np.random.default_rng(seed)
    grid = sitk.Image([16, 16, 8], sitk.sitkUInt8)
    volumes = []
    for n in range(count):
        image = random.normal(n % 2, 1, (8, 16, 16)).astype(np.float16)
        volumes.append(Volume(image, image > 1, grid, "LPS", str(n)))
    return Examples(volumes, [n % 2 for n in range(count)])


def test_an_interrupted_training_continues_with_the_same_result(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "SAVE_EVERY", 2)
    data = examples(9), examples(4, 1)
    train_network(tmp_path / "whole", TINY, 3, *data)

    def stop(epoch, *_):
        if epoch == 3:  # two epochs are saved
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_network(tmp_path / "parts", TINY, 3, *data, report=stop)
    assert not (tmp_path / "parts" / training.FINAL).exists()
    with pytest.raises(UserError, match="started with other settings"):
        train_network(tmp_path / "parts", Settings(**{**TINY.as_json(), "batch": 3}), 3, *data)
    train_network(tmp_path / "parts", TINY, 3, *data)
    whole, parts = (
        torch.load(tmp_path / name / training.FINAL, weights_only=True)
        for name in ("whole", "parts")
    )
    assert whole["epoch"] == parts["epoch"]
    for name, one in whole["weights"].items():
        torch.testing.assert_close(parts["weights"][name], one)
    lines = (tmp_path / "parts" / training.PROGRESS).read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", "1", "2", "3", "4"]


def test_damaged_and_foreign_checkpoints_are_refused(tmp_path):
    (tmp_path / training.FINAL).write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="cannot be read"):
        load_network(tmp_path, TINY, "cpu")
    torch.save({"weights": {"a": torch.zeros(1)}}, tmp_path / training.FINAL)
    with pytest.raises(UserError, match="not of densenet-small"):
        load_network(tmp_path, TINY, "cpu")
    torch.save(Settings(), tmp_path / training.FINAL)  # a pickle with code
    with pytest.raises(UserError, match="cannot be read"):
        load_network(tmp_path, TINY, "cpu")


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    """Volumes of 36 patients; axSpA and other in turn."""
    folder = tmp_path_factory.mktemp("phantoms")
    truths = WRITERS["sij-mri"](folder, 36, diagnosed=True)
    settings = Settings(
        network="densenet-small",
        size=(8, 48, 64),
        spacing=(14, 4, 4),
        epochs=15,
        learning_rate=0.003,
    )
    volumes = []
    for truth in truths:
        files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(truth.image))
        image, mask = sitk.ReadImage(files), sitk.ReadImage(str(truth.mask))
        sitk.WriteImage(image, str(folder / "image.nii"))
        sitk.WriteImage(like(sitk.GetArrayFromImage(mask), image), str(folder / "mask.nii"))
        volumes.append(load(folder / "image.nii", folder / "mask.nii", (), settings))
    return volumes, settings


def auc_of_withheld(folder, phantoms, labels):
    volumes, settings = phantoms
    train, held = Examples(volumes[:18], labels[:18]), Examples(volumes[18:24], labels[18:24])
    train_network(folder, settings, 0, train, held)
    return roc_auc_score(
        labels[24:], logits_of(load_network(folder, settings, "cpu"), volumes[24:], 8)
    )


@pytest.mark.integration
def test_lesions_at_the_joints_and_scattered_ones_differ(tmp_path, phantoms):
    assert auc_of_withheld(tmp_path, phantoms, [1, 0] * 18) >= 0.8


@pytest.mark.integration
def test_shuffled_diagnoses_cannot_be_predicted(tmp_path, phantoms):
    # As many of both true classes have each shuffled diagnosis, in every part.
    assert auc_of_withheld(
        tmp_path, phantoms, [1, 1, 0, 0] * 4 + [1, 0] + [1, 1, 0, 0, 1, 0] + [1, 1, 0, 0] * 3
    ) == (pytest.approx(0.5, abs=0.25))
