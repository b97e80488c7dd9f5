"""The folder of the rounds: where everything is, and which reference a case has at the start of a round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dataset_conversion.datasets.dataset_json import labels_in
from dataset_conversion.errors import some
from dataset_conversion.labels import Labels as NamedLabels
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.labels import Labels, read_labels
from nnunet_plugins.plans_file import read_object
from nnunet_plugins.rounds.settings import Settings, read_settings

RECORD = "record.json"
#: What the records state of each case -> its type.
EXPORTED = {"shown": bool, "sha256": str}
RETURNED = {
    "shown": bool, "file_sha256": str, "mask_sha256": str,
    **dict.fromkeys(("minutes", "changed_to_proposal", "dice_to_proposal", "changed_to_before", "dice_to_before"),
                    int | float | None),
}  # fmt: skip
ENDING = ".nii.gz"


@dataclass(frozen=True)
class Reference:
    """The reference of a case.

    Attributes:
        file: the mask.
        sha256: of the file.
        round: in which it was drawn; 0: before the rounds.
        reader: who drew it; '' before the rounds.
        saw_model: whether the reader saw a proposal of the model in this or an earlier round.
    """

    file: Path
    sha256: str
    round: int
    reader: str
    saw_model: bool


@dataclass(frozen=True)
class Rounds:
    """Rounds of model and reader.

    Attributes:
        folder: absolute path.
        settings: of its rounds.json.
    """

    folder: Path
    settings: Settings

    @classmethod
    def read(cls, folder: Path) -> Rounds:
        """The rounds in a folder.

        Raises:
            UserError: there is no valid rounds.json.
        """
        return cls(folder.resolve(), read_settings(folder))

    @property
    def lock(self) -> Path:
        """Held by the process that changes the folder."""
        return self.folder / ".lock"

    @property
    def raw(self) -> Path:
        """The raw dataset of the current references."""
        return self.folder / "nnUNet_raw" / self.settings.dataset

    def round(self, number: int) -> Path:
        """Folder of a round; round 0 holds the references of before."""
        return self.folder / f"round_{number:02}"

    def readers(self, number: int) -> Path:
        """What readers get in a round: images, masks and the list of cases."""
        return self.round(number) / "for_readers"

    def proposals(self, number: int) -> Path:
        """The model's masks of a round, with proposals.json."""
        return self.round(number) / "proposals"

    def export(self, number: int) -> dict[str, Any]:
        """The record of what was exported in a round; {} before the export."""
        file = self.readers(number) / RECORD
        return self._record(file, EXPORTED) if file.is_file() else {}

    @property
    def current(self) -> int:
        """Number of the last round that was exported; 0 before the first."""
        number = 0
        while (self.readers(number + 1) / RECORD).is_file():
            number += 1
        return number

    def has_begun(self, number: int) -> bool:
        """Whether `next` has begun with a round."""
        return self.round(number).is_dir()

    def ingests(self, number: int) -> list[tuple[Path, dict[str, Any]]]:
        """Folder and record of every ingest of a round, in their order."""
        files = sorted((self.round(number) / "ingests").glob(f"[0-9]*/{RECORD}"))
        return [(file.parent, self._record(file, RETURNED)) for file in files]

    def _record(self, file: Path, kinds: Mapping[str, Any]) -> dict[str, Any]:
        """Read a record of cases.

        Raises:
            UserError: it is damaged, or has a case that rounds.json does not have.
        """
        content = read_object(file)
        cases = content.get("cases")
        if not isinstance(cases, dict) or not all(
            isinstance(one, dict)
            and all(isinstance(one.get(key), kind) for key, kind in kinds.items())
            for one in cases.values()
        ):
            raise UserError(
                f"{file}: is damaged; expected 'cases' with {', '.join(kinds)} of each: restore it from a copy"
            )
        if unknown := sorted(set(cases) - set(self.settings.cases)):
            raise UserError(
                f"{file}: has {some(unknown)}, which rounds.json does not have; restore the file that was edited"
            )
        return content

    def returned(self, number: int) -> dict[str, dict[str, Any]]:
        """Case -> what was measured when it was ingested, with its reader; the last ingest counts."""
        return {
            case: {**entry, "reader": record["reader"]}
            for _, record in self.ingests(number)
            for case, entry in record["cases"].items()
        }

    def references(self, number: int) -> dict[str, Reference]:
        """Case -> its reference at the start of a round: the last one of the rounds before."""
        found = {
            case: Reference(
                self.round(0) / "references" / f"{case}{ENDING}", one.reference, 0, "", False
            )
            for case, one in self.settings.cases.items()
            if one.reference
        }
        for earlier in range(1, number):
            for folder, record in self.ingests(earlier):
                for case, entry in record["cases"].items():
                    saw = entry["shown"] or (case in found and found[case].saw_model)
                    file = folder / "masks" / f"{case}{ENDING}"
                    found[case] = Reference(
                        file, entry["mask_sha256"], earlier, record["reader"], saw
                    )
        return found

    def trains(self, number: int) -> bool:
        """Whether there are enough patients with a reference to train the folds of a round."""
        patients = {self.settings.cases[case].patient for case in self.references(number)}
        return len(patients) >= self.settings.folds

    def image(self, case: str) -> Path:
        """File of a case's first channel in the source dataset."""
        return Path(self.settings.source) / next(iter(self.settings.cases[case].images))

    @cached_property
    def dataset_json(self) -> dict[str, Any]:
        """The content of the source's dataset.json.

        Raises:
            UserError: it cannot be read.
        """
        return read_object(Path(self.settings.source) / "dataset.json")

    @cached_property
    def labels(self) -> Labels:
        """The labels, as they are scored."""
        return read_labels(
            Path(self.settings.source) / "dataset.json", "dataset.json of the rounds"
        )

    @cached_property
    def named_labels(self) -> NamedLabels:
        """The labels, as masks are read."""
        return labels_in(self.dataset_json, Path(self.settings.source) / "dataset.json")


def check_open(rounds: Rounds) -> int:
    """Number of the round into which masks can be ingested.

    Raises:
        UserError: none was exported, or the next one has begun.
    """
    number = rounds.current
    if number == 0:
        raise UserError(
            f"{rounds.folder}: no round was exported; run: nnunet-plugins rounds next {rounds.folder}"
        )
    if rounds.has_begun(number + 1):
        raise UserError(
            f"{rounds.folder}: round {number} is closed, as round {number + 1} has begun; finish it with "
            f"nnunet-plugins rounds next {rounds.folder}, and return the masks in that round"
        )
    return number
