"""What readers get: images, masks to correct or to draw, and the list of cases in their order."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dataset_conversion.io.atomic_files import digest
from dataset_conversion.io.geometry import like
from dataset_conversion.io.volumes import read_image
from nnunet_plugins.atomic_files import write_json
from nnunet_plugins.csv_table import csv_text
from nnunet_plugins.errors import UserError
from nnunet_plugins.export.run import Request, export_case
from nnunet_plugins.rounds.folder import ENDING, RECORD, Rounds
from nnunet_plugins.rounds.folds import mixed
from nnunet_plugins.rounds.proposals import Proposal, read_proposals
from nnunet_plugins.scratch import scratch_in

LIST = "cases.csv"


def chosen(rounds: Rounds, number: int, proposals: Mapping[str, Proposal]) -> list[str]:
    """The cases of a round in the order of reading.

    Cases of the anchoring subset come first, in random order, before the reader sees a proposal; once drawn, they do
    not come again. The others follow, at most `batch`: those with a predicted foreground in random order, or the most
    uncertain first, then those without.
    """
    asked = rounds.settings
    drawn = {case for earlier in range(1, number) for case in rounds.returned(earlier)}
    references = rounds.references(number)

    def key(case: str) -> tuple[bool, float, str]:
        one = proposals.get(case)
        unsure = one.uncertainty if one and asked.order == "uncertain" else None
        return not (one and one.foreground), -(unsure or 0.0), mixed(asked.seed, number, case)

    blind = [case for case, one in asked.cases.items() if one.blind and case not in drawn]
    others = [case for case, one in asked.cases.items() if not one.blind]
    if not proposals:  # drawn by hand: those without a reference
        others = [case for case in others if case not in references]
    blind.sort(key=lambda case: mixed(asked.seed, number, case))
    return [*blind, *sorted(others, key=key)[: asked.batch]]


def write_for_readers(rounds: Rounds, number: int) -> None:
    """Write the folder of a round, which appears complete.

    Raises:
        UserError: there is nothing to read: the references are too few to train on, and no case is without one.
    """
    proposals = read_proposals(rounds, number)
    cases = chosen(rounds, number, proposals)
    if not cases:
        raise UserError(
            f"{rounds.folder}: fewer patients have a reference than the {rounds.settings.folds} folds need, and "
            "every case has one; begin again with rounds init --folds N"
        )
    rows: list[list[object]] = [["number", "case", "mask", "uncertainty"]]
    exported = {}
    with scratch_in(rounds.round(number)) as scratch:
        made = scratch / "for_readers"
        for name in ("images", "masks"):
            (made / name).mkdir(parents=True)
        request = Request((rounds.settings.format,), made / "masks")
        for place, case in enumerate(cases, 1):
            shown = case in proposals and not rounds.settings.cases[case].blind
            _copy_images(rounds, case, made / "images")
            image, _ = read_image(rounds.image(case))
            if shown:
                image, _ = read_image(rounds.proposals(number) / f"{case}{ENDING}")
            else:
                image = like(np.zeros(image.GetSize()[::-1], np.uint8), image)
            (file,) = export_case(case, image, rounds.labels, request, None).files
            unsure = proposals[case].uncertainty if shown else None
            rows.append(
                [
                    place,
                    case,
                    "proposal" if shown else "empty",
                    None if unsure is None else f"{unsure:.3f}",
                ]
            )
            exported[case] = {"shown": shown, "sha256": digest(file)}
        (made / LIST).write_text(csv_text(rows), encoding="utf-8")
        write_json(made / RECORD, {"round": number, "model": bool(proposals), "cases": exported})
        os.rename(made, rounds.readers(number))


def _copy_images(rounds: Rounds, case: str, target: Path) -> None:
    """Copies, so that a program that saves an image does not change the dataset."""
    for file in rounds.settings.cases[case].images:
        shutil.copyfile(Path(rounds.settings.source) / file, target / Path(file).name)
