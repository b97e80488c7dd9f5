"""Cases of another dataset: an external test set with diagnoses, or new patients without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nnunet_plugins.classifier.folder import Classifier, find_image
from nnunet_plugins.classifier.predict import NEW
from nnunet_plugins.classifier.table import Row, read_table
from nnunet_plugins.classifier.train import Sources, find_masks
from nnunet_plugins.errors import UserError
from nnunet_plugins.plans_file import read_object


def external_cases(
    classifier: Classifier, sources: Sources, table: Path | None, label: str = "label"
) -> Classifier:
    """Return the classifier with the cases of another dataset instead of its own.

    Args:
        classifier: the classifier.
        sources: of the other dataset.
        table: cases and diagnoses; None scores all images of imagesTr and imagesTs without diagnoses.
        label: name of the table's column with the diagnosis.

    Raises:
        UserError: other classes than those of the classifier, or a file is missing.
    """
    settings = classifier.settings
    ending = str(read_object(sources.raw / "dataset.json").get("file_ending", ".nii.gz"))
    images = [sources.raw / name for name in ("imagesTr", "imagesTs")]
    if any(str(one.resolve()) in classifier.images for one in images):
        raise UserError(
            f"--external {sources.raw.name}: the classifier was trained on this dataset; leave out --external to "
            "score its test cases"
        )
    if table is None:
        tail = f"_{settings.channel:04d}{ending}"
        names = sorted(
            file.name.removesuffix(tail) for folder in images for file in folder.glob(f"*{tail}")
        )
        rows = [Row(name, number, 0, NEW) for number, name in enumerate(names, 1)]
    else:
        found = read_table(table, label=label, positive=classifier.classes[1])
        if found.classes != classifier.classes:
            raise UserError(
                f"{table}: the classes are {' and '.join(found.classes)}, those of the classifier "
                f"{' and '.join(classifier.classes)}"
            )
        rows = [replace(row, split="external") for row in found.rows]
    for row in rows:
        find_image(row.case, images, settings.channel, ending)
    masks = find_masks([row.case for row in rows], sources)
    return replace(
        classifier,
        rows=tuple(rows),
        images=tuple(str(one.resolve()) for one in images),
        ending=ending,
        masks={case: str(file) for case, file in masks.files.items()},
        segmenter="" if masks.references else str(sources.model),
        notes=tuple(dict.fromkeys((*classifier.notes, *masks.notes))),
    )
