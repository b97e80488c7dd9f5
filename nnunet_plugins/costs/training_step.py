"""One training step of nnU-Net, built from a plans configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from architectures.outputs import Output
from nnunet_plugins.networks import HOSTS, build
from nnunet_plugins.planned_network import build_planned
from nnunet_plugins.training.losses import (
    DEFAULT_LOSS,
    AttentionLoss,
    OutputsLoss,
    build_loss,
    output_weights,
)
from nnunet_plugins.training.losses.names import channel_names
from nnunet_plugins.training.procedure import read_procedure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import nn

CLIP = 12.0  # nnU-Net's limit for the norm of the gradient


@dataclass(frozen=True)
class Setup:
    """Everything that determines a training step.

    Attributes:
        architecture: the plans' ``architecture`` entry.
        patch: spatial size.
        batch: samples per pass: the batch of the plans, or the part of it that is computed at once.
        channels: image channels.
        outputs: classes including background, or regions.
        names: of the outputs, for weights per class.
        training: the plans' ``training`` entry.
        network: name of the network that replaces nnU-Net's own; None keeps nnU-Net's.
        regions: whether the targets are regions.
        ignore_label: the dataset's, or None.
        batch_dice: as in the plans.
    """

    architecture: dict[str, Any]
    patch: tuple[int, ...]
    batch: int
    channels: int = 1
    outputs: int = 2
    training: dict[str, Any] = field(default_factory=dict)
    network: str | None = None
    regions: bool = False
    ignore_label: int | None = None
    batch_dice: bool = False
    names: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        configuration: Mapping[str, Any],
        dataset_json: Mapping[str, Any],
        network: str | None = None,
    ) -> Setup:
        """Return the step of a plans configuration, as resolved by ``PlansManager``, on a dataset.

        Raises:
            UserError: the ``training`` entry is invalid.
        """
        labels = LabelManager(dataset_json["labels"], dataset_json.get("regions_class_order"))
        # 'modality' is the key of nnU-Net v1.
        images = dataset_json.get("channel_names", dataset_json.get("modality"))
        channels = len(images or ())
        if configuration.get("previous_stage"):  # a cascade sees the low-resolution labels, one-hot
            channels += len(labels.foreground_labels)
        training = read_procedure(configuration)
        return cls(
            architecture=configuration["architecture"],
            patch=tuple(int(n) for n in configuration["patch_size"]),
            batch=max(1, int(configuration["batch_size"]) // training.get("accumulate", 1)),
            channels=channels,
            outputs=labels.num_segmentation_heads,
            training=training,
            network=network,
            regions=labels.has_regions,
            ignore_label=labels.ignore_label,
            batch_dice=bool(configuration.get("batch_dice", False)),
            names=tuple(channel_names(dataset_json, regions=labels.has_regions)),
        )

    def build(self) -> nn.Module:
        """Return the network on torch's default device."""
        deep = self.training.get("deep_supervision", True)
        planned = self.architecture["network_class_name"]
        if self.network is None and planned.rpartition(".")[2] in HOSTS:
            return build_planned(
                self.architecture, self.channels, self.outputs, deep_supervision=deep
            )
        name = self.network or planned.rpartition(".")[2]
        return build(name, self.architecture, self.channels, self.outputs, deep, self.patch)

    def outputs_of(self, network: Any) -> tuple[Output, ...]:
        """Return the outputs of ``network`` under deep supervision; nnU-Net's own has one per resolution."""
        if hasattr(network, "outputs"):
            found: tuple[Output, ...] = network.outputs
            return found
        strides = np.cumprod(self.architecture["arch_kwargs"]["strides"], axis=0)[:-1]
        return tuple(Output("logits", tuple(s)) for s in strides.tolist())


class TrainingStep:
    """Network, data, loss and optimizer of a setup; a call takes one of nnU-Net's training steps.

    Args:
        setup: what is trained.
        device: where the tensors are created.
        half: forward pass in fp16 under autocast, as in nnU-Net on CUDA.
        scaled: scale the loss (needs data).
    """

    def __init__(
        self,
        setup: Setup,
        device: torch.device,
        *,
        half: bool,
        scaled: bool = False,
    ) -> None:
        self.setup, self.device, self.half = setup, device, half
        with torch.device(device):
            self.network = setup.build()
            self.data = torch.rand(setup.batch, setup.channels, *setup.patch)
            self.targets = self._targets()
        self.forward: Any = self.network
        self.loss = self._loss()
        self.scaler = torch.amp.GradScaler(device.type) if scaled else None

    def _targets(self) -> list[torch.Tensor]:
        """Return labels at the size of every output, int16 as from nnU-Net's loader."""
        setup = self.setup
        channels, values = 1, setup.outputs
        if setup.regions:
            channels, values = setup.outputs + (setup.ignore_label is not None), 2
        strides = [o.stride for o in setup.outputs_of(self.network)]
        if not setup.training.get("deep_supervision", True):
            strides = strides[:1]
        return [
            torch.randint(
                values,
                (
                    setup.batch,
                    channels,
                    *(-(-n // s) for n, s in zip(setup.patch, stride, strict=True)),
                ),
                dtype=torch.int16,
            )
            for stride in strides
        ]

    def _loss(self) -> Any:
        setup = self.setup
        labels: dict[str, Any] = {"regions": setup.regions, "ignore_label": setup.ignore_label}
        terms = setup.training.get("loss", DEFAULT_LOSS)
        loss = build_loss(
            terms, batch_dice=setup.batch_dice, ddp=False, names=setup.names, **labels
        )  # type: ignore[arg-type]
        if not setup.training.get("deep_supervision", True):
            return lambda output, targets: loss(output, targets[0])
        kinds = [o.kind for o in setup.outputs_of(self.network)]
        extra = setup.training.get("output_weights", {})
        weights = output_weights(kinds, self.network.decoder, extra)
        return OutputsLoss(loss, AttentionLoss(**labels), list(zip(kinds, weights, strict=True)))

    @cached_property
    def optimizer(self) -> torch.optim.Optimizer:
        """The setup's optimizer."""
        return make_optimizer(self.network.parameters(), self.setup.training)

    @property
    def weights(self) -> list[torch.Tensor]:
        """Parameters and buffers, each once: nnU-Net's blocks register theirs under two names."""
        return [*self.network.parameters(), *self.network.buffers()]

    def __call__(self) -> None:
        """Run forward pass, loss, backward pass, clipping and optimizer."""
        self.network.zero_grad(set_to_none=True)
        # The output is kept during the backward pass, as in nnU-Net's train_step.
        with torch.autocast(self.device.type, dtype=torch.float16, enabled=self.half):
            output = self.forward(self.data)
            loss = self.loss(output, self.targets)
        self.after_forward()
        if self.scaler is None:
            loss.backward()
            self.update()
        else:
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
            self.scaler.step(self.optimizer)
            self.scaler.update()

    def update(self) -> None:
        """Clip the gradient and run the optimizer."""
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimizer.step()

    def after_forward(self) -> None:
        """Hook between forward and backward pass, for counting."""


def make_optimizer(
    parameters: Iterable[torch.Tensor], training: dict[str, Any]
) -> torch.optim.Optimizer:
    """Return the optimizer of a ``training`` entry; default: nnU-Net's SGD."""
    name = training.get("optimizer", "SGD")
    options = {
        "lr": training.get("initial_lr", 1e-2),
        "weight_decay": training.get("weight_decay", 3e-5),
    }
    if name == "SGD":
        momentum = training.get("momentum", 0.99)
        options |= {"momentum": momentum, "nesterov": momentum > 0}
    made: torch.optim.Optimizer = getattr(torch.optim, name)(parameters, **options)
    return made
