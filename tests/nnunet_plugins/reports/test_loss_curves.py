"""Loss curves of several runs: what is drawn equals the logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nnunet_plugins.errors import UserError
from nnunet_plugins.reports import loss_curves as module
from nnunet_plugins.reports.loss_curves import loss_curves, mean_curve
from tests.nnunet_plugins.training_logs import LOG


def fold(folder: Path, *losses: float) -> Path:
    """A fold whose validation losses are the training losses plus one."""
    lines = []
    for epoch, loss in enumerate(losses):
        lines += [f"x: Epoch {epoch}", f"x: train_loss {loss}", f"x: val_loss {loss + 1}"]
    folder.mkdir(parents=True)
    (folder / "training_log_2026_1_1_00_00_00.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_folds_are_averaged_over_the_epochs_that_all_have() -> None:
    assert mean_curve([{0: 1.0, 1: 3.0, 2: 9.0}, {0: 2.0, 1: 5.0}]) == {
        0: (1.5, 1.0, 2.0),
        1: (4.0, 3.0, 5.0),
    }


def test_each_run_is_one_line_in_both_panels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    drawn: list[tuple[int, Any]] = []
    draw = module._draw

    def remember(panel: Any, number: int, curve: Any) -> None:
        drawn.append((number, curve))
        draw(panel, number, curve)

    monkeypatch.setattr(module, "_draw", remember)
    runs = {
        "one": [fold(tmp_path / "a", 1.0, 0.5), fold(tmp_path / "b", 2.0, 1.5, 1.0)],
        "two": fold(tmp_path / "c", 4.0),
    }
    loss_curves(tmp_path / "loss.png", runs)
    one, two = {0: (1.5, 1.0, 2.0), 1: (1.0, 0.5, 1.5)}, {0: (4.0, 4.0, 4.0)}
    later = {epoch: tuple(v + 1 for v in values) for epoch, values in one.items()}
    assert drawn == [(0, one), (1, two), (0, later), (1, {0: (5.0,) * 3})]


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_a_model_folder_and_names_of_any_characters(model: Path, ending: str) -> None:
    found = []
    for number in range(2):
        path = model / str(number) / f"loss.{ending}"
        loss_curves(path, {"a <b> $x_1$": model, "_hidden": sorted(model.glob("fold_*"))})
        found.append(path.read_bytes())
    assert found[0] == found[1]
    if ending == "svg":
        text = found[0].decode()
        assert "a &lt;b&gt; $x_1$" in text
        assert "_hidden" in text


def test_a_run_without_losses_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "fold_0"
    empty.mkdir()
    with pytest.raises(UserError, match=r"ours: no losses in the training logs of .*fold_0"):
        loss_curves(tmp_path / "loss.png", {"ours": empty})
    (empty / "training_log_1.txt").write_text(LOG)
    loss_curves(
        tmp_path / "loss.png", {"ours": empty}
    )  # an epoch without validation loss is left out
