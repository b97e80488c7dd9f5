"""Cases of another dataset: an external test set with diagnoses, or new patients without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dataset_conversion.errors import some
from dataset_conversion.io.atomic_files import digest
from nnunet_plugins.classifier.folder import Classifier, find_image
from nnunet_plugins.classifier.predict import NEW
from nnunet_plugins.classifier.table import Row, patient_ids, read_table
from nnunet_plugins.classifier.train import (
    Sources,
    channel_name,
    declared_values,
    find_masks,
    lesion_values,
)
from nnunet_plugins.errors import UserError
from nnunet_plugins.plans_file import read_object


def external_cases(
    classifier: Classifier,
    sources: Sources,
    table: Path | None,
    label: str = "label",
    *,
    unrelated_ids: bool = False,
) -> Classifier:
    """Return the classifier with the cases of another dataset instead of its own.

    Args:
        classifier: the classifier.
        sources: of the other dataset.
        table: cases and diagnoses; None scores all images of imagesTr and imagesTs without diagnoses.
        label: name of the table's column with the diagnosis.
        unrelated_ids: whether equal ids in this table and that of the training are of different patients.

    Raises:
        UserError: other classes or another channel than those of the classifier, a file or a label is missing, or the
            dataset or a patient is of the training.
    """
    settings, notes = classifier.settings, classifier.notes
    dataset = read_object(sources.raw / "dataset.json")
    ending = str(dataset.get("file_ending", ".nii.gz"))
    images = [sources.raw / name for name in ("imagesTr", "imagesTs")]
    if any(str(one.resolve()) in classifier.images for one in images):
        raise UserError(
            f"--external {sources.raw.name}: the classifier was trained on this dataset; leave out --external to "
            "score its test cases"
        )
    channel = channel_name(dataset, settings.channel)
    if classifier.channel and channel.casefold() != classifier.channel.casefold():
        raise UserError(
            f"--external {sources.raw.name}: channel {settings.channel} is {channel or 'unnamed'}, that of the "
            f"training {classifier.channel}; pass a dataset of {classifier.channel}, or correct its channel_names"
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
        notes = (*notes, *_check_patients(classifier, table, unrelated_ids))
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
        values=lesion_values(settings.lesions, sources),
        declared=declared_values(sources),
        digests={},
        notes=tuple(dict.fromkeys((*notes, *masks.notes))),
    )


def _check_patients(classifier: Classifier, table: Path, unrelated_ids: bool) -> list[str]:
    """Check that no patient of the training is in the table; return what is not known."""
    if unrelated_ids:
        return [
            "external set: ids of patients were declared to be unrelated to those of the training"
        ]
    path = Path(classifier.table)
    ids = patient_ids(path) if path.is_file() else {}
    used = {row.case for row in classifier.rows if row.split in ("train", "validation")}
    same = used <= ids.keys() and classifier.table_digest in ("", digest(path))
    known = {one for case, one in ids.items() if case in used}
    shared = sorted(case for case, one in patient_ids(table).items() if one in known)
    if shared:
        raise UserError(
            f"{table}: {len(shared)} cases are of patients whose ids are in the training or validation set: "
            f"{some(shared)}; remove them, or pass --unrelated-ids if both tables number different patients alike"
        )
    if same:
        return []
    return [
        "external set: whether it shares patients with the training is not known: the table of the training is not "
        "where it was, or has changed"
    ]
