"""A training that starts with the weights of another one (``training.pretrained``)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from nnunet_plugins.errors import UserError
from nnunet_plugins.training.fine_tuning.source import read_source
from nnunet_plugins.training.fine_tuning.transfer import Transfer, choose, differing
from nnunet_plugins.training.recording import RecordingTrainer


class FineTuningTrainer(RecordingTrainer):
    """Loads weights before the first epoch, freezes them for some epochs, and trains them at a lower rate.

    What was loaded is recorded in every checkpoint, so that a training continues without the source.
    """

    #: Names of the loaded parameters; empty without ``training.pretrained``.
    _loaded: frozenset[str] = frozenset()
    #: Set before a checkpoint is loaded: its record.
    _continued: dict[str, Any] | None = None

    def _with_channels(self, channels: int) -> nn.Module:
        """The network, without data, for a number of image channels."""
        with torch.device("meta"):
            network: nn.Module = self.build_network_architecture(
                self.plans_manager,
                self.configuration_manager,
                channels,
                self.label_manager.num_segmentation_heads,
                self.enable_deep_supervision,
            )
        return network

    def initialize(self) -> None:
        """nnU-Net's initialisation, then the weights of the source.

        Raises:
            UserError: the source cannot be read or does not fit.
        """
        transfer = self._prepare()
        super().initialize()
        if transfer is not None:
            self._bare_network.load_state_dict(dict(transfer.weights), strict=False)

    def _prepare(self) -> Transfer | None:
        """Choose the weights, record and log them; None if a checkpoint is loaded next, or nothing is asked for."""
        entry = self.procedure.get("pretrained")
        if entry is None:
            return None
        if entry.get("freeze_epochs", 0) and self.is_ddp:
            raise UserError(
                "plans: training.pretrained.freeze_epochs is not possible on several GPUs, whose gradients are "
                "joined for all weights from the start; set it to 0, or train on one GPU"
            )
        if self._continued is not None:
            self._loaded = frozenset(self._continued["parameters"])
            return None
        from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels

        channels = determine_num_input_channels(
            self.plans_manager, self.configuration_manager, self.dataset_json
        )
        network = self._with_channels(channels)
        source = read_source(entry)
        what = entry.get("what", "all_but_heads")
        transfer = choose(
            network,
            source,
            what,
            reads_image=differing(network, self._with_channels(channels + 1)),
            dataset=self.dataset_json,
        )
        names = transfer.parameters_of(network)
        self._loaded = frozenset(names)
        self._started["pretrained"] = {
            "sha256": source.sha256,
            "what": what,
            "tensors": len(transfer.weights),
            "adapted": list(transfer.adapted),
            "parameters": names,
        }
        total = len(transfer.weights) + len(transfer.left)
        self.print_to_log_file(
            f"pretrained: {len(transfer.weights)} of {total} tensors ({what}) of {source}, SHA-256 {source.sha256}"
        )
        if transfer.adapted:
            self.print_to_log_file(
                f"pretrained: adapted to {channels} image channels: {', '.join(transfer.adapted)}"
            )
        strides = [
            one.get("architecture", {}).get("arch_kwargs", {}).get("strides")
            for one in (source.configuration, self.configuration_manager.configuration)
        ]
        if all(strides) and strides[0] != strides[1]:
            self.print_to_log_file(
                f"pretrained: the strides of the source are {strides[0]}, here {strides[1]}"
            )
        if transfer.channels:
            self.print_to_log_file(f"pretrained: {transfer.channels}")
        return transfer

    def _set_rates(self, optimizer: torch.optim.Optimizer) -> None:
        """Give the loaded parameters a group with their own factor of the learning rate."""
        factor = self.procedure.get("pretrained", {}).get("lr_factor", 1)
        if factor == 1:
            return
        named = self._bare_network.named_parameters()
        loaded = {id(one) for name, one in named if name in self._loaded}
        base = optimizer.param_groups[0]
        options = {key: value for key, value in base.items() if key != "params"}
        parts = {
            part: [p for p in base["params"] if (id(p) in loaded) == part] for part in (True, False)
        }
        base["params"] = parts[False]
        optimizer.add_param_group({**options, "params": parts[True], "factor": factor})

    def on_train_start(self) -> None:
        """Log what is frozen."""
        super().on_train_start()
        entry = self.procedure.get("pretrained", {})
        if self._loaded:
            epochs = entry.get("freeze_epochs", 0)
            frozen = f"frozen for {epochs} epochs, then " if epochs else ""
            self.print_to_log_file(
                f"pretrained: {frozen}at {entry.get('lr_factor', 1):g} times the learning rate"
            )

    def on_train_epoch_start(self) -> None:
        """Freeze what was loaded for the first epochs, running statistics included."""
        super().on_train_epoch_start()
        epochs = self.procedure.get("pretrained", {}).get("freeze_epochs", 0)
        if not epochs:
            return
        frozen = self.current_epoch < epochs
        loaded = [
            one for name, one in self._bare_network.named_parameters() if name in self._loaded
        ]
        for one in loaded:
            one.requires_grad_(not frozen)
        ids = set(map(id, loaded))
        for module in self._bare_network.modules():
            if frozen and isinstance(module, _NormBase) and id(module.weight) in ids:
                module.eval()
