"""Takes back what a reader returned: every mask fits, or nothing is taken."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dataset_conversion.errors import DatasetError, some, together
from dataset_conversion.io.atomic_files import flush_folder
from dataset_conversion.io.nifti_writer import write_image
from nnunet_plugins.atomic_files import write_json
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.evaluation.pairs import label_maps
from nnunet_plugins.logged_commands import now
from nnunet_plugins.rounds.agreement import agreement
from nnunet_plugins.rounds.dataset import checked_files, write_dataset
from nnunet_plugins.rounds.folder import ENDING, RECORD, Rounds, check_open
from nnunet_plugins.rounds.minutes import read_minutes
from nnunet_plugins.rounds.proposals import array_of
from nnunet_plugins.rounds.returned import Mask, Others, doubt, read_returned
from nnunet_plugins.scratch import scratch_in
from nnunet_plugins.study.locks import alone

_DIGESTS = ("file_sha256", "voxels_sha256")
SEG = ".seg"  # left of CASE.seg.nrrd when the ending is removed


@dataclass(frozen=True)
class Ingested:
    """What was taken back.

    Attributes:
        round: number of the round.
        cases: case -> what was measured.
        known: cases whose file was taken back before.
        missing: cases of the round that were not returned so far.
        notes: for the user.
    """

    round: int
    cases: dict[str, dict[str, Any]]
    known: list[str]
    missing: list[str]
    notes: list[str]


def ingest(
    folder: Path,
    source: Path,
    reader: str,
    *,
    minutes: Path | None = None,
    confirmed: Collection[str] = (),
) -> Ingested:
    """Check the masks of a folder, measure them, and take all of them into the open round, or none.

    Files that were taken back before are left out, so calling it again changes nothing.

    Args:
        folder: of the rounds.
        source: folder with CASE.seg.nrrd, CASE.nii.gz, ...
        reader: pseudonym of the reader; letters, digits, '.', '-' and '_'.
        minutes: CSV file with the columns case and minutes.
        confirmed: cases whose mask is right although it is odd, or replaces one that was taken back before.

    Raises:
        UserError: no round is open, or masks do not fit; the message names all of them.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", reader):
        raise UserError(
            f"--reader {reader!r}: expected a pseudonym of up to 40 letters, digits, '.', '-' and '_', e.g. R1"
        )
    rounds = Rounds.read(folder)
    with alone(rounds.lock, f"rounds {folder}"):
        number = check_open(rounds)
        checked_files(rounds, number)
        files = _files(rounds, number, source, confirmed)
        times = read_minutes(minutes, files) if minutes else {}
        taken = _take(rounds, number, files, reader, times, confirmed)
        write_dataset(rounds, number + 1)
        missing = sorted(set(rounds.export(number)["cases"]) - set(rounds.returned(number)))
        return replace(taken, missing=missing)


def _files(
    rounds: Rounds, number: int, source: Path, confirmed: Collection[str]
) -> dict[str, Path]:
    """Case -> file.

    Raises:
        UserError: no masks, or names that are not cases of the round.
    """
    exported = rounds.export(number)["cases"]
    found: dict[str, Path] = {}
    inside = source / "masks"  # the folder that readers got
    for name, file in label_maps(inside if inside.is_dir() else source, "ingest").items():
        case = name.removesuffix(SEG) if file.name.lower().endswith(".seg.nrrd") else name
        if case in found:
            raise UserError(
                f"ingest: {found[case]} and {file.name} are of one case; keep one of them"
            )
        found[case] = file
    unknown = sorted(set(found) - set(exported))
    if unknown:
        names = some([found[case].name for case in unknown])
        raise UserError(
            f"{source}: not exported in round {number}: {names}; masks are named after their case, e.g. "
            f"{next(iter(exported))}.{rounds.settings.format}: rename or remove these files"
        )
    if extra := sorted(set(confirmed) - set(found)):
        raise UserError(f"--confirm {' '.join(extra)}: no mask is returned for it in {source}")
    return found


def _take(
    rounds: Rounds,
    number: int,
    files: Mapping[str, Path],
    reader: str,
    minutes: Mapping[str, float],
    confirmed: Collection[str],
) -> Ingested:
    """Check, measure and write masks and their record into one folder, which appears complete.

    Raises:
        DatasetError: some masks do not fit; the message names all of them.
    """
    taken = Ingested(number, {}, [], [], [])
    exported, earlier = rounds.export(number)["cases"], rounds.returned(number)
    references, others = rounds.references(number), Others(rounds, number)
    cases_of = {one.get(key): case for case, one in earlier.items() for key in _DIGESTS}
    problems: list[str] = []
    with scratch_in(rounds.round(number)) as scratch:
        made = scratch / "ingest"
        (made / "masks").mkdir(parents=True)
        for case, file in sorted(files.items()):
            try:
                mask = read_returned(rounds, case, file)
            except (DatasetError, UserError) as error:
                problems.append(str(error))
                continue
            before = earlier.get(case)
            again = before and (before["file_sha256"], before["reader"]) == (mask.sha256, reader)
            same = before if again else None
            spent = minutes.get(case, same["minutes"] if same else None)
            if same and spent == same["minutes"]:
                taken.known.append(case)
                continue
            if case not in confirmed and not same:
                odd = [doubt(mask, exported[case]) or others.doubt(mask)]
                keys = (mask.sha256, mask.voxels_sha256) if mask.voxels.any() else ()
                if twins := {cases_of.setdefault(key, case) for key in keys} - {case}:
                    odd.append(f"is the mask that was returned for {some(sorted(twins))}")
                if before:
                    odd.append(f"replaces the mask that {before['reader']} returned in this round")
                problems += [
                    f"{file}: {one}; if it is right, pass --confirm {case}" for one in odd if one
                ]
            proposal = rounds.proposals(number) / f"{case}{ENDING}"
            if case in others.proposals and others.proposals[case].has_changed(proposal):
                problems.append(
                    f"{proposal}: has changed since it was written; restore it from a copy"
                )
                continue
            taken.cases[case] = {
                "file_sha256": mask.sha256,
                "mask_sha256": write_image(mask.image, made / "masks" / f"{case}{ENDING}", scratch),
                "shown": exported[case]["shown"],
                "voxels_sha256": mask.voxels_sha256,
                "minutes": spent,
                "confirmed": case in confirmed or bool(same and same["confirmed"]),
                **_measured(
                    "proposal", mask, proposal if proposal.is_file() else None, rounds.labels
                ),
                **_measured(
                    "before",
                    mask,
                    references[case].file if case in references else None,
                    rounds.labels,
                ),
            }
            taken.notes.extend(f"{case}: {note}" for note in mask.notes)
        if problems:
            raise together([*problems, "no mask was taken back"] if len(problems) > 1 else problems)
        if taken.cases:
            write_json(made / RECORD, {"reader": reader, "date": now(), "cases": taken.cases})
            flush_folder(made / "masks")
            flush_folder(made)
            place = rounds.round(number) / "ingests"
            place.mkdir(exist_ok=True)
            os.rename(made, place / f"{len(rounds.ingests(number)) + 1:03}_{reader}")
    return taken


def _measured(name: str, mask: Mask, other: Path | None, labels: Labels) -> dict[str, Any]:
    """Voxels changed and Dice, against the proposal or the round before; None without one."""
    one = agreement(array_of(other), mask.voxels, labels) if other else None
    return {
        f"changed_to_{name}": one.changed if one else None,
        f"dice_to_{name}": one.mean if one else None,
        f"dice_to_{name}_by_label": one.dice if one else None,
    }
