"""Training of one network: Adam, binary cross-entropy, the epoch with the highest validation AUC.

Every epoch draws its random numbers from the seed and its own number, so an interruption does not change a training.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from nnunet_plugins.atomic_files import placed
from nnunet_plugins.classifier.augmentation import augmented
from nnunet_plugins.classifier.images import Volume
from nnunet_plugins.classifier.networks import build
from nnunet_plugins.classifier.settings import Settings
from nnunet_plugins.csv_table import csv_text
from nnunet_plugins.errors import UserError

LATEST, FINAL, PROGRESS = "checkpoint_latest.pth", "checkpoint_final.pth", "progress.csv"
SAVE_EVERY = 10  # epochs
Report = Callable[[int, float, float], None]


@dataclass(frozen=True)
class Examples:
    """Cases with their labels, in one order."""

    volumes: Sequence[Volume]
    labels: Sequence[int]


def train_network(
    folder: Path,
    settings: Settings,
    seed: int,
    train: Examples,
    validation: Examples,
    *,
    device: str = "cpu",
    report: Report | None = None,
) -> None:
    """Train, or continue, and write the best weights to FOLDER/checkpoint_final.pth.

    Args:
        folder: of this seed; a training that was interrupted there is continued.
        settings: see `Settings`.
        seed: of weights, order and augmentation.
        train: both classes.
        validation: both classes.
        device: of torch.
        report: receives the number of an epoch, its loss and its validation AUC.

    Raises:
        UserError: the checkpoint is damaged, or of other settings.
    """
    if (folder / FINAL).is_file():
        return
    network = build(settings.network, seed).to(device)
    optimizer = torch.optim.Adam(network.parameters(), settings.learning_rate)
    state = _start(folder / LATEST, settings, seed, network, optimizer)
    weight = torch.tensor(settings.positive_weight, device=device)
    loss_of = nn.BCEWithLogitsLoss(pos_weight=weight)
    flip = settings.augment and train.volumes[0].orientation[0] in "LR"
    for epoch in range(state["epoch"], settings.epochs):
        loss = _epoch(network, optimizer, loss_of, train, settings, (seed, epoch), flip)
        logits = logits_of(network, validation.volumes, settings.batch)
        truth = torch.tensor(validation.labels, dtype=torch.float32)
        validation_loss = float(loss_of.cpu()(torch.from_numpy(logits), truth))
        loss_of.to(device)
        auc = float(roc_auc_score(validation.labels, logits))
        state["history"].append([epoch + 1, loss, validation_loss, auc])
        best = state["best"]
        if best is None or (auc, -validation_loss) > (best["auc"], -best["loss"]):
            weights = {name: one.cpu().clone() for name, one in network.state_dict().items()}
            state["best"] = {
                "epoch": epoch,
                "auc": auc,
                "loss": validation_loss,
                "weights": weights,
            }
        state["epoch"] = epoch + 1
        if report:
            report(epoch + 1, loss, auc)
        if state["epoch"] % SAVE_EVERY == 0 or state["epoch"] == settings.epochs:
            state |= {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
            _save(folder / LATEST, state)
            _write_progress(folder / PROGRESS, state["history"])
    best = state["best"]
    _save(folder / FINAL, {key: best[key] for key in ("weights", "epoch", "auc")})
    (folder / LATEST).unlink(missing_ok=True)


def load_network(folder: Path, settings: Settings, device: str) -> nn.Module:
    """Return the network of a finished training, in evaluation mode.

    Raises:
        UserError: the checkpoint is missing or damaged.
    """
    network = build(settings.network, 0)
    try:
        network.load_state_dict(_load(folder / FINAL)["weights"])
    except (KeyError, RuntimeError) as error:
        raise UserError(f"{folder / FINAL}: not of {settings.network}; train again") from error
    return network.to(device).eval()


def logits_of(network: nn.Module, volumes: Sequence[Volume], batch: int) -> NDArray[np.float32]:
    """Return one logit per case; (n,)."""
    device = next(network.parameters()).device
    network.eval()
    with torch.inference_mode():
        found = [
            network(_stack(volumes[start : start + batch]).to(device))[:, 0].float().cpu()
            for start in range(0, len(volumes), batch)
        ]
    logits: NDArray[np.float32] = torch.cat(found).numpy()
    if not np.isfinite(logits).all():
        raise UserError("the network's output is not finite; train with a smaller --learning-rate")
    return logits


def _epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_of: nn.Module,
    train: Examples,
    settings: Settings,
    stream: tuple[int, int],
    flip: bool,
) -> float:
    """One pass; the mean loss of its steps."""
    random = np.random.default_rng(stream)
    device = next(network.parameters()).device
    network.train()
    order = random.permutation(len(train.labels))
    total = 0.0
    # Even parts: batch normalisation fails on a rest of one case.
    for part in np.array_split(order, -(-len(order) // settings.batch)):
        batch = _stack([train.volumes[one] for one in part]).to(device)
        if settings.augment:
            batch = augmented(batch, random, flip=flip)
        truth = torch.tensor([train.labels[one] for one in part], dtype=torch.float32)
        loss = loss_of(network(batch)[:, 0], truth.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += float(loss.detach()) * len(part)
    return total / len(order)


def _stack(volumes: Sequence[Volume]) -> Tensor:
    return torch.from_numpy(np.stack([one.channels() for one in volumes]))


def _start(
    checkpoint: Path,
    settings: Settings,
    seed: int,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> dict[str, Any]:
    """State of a new training, or that of a checkpoint, which is loaded into network and optimizer."""
    same = json.dumps(replace(settings, seeds=(seed,)).as_json(), sort_keys=True)
    if not checkpoint.is_file():
        return {"settings": same, "epoch": 0, "best": None, "history": []}
    state = _load(checkpoint)
    if state.get("settings") != same:
        raise UserError(
            f"{checkpoint}: the training started with other settings ({state.get('settings')}); restore them, or "
            "train into another folder"
        )
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return state


def _load(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise UserError(f"{path}: cannot be read ({type(error).__name__}); train again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a checkpoint of a classifier; train again")
    return content


def _save(path: Path, content: dict[str, Any]) -> None:
    with placed(path) as temporary:
        torch.save(content, temporary)


def _write_progress(path: Path, history: Sequence[Sequence[float]]) -> None:
    with placed(path) as temporary:
        head = ["epoch", "training_loss", "validation_loss", "validation_auc"]
        temporary.write_text(csv_text([head, *history]), encoding="utf-8")
