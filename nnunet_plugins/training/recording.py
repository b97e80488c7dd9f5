"""What our trainers have in common: what a training started with, and its network without wrappers."""

from __future__ import annotations

import os
from typing import Any

from nnunet_plugins.training.resuming import ENTRY
from nnunet_plugins.training.seeding import SeededTrainer


class RecordingTrainer(SeededTrainer):
    """nnUNetTrainer that keeps in every checkpoint what it started with."""

    my_init_kwargs: dict[str, Any]

    @property
    def _started(self) -> dict[str, Any]:
        """What was recorded when the training started; part of every checkpoint."""
        entry: dict[str, Any] = self.my_init_kwargs.setdefault(ENTRY, {})
        return entry

    def save_checkpoint(self, filename: str) -> None:
        """nnU-Net's checkpoint; one that was being written when a training was killed does not replace the former."""
        if self.local_rank or self.disable_checkpointing:
            super().save_checkpoint(filename)
            return
        partial = f"{filename}.partial"
        super().save_checkpoint(partial)
        os.replace(partial, filename)

    @property
    def _bare_network(self) -> Any:
        """The network without the wrappers of DDP and the compiler."""
        network = getattr(self.network, "module", self.network)
        return getattr(network, "_orig_mod", network)
