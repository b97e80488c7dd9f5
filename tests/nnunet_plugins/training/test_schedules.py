"""Learning rates by iteration, computed by hand and against torch's own schedulers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nnunet_plugins.training.schedules import StepDecay, make_schedule


def optimizer(rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)


def rates(
    training: dict[str, Any], epochs: int, per_epoch: int, *, start: int = 0, initial: float = 0.5
) -> list[float]:
    """The rate of each iteration as a trainer sets it: at the start of an epoch, and after each iteration."""
    made = optimizer(initial)
    schedule = make_schedule(training, made, initial, epochs, per_epoch)
    found = []
    for epoch in range(start, epochs):
        schedule.step(epoch)
        for _ in range(per_epoch):
            found.append(made.param_groups[0]["lr"])
            if isinstance(schedule, StepDecay):
                schedule.advance()
    return found


STEP = {"lr_schedule": "step", "lr_decay": 0.5, "lr_step": 4}


def test_the_rate_halves_every_four_iterations_within_and_across_epochs() -> None:
    assert rates(STEP, 3, 3) == [0.5] * 4 + [0.25] * 4 + [0.125]


def test_a_staircase_equals_torchs_step_lr() -> None:
    made = optimizer(5e-4)
    theirs = torch.optim.lr_scheduler.StepLR(made, step_size=7, gamma=0.5)
    expected = []
    for _ in range(40):
        expected.append(made.param_groups[0]["lr"])
        made.step()
        theirs.step()
    ours = rates(STEP | {"lr_step": 7}, 8, 5, initial=5e-4)
    assert ours == pytest.approx(expected, rel=1e-12)


def test_a_training_that_is_continued_has_the_same_rates() -> None:
    """39 iterations per epoch and 3,800 per step, as sij-fm-25d-attention-unet: epoch 97 begins at 3,783."""
    paper = {"lr_schedule": "step", "lr_decay": 0.5, "lr_step": 3800}
    whole = rates(paper, 100, 39)
    assert whole[3799:3801] == [0.5, 0.25]
    assert rates(paper, 100, 39, start=97) == whole[97 * 39 :]


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({"lr_schedule": "exponential", "lr_decay": 0.9}, [0.5, 0.5, 0.45, 0.45, 0.405, 0.405]),
        ({"lr_schedule": "constant"}, [0.5] * 6),
        # nnU-Net's (1 - epoch / 3) ** 0.9
        ({}, [0.5, 0.5, 0.5 * (2 / 3) ** 0.9] * 1 + [0.5 * (2 / 3) ** 0.9] + [0.5 * (1 / 3) ** 0.9] * 2),
    ],
)  # fmt: skip
def test_other_schedules_change_between_epochs_only(
    training: dict[str, Any], expected: list[float]
) -> None:
    assert rates(training, 3, 2) == pytest.approx(expected, rel=1e-12)
