"""Left stays left in training batches and in test-time augmentation; nnU-Net's default swaps the sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from tests.nnunet_plugins import tiny

LEFT, RIGHT = 1, 2


@pytest.fixture(scope="module")
def data(nnunet: Path) -> tiny.Tiny:
    return tiny.make("sides", 740, shape=(32, 32, 32), training={"epochs": 1})


def left_is_left(trainer: object, batches: int = 12) -> list[bool]:
    """For each training sample with both labels: is 'left' at the higher x?"""
    answers = []
    for _ in range(batches):
        target = next(trainer.dataloader_train)["target"]
        for labels in (target[0] if isinstance(target, list) else target)[:, 0].numpy():
            if (labels == LEFT).any() and (labels == RIGHT).any():
                x = [np.nonzero(labels == side)[2].mean() for side in (LEFT, RIGHT)]
                answers.append(bool(x[0] > x[1]))
    return answers


def loaders(data: tiny.Tiny, name: str) -> object:
    trainer = tiny.trainer_of(data, "3d_fullres", name)
    trainer.initialize()
    trainer.dataloader_train, trainer.dataloader_val = trainer.get_dataloaders()
    return trainer


def test_training_never_exchanges_the_sides(data: tiny.Tiny) -> None:
    trainer = loaders(data, "MAGUNetTrainer")
    answers = left_is_left(trainer)
    assert len(answers) >= 10
    assert all(answers)
    assert trainer.inference_allowed_mirroring_axes == (0, 1)
    assert "left-right (axis 2 of the patch) is off" in Path(trainer.log_file).read_text()


def test_nnunets_default_would_exchange_them(data: tiny.Tiny) -> None:
    trainer = loaders(data, "nnUNetTrainer")
    answers = left_is_left(trainer)
    assert 0 < sum(answers) < len(answers)
    assert 2 in trainer.inference_allowed_mirroring_axes


class SideByPlace(torch.nn.Module):
    """Labels the upper half of x left and the lower half right, like a network that has learned sides."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        place = torch.linspace(-1, 1, x.shape[-1]).expand(x.shape[0], 1, *x.shape[2:])
        return torch.cat([torch.zeros_like(place), place, -place], 1)


@pytest.mark.parametrize(("axes", "kept"), [((0, 1), True), ((0, 1, 2), False)])
def test_mirroring_at_prediction(axes: tuple[int, ...], kept: bool) -> None:
    predictor = nnUNetPredictor(device=torch.device("cpu"), use_mirroring=True)
    predictor.network, predictor.allowed_mirroring_axes = SideByPlace(), axes
    logits = predictor._internal_maybe_mirror_and_predict(torch.zeros(1, 1, 4, 4, 8))
    sides = logits.argmax(1)[0, 0, 0]
    expected = torch.tensor([RIGHT] * 4 + [LEFT] * 4)
    assert torch.equal(sides, expected) == kept


def test_asking_to_mirror_sides_is_refused(nnunet: Path) -> None:
    other = tiny.make("sides", 741, training={"epochs": 1, "mirror_axes": [0, 2]})
    trainer = tiny.trainer_of(other, "3d_fullres")
    trainer.initialize()
    with pytest.raises(ValueError, match=r"mirror_axes is \[0, 2\], but .* left-right \(axis 2"):
        trainer.get_dataloaders()
