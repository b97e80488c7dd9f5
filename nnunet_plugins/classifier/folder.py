"""The folder of a classifier: classifier.json, a folder per seed, and finished.json with the threshold."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dataset_conversion.errors import some
from dataset_conversion.io.atomic_files import digest_of
from nnunet_plugins import __version__
from nnunet_plugins.atomic_files import placed
from nnunet_plugins.classifier.settings import Settings
from nnunet_plugins.classifier.table import Row
from nnunet_plugins.errors import UserError
from nnunet_plugins.plans_file import MALFORMED, read_object

FILE, FINISHED = "classifier.json", "finished.json"
FORMAT, VERSION = "nnunet-plugins classifier", 1
EARLIER = (
    "the classifier is of an earlier version, which recorded no digests, channel and slice plane: whether images and "
    "masks have changed since the training, and whether others are of the same kind, is not known"
)


@dataclass(frozen=True)
class Classifier:
    """What a training was given.

    Attributes:
        folder: its folder.
        settings: parameters.
        classes: names, negative first.
        rows: cases with their splits; patients are numbers.
        images: folders of the images, imagesTr and imagesTs of the dataset.
        ending: of the images.
        masks: case -> label map.
        values: labels of the masks that count; none: all but 0.
        segmenter: folder of the model that predicted the masks; '' for drawn masks.
        notes: for every output.
        table: the CSV file of the cases; it alone names patients.
        digests: case -> SHA-256 of its image and mask files, also of test cases; {} in folders of earlier versions.
        table_digest: SHA-256 of that file; '' in folders of earlier versions.
        declared: values that masks may hold; () in folders of earlier versions.
        channel: name of the images' channel; '' if the dataset names none, and in folders of earlier versions.
    """

    folder: Path
    settings: Settings
    classes: tuple[str, str]
    rows: tuple[Row, ...]
    images: tuple[str, ...]
    ending: str
    masks: Mapping[str, str]
    values: tuple[int, ...]
    segmenter: str
    notes: tuple[str, ...]
    table: str
    digests: Mapping[str, str]
    table_digest: str
    declared: tuple[int, ...]
    channel: str

    def image(self, case: str) -> Path:
        """The image of a case.

        Raises:
            UserError: there is none.
        """
        return find_image(
            case, [Path(one) for one in self.images], self.settings.channel, self.ending
        )

    def digest(self, case: str) -> str:
        """SHA-256 of the image and mask files of a case."""
        return digest_of([self.image(case), Path(self.masks[case])])

    def check_files(self, digests: Mapping[str, str]) -> None:
        """Check that files are those that were recorded.

        Args:
            digests: case -> SHA-256 of its files now.

        Raises:
            UserError: they are not; the message names the cases.
        """
        changed = [case for case, one in digests.items() if self.digests.get(case, one) != one]
        if changed:
            raise UserError(
                f"{self.folder}: the image or mask of {len(changed)} cases has changed since classify train: "
                f"{some(changed)}; restore the files, or train into another folder with -o"
            )

    def seed_folder(self, seed: int) -> Path:
        """The folder of one training."""
        return self.folder / f"seed_{seed}"

    def write(self) -> None:
        """Write classifier.json, or check that the one that is there is of the same training.

        Raises:
            UserError: it is of another training, or the folder holds other files.
        """
        content = self._content()
        if (self.folder / FILE).is_file():
            known = read_object(self.folder / FILE)
            may = ("made_with", "table", "digests", "table_digest")
            changed = [k for k, v in content.items() if k not in may and known.get(k, v) != v]
            if changed:
                raise UserError(
                    f"{self.folder}: holds a classifier with other {', '.join(changed)}; pass another folder with -o"
                )
            read_classifier(self.folder).check_files(self.digests)
            return
        others = [one.name for one in self.folder.glob("*") if not one.name.startswith(".")]
        if others:
            raise UserError(
                f"{self.folder}: holds other files ({some(sorted(others))}); pass a new or empty folder with -o"
            )
        write_json(self.folder / FILE, content)

    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(
            json.dumps(
                {
                    "format": FORMAT,
                    "format_version": VERSION,
                    "made_with": f"nnunet-plugins {__version__}",
                    "settings": self.settings.as_json(),
                    "classes": self.classes,
                    "rows": [asdict(row) for row in self.rows],
                    "images": self.images,
                    "ending": self.ending,
                    "masks": dict(self.masks),
                    "values": self.values,
                    "segmenter": self.segmenter,
                    "notes": self.notes,
                    "table": self.table,
                    "digests": self.digests,
                    "table_digest": self.table_digest,
                    "declared": self.declared,
                    "channel": self.channel,
                }
            )
        )
        return content


def read_classifier(folder: Path) -> Classifier:
    """Read classifier.json.

    Raises:
        UserError: it is missing, damaged, or of another version.
    """
    if not (folder / FILE).is_file():
        raise UserError(
            f"{folder}: no classifier ({FILE} missing); give the folder of classify train -o"
        )
    content = read_object(folder / FILE)
    if (content.get("format"), content.get("format_version")) != (FORMAT, VERSION):
        raise UserError(f"{folder / FILE}: of another version; train again")
    try:
        first, second = content["classes"]
        earlier = () if "digests" in content else (EARLIER,)
        return Classifier(
            folder,
            Settings.from_json(content["settings"]),
            (first, second),
            tuple(Row(**row) for row in content["rows"]),
            tuple(content["images"]),
            content["ending"],
            content["masks"],
            tuple(content["values"]),
            content["segmenter"],
            (*content["notes"], *earlier),
            content["table"],
            content.get("digests", {}),
            content.get("table_digest", ""),
            tuple(content.get("declared", ())),
            content.get("channel", ""),
        )
    except MALFORMED as error:
        raise UserError(f"{folder / FILE}: damaged ({error!r:.300}); train again") from error


def read_finished(classifier: Classifier) -> dict[str, Any]:
    """The threshold, the validation AUCs, and what is known of the images.

    Raises:
        UserError: the training is not finished, or the file is damaged.
    """
    path = classifier.folder / FINISHED
    if not path.is_file():
        raise UserError(
            f"{classifier.folder}: the training is not finished; run the same classify train again, it continues"
        )
    content = read_object(path)
    try:
        if not math.isfinite(content["threshold"]) or not all(content["images"].values()):
            raise ValueError("a number is not finite, or a digest is empty")
    except MALFORMED as error:
        raise UserError(
            f"{path}: damaged ({error!r:.300}); remove the file, and run the same classify train again"
        ) from error
    return content


def find_image(case: str, folders: Sequence[Path], channel: int, ending: str) -> Path:
    """The image of a case in the first folder that has it.

    Raises:
        UserError: no folder has it.
    """
    name = f"{case}_{channel:04d}{ending}"
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"{case}: no image {name} in {', '.join(map(str, folders))}; correct the table")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file that appears complete or not at all."""
    with placed(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
