"""Parameters of a classifier.

Paper 002 prints loss, epochs and learning rate. Network, batch, augmentation and threshold are defaults of this
package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from nnunet_plugins.errors import UserError

#: Voxels along an axis. With 6 or 7, oneDNN's gradient of the first kernel, 7 voxels wide, reads memory that is not
#: initialised (torch 2.14, CPU).
LEAST_SIZE = 8


@dataclass(frozen=True)
class Settings:
    """Parameters of images, network and training; they are written into the classifier's folder.

    Attributes:
        network: a name in `networks.NETWORKS`.
        size: voxels (slices, rows, columns).
        spacing: mm (across slices, along rows, along columns).
        channel: of the dataset's images.
        lesions: labels of the masks that count; empty for all.
        epochs: passes over the training cases.
        batch: cases of a step.
        learning_rate: of Adam.
        positive_weight: weight of positive cases in the loss; 1 without one.
        augment: random flips, turns, shifts, zooms and brightness.
        seeds: one training each; probabilities are averaged.
    """

    network: str = "densenet121"
    size: tuple[int, int, int] = (16, 192, 192)
    spacing: tuple[float, float, float] = (7.0, 1.0, 1.0)
    channel: int = 0
    lesions: tuple[str, ...] = ()
    epochs: int = 300
    batch: int = 8
    learning_rate: float = 1e-3
    positive_weight: float = 1.0
    augment: bool = True
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UserError: a value that is not allowed.
        """
        from nnunet_plugins.classifier.networks import NETWORKS

        if self.network not in NETWORKS:
            raise UserError(f"--network {self.network}: allowed are {', '.join(NETWORKS)}")
        for option, values, least, most in (
            ("--size", self.size, LEAST_SIZE, 2048),
            ("--spacing", self.spacing, 1e-3, 1e3),
            ("--channel", (self.channel,), 0, 9999),
            ("--epochs", (self.epochs,), 1, 10**6),
            ("--batch", (self.batch,), 2, 10**4),
            ("--learning-rate", (self.learning_rate,), 1e-12, 10.0),
            ("--positive-weight", (self.positive_weight,), 1e-6, 1e6),
            ("--seeds", self.seeds, 0, 2**63 - 1),
        ):
            wrong = [one for one in values if not least <= one <= most]  # also NaN
            if wrong:
                raise UserError(
                    f"{option} {wrong[0]:g}: expected a number from {least:g} to {most:g}"
                )
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UserError("--seeds: different whole numbers from 0 are required, at least one")

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Settings:
        """Return the settings that `as_json` gave, also after JSON has turned tuples into lists."""
        known = {one.name for one in fields(cls)}
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in content.items()
            if name in known
        }
        return cls(**values)
