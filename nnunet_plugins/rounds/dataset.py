"""The raw dataset of the current references, with folds, patients, and the mark of references that saw a model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataset_conversion.io.atomic_files import digest, link, text_of, to_json
from dataset_conversion.raw_format.manifest import FILE as MANIFEST
from dataset_conversion.raw_format.manifest import FORMAT as MANIFEST_FORMAT
from dataset_conversion.raw_format.manifest import read_manifest, versions
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.saw_model import ENTRY, KEY
from nnunet_plugins.rounds.folder import ENDING, Reference, Rounds
from nnunet_plugins.rounds.folds import as_splits, folds_of
from nnunet_plugins.scratch import scratch_in


def write_dataset(rounds: Rounds, number: int) -> Path:
    """Write the dataset of the references at the start of a round, unless it is there; return its folder.

    Cases with a reference are in imagesTr and labelsTr, the others in imagesTs. Images and masks are hard links.

    Raises:
        UserError: an image or a reference has changed, as `checked_files`.
    """
    references = rounds.references(number)
    texts = {
        "dataset.json": to_json(_dataset_json(rounds, number, references)),
        "splits_final.json": to_json(as_splits(folds_of(rounds, number), rounds.settings.folds)),
        MANIFEST: to_json(_manifest(rounds, number, references)),
    }
    target = rounds.raw
    files = checked_files(rounds, number)
    if all(text_of(target / name) == text for name, text in texts.items()):
        return target
    target.parent.mkdir(exist_ok=True)
    with scratch_in(rounds.folder) as scratch:
        made = scratch / "new"
        for name in ("imagesTr", "labelsTr", "imagesTs"):
            (made / name).mkdir(parents=True)
        for name, source in files.items():
            link(source, made / name)
        for name, text in texts.items():
            (made / name).write_text(text, encoding="utf-8")
        if target.exists():
            os.rename(target, scratch / "old")
        os.rename(made, target)
    return target


def checked_files(rounds: Rounds, number: int) -> dict[str, Path]:
    """Path in the dataset of a round -> file.

    Raises:
        UserError: an image has changed since `rounds init`, or a reference since it was taken.
    """
    references, found = rounds.references(number), dict[str, Path]()
    for case, one in rounds.settings.cases.items():
        folder = "imagesTr" if case in references else "imagesTs"
        for file, sha in one.images.items():
            source = Path(rounds.settings.source) / file
            if not source.is_file() or digest(source) != sha:
                raise UserError(
                    f"{source}: is missing or has changed since rounds init; restore the file"
                )
            found[f"{folder}/{source.name}"] = source
        if case in references:
            reference = references[case]
            if not reference.file.is_file() or digest(reference.file) != reference.sha256:
                raise UserError(
                    f"{reference.file}: is missing or has changed; restore the file from a copy"
                )
            found[f"labelsTr/{case}{ENDING}"] = reference.file
    return found


def _mark(number: int, references: Mapping[str, Reference]) -> dict[str, Any]:
    """What is recorded about the references: who drew them after seeing a proposal of a model."""
    return {
        "round": number,
        "saw_model": sorted(case for case, one in references.items() if one.saw_model),
    }


def _dataset_json(
    rounds: Rounds, number: int, references: Mapping[str, Reference]
) -> dict[str, Any]:
    source = rounds.dataset_json
    ours = {**source.get(ENTRY, {}), KEY: _mark(number, references)}
    return {**source, "numTraining": len(references), ENTRY: ours}


def _manifest(rounds: Rounds, number: int, references: Mapping[str, Reference]) -> dict[str, Any]:
    """conversion.json: that of the source with the files of now, or a new one; and the round of every reference."""
    source = read_manifest(Path(rounds.settings.source))
    cases = {}
    for case, one in rounds.settings.cases.items():
        folder = "imagesTr" if case in references else "imagesTs"
        files = {f"{folder}/{Path(file).name}": sha for file, sha in one.images.items()}
        if case in references:
            files[f"labelsTr/{case}{ENDING}"] = references[case].sha256
        known = {
            "sources": {}, "settings": "", "voxels": {}, "grid": {}, "made_with": versions(),
            **source.get("cases", {}).get(case, {}),
        }  # fmt: skip
        cases[case] = {**known, "files": files, "voxels": {}, "measures": {}}
    drawn = {
        case: {"round": one.round, "reader": one.reader, "saw_model": one.saw_model}
        for case, one in sorted(references.items())
    }
    return {
        "format": MANIFEST_FORMAT,
        **{key: source[key] for key in ("dataset", "settings", "salted") if key in source},
        "patients": {case: one.patient for case, one in rounds.settings.cases.items()},
        "cases": cases,
        KEY: {**_mark(number, references), "references": drawn},
    }
