"""What rounds are made with: rounds.json, written once by `rounds init`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nnunet_plugins.errors import UserError
from nnunet_plugins.plans_file import read_object

FILE = "rounds.json"
FORMAT = 1
ORDERS = ("random", "uncertain")
FORMATS = ("seg.nrrd", "nii.gz")
CONFIGURATIONS = ("2d", "3d_fullres", "3d_lowres")
_MOST = 100_000


@dataclass(frozen=True)
class Case:
    """A case of the rounds.

    Attributes:
        patient: number of its patient.
        images: file in the source dataset -> SHA-256, one for each channel.
        reference: SHA-256 of the reference that it had before the rounds; '' for none.
        blind: whether it is in the anchoring subset: its reader never sees a proposal.
    """

    patient: int
    images: dict[str, str]
    reference: str = ""
    blind: bool = False


@dataclass(frozen=True)
class Settings:
    """Settings of the rounds.

    Attributes:
        dataset: name of the dataset.
        source: its folder.
        network: name of one of our networks.
        configuration: nnU-Net's configuration.
        plan: further options of `nnunet-plugins plan`.
        folds: number of folds.
        seed: of folds, order, anchoring subset and trainings.
        fine_tune: whether a round starts with the weights of the round before.
        batch: most cases of a round that are exported with a proposal; None for all.
        order: one of ORDERS.
        format: one of FORMATS, of the exported masks.
        most_rounds: number of rounds after which to stop.
        stop_dice: median Dice to the round before above which to stop.
        device: of trainings and predictions.
        cpus: worker processes.
        cases: by name.
    """

    dataset: str
    source: str
    network: str
    configuration: str
    plan: list[str]
    folds: int
    seed: int
    fine_tune: bool
    batch: int | None
    order: str
    format: str
    most_rounds: int
    stop_dice: float
    device: str
    cpus: int
    cases: Mapping[str, Case] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the values that a user chooses."""
        whole = {
            "--folds": (self.folds, 2),
            "--rounds": (self.most_rounds, 1),
            "--cpus": (self.cpus, 1),
            "--seed": (self.seed, 0),
        }
        if self.batch is not None:
            whole["--batch"] = (self.batch, 1)
        for option, (value, least) in whole.items():
            if not isinstance(value, int) or not least <= value <= _MOST:
                raise UserError(
                    f"rounds: {option} {value}: expected an integer from {least} to {_MOST}"
                )
        if not 0 < self.stop_dice <= 1:
            raise UserError(
                f"rounds: --stop-dice {self.stop_dice:g}: expected a number above 0, at most 1"
            )
        for option, name, allowed in (
            ("--order", self.order, ORDERS),
            ("--to", self.format, FORMATS),
            ("-c", self.configuration, CONFIGURATIONS),
        ):
            if name not in allowed:
                raise UserError(f"rounds: {option} {name}: allowed: {', '.join(allowed)}")

    def to_dict(self) -> dict[str, Any]:
        """All values in JSON's types."""
        return {"format_version": FORMAT, **asdict(self)}


def read_settings(folder: Path) -> Settings:
    """Read DIR/rounds.json.

    Raises:
        UserError: it does not exist, is damaged, or was written by another version.
    """
    file = folder / FILE
    if not file.is_file():
        raise UserError(
            f"{file}: does not exist; begin with: nnunet-plugins rounds init {folder} --dataset ID"
        )
    content = read_object(file)
    if content.pop("format_version", None) != FORMAT:
        raise UserError(
            f"{file}: was written by another version; supported is format_version {FORMAT}"
        )
    try:
        cases = {name: Case(**entry) for name, entry in content.pop("cases").items()}
        return Settings(**content, cases=cases)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file}: is damaged ({error}); restore it from a copy") from error
