"""A reader study from its files to its tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nnunet_plugins.comparison.tables import Sheet
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.definitions import check_metrics, metric_names
from nnunet_plugins.evaluation.measuring import Scoring, more_of
from nnunet_plugins.evaluation.more import MORE
from nnunet_plugins.evaluation.patients import find_patients
from nnunet_plugins.readers import calls, design, several
from nnunet_plugins.readers.cohort import cohort_sheet
from nnunet_plugins.readers.confidence import Meaning, as_ratings
from nnunet_plugins.readers.files import Files
from nnunet_plugins.readers.findings import Finding
from nnunet_plugins.readers.mask_scoring import (
    MaskScoring,
    copies,
    mask_folders,
    score_masks,
)
from nnunet_plugins.readers.masks import METRICS, of_masks
from nnunet_plugins.readers.paper import beside_paper
from nnunet_plugins.readers.read_table import read_reads
from nnunet_plugins.readers.reads import RESERVED, Reads, check_known
from nnunet_plugins.readers.sheets import period_sheet, sheets_of

#: With fewer readers, the interaction of reader and arm is hardly known.
FEW_READERS = 4


@dataclass(frozen=True)
class Choices:
    """How a study is analysed.

    Attributes:
        positive: the word for positive in call and truth.
        confidence: what confidences mean, see `confidence.as_ratings`.
        washout: days that must pass between two reads of a case.
        metrics: of masks.
        by: column of the cohort with two groups.
        paper: whether tables 3 and 5 of sij-fm-25d-attention-unet are shown.
        jobs: processes that score masks.
        progress: wraps the list of masks.
    """

    positive: str | None = None
    confidence: Meaning | None = None
    washout: float = design.WASHOUT
    metrics: Sequence[str] = METRICS
    by: str = "group"
    paper: bool = False
    jobs: int = 1
    progress: Callable[[Any], Iterable[Any]] | None = None

    def __post_init__(self) -> None:
        """Check the washout.

        Raises:
            UserError: it is not a number of days.
        """
        if not 0 <= self.washout < math.inf:
            raise UserError(f"--washout {self.washout:g}: expected a number of days, 0 or more")


@dataclass(frozen=True)
class ReaderStudy:
    """The result.

    Attributes:
        reads: None without a table.
        scoring: of the masks; None without masks.
        findings: all numbers.
        sheets: all tables.
        warnings: what breaks the design.
        notes: what else a reader must know.
        cohort: table of the patients, which is one of the sheets.
    """

    reads: Reads | None
    scoring: MaskScoring | None
    findings: tuple[Finding, ...]
    sheets: tuple[Sheet, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    cohort: Sheet | None = None


def analyse_study(files: Files, choices: Choices) -> ReaderStudy:
    """Analyse a study.

    Raises:
        DatasetError: a table cannot be read.
        UserError: a table or a mask is not understood; the message names it.
    """
    findings: list[Finding] = []
    sheets: list[Sheet] = []
    warnings: list[str] = []
    notes: list[str] = []
    reads, scoring = None, None
    of_truth: Mapping[str, int] = {}
    metrics = check_metrics(choices.metrics, (*metric_names(pixels=False), *MORE))
    if files.table is not None:
        reads = as_ratings(
            read_reads(files.table, files.truth, choices.positive), choices.confidence
        )
        of_truth = {} if files.groups else reads.patients
        check_known(of_truth, reads.cases)
        if not of_truth:
            patients, unknown = find_patients(reads.cases, files.reference, files.groups)
            reads = replace(reads, patients=patients)
            notes += [f"table of reads: {one}" for one in unknown]
        found, about = of_reads(reads)
        findings += found
        sheets.append(period_sheet(design.periods(reads), reads.arms))
        warnings += [*design.missing(reads), *design.not_blind(reads, choices.washout)]
        notes += [
            *reads.notes,
            *design.crossed(reads, choices.washout),
            *design.not_known(reads),
            *about,
        ]
    if files.masks is not None and files.reference is not None:
        folders = mask_folders(files.masks, reads.readers if reads else ())
        scoring = score_masks(
            folders, files.reference, model=files.model, dataset_json=files.dataset_json,
            groups=files.groups, patients=of_truth,
            scoring=Scoring(metrics=more_of(metrics), jobs=choices.jobs, progress=choices.progress),
        )  # fmt: skip
        found, about = of_masks(scoring, metrics)
        findings += found
        copied, unchanged = copies(folders, files.reference, files.model)
        warnings += copied
        about += unchanged
        warnings += [
            f"no masks of {reader}"
            for reader in (reads.readers if reads else [])
            if reader not in {name for name, _ in folders}
        ]
        warnings += [note for note in scoring.notes if note.startswith("missing")]
        scored = {case.name for scores in scoring.scores.values() for case in scores.cases}
        if reads and not scored & set(reads.cases):
            warnings.append(
                f"no case of the table has a mask of its name (the masks begin with {min(scored)}, the table with "
                f"{reads.cases[0]}): rename one of them"
            )
        notes += [note for note in scoring.notes if not note.startswith("missing")] + about
    names = {one.reader for one in findings if one.table != calls.AGREEMENT} - {*RESERVED}
    notes += _of_few(names, findings)
    sheets += sheets_of(findings)
    cohort = cohort_sheet(files.cohort, choices.by) if files.cohort is not None else None
    sheets += [cohort] if cohort else []
    sheets += beside_paper(sheets) if choices.paper else []
    return ReaderStudy(
        reads,
        scoring,
        tuple(findings),
        tuple(sheets),
        tuple(warnings),
        tuple(dict.fromkeys(notes)),
        cohort,
    )


def _of_few(readers: Collection[str], findings: Sequence[Finding]) -> list[str]:
    """A note if nothing, or little, can be inferred for other readers."""
    if len(readers) == 1:
        return ["one reader: nothing is inferred for other readers"]
    if any(one.table == several.MRMC for one in findings) and len(readers) < FEW_READERS:
        return [
            f"{len(readers)} readers are few to infer anything for other readers: intervals and p-values of all "
            "readers rest on few degrees of freedom; those for these readers only do not"
        ]
    return []


def of_reads(reads: Reads) -> tuple[list[Finding], list[str]]:
    """All numbers of calls, confidences and minutes, and notes."""
    areas, about_areas = several.of_confidences(reads) if reads.truth else ([], [])
    together, about_calls = several.of_calls(reads) if reads.has("call") else ([], [])
    notes = [*about_calls, *about_areas]
    if reads.has("call"):
        notes.append(
            f"positive is {reads.positive}: {sum(reads.truth.values())} of {len(reads.truth)} cases"
        )
    if reads.has("confidence") and not reads.truth:
        notes.append("no AUC: the truth is not known; pass --truth FILE.csv")
    if reads.clustered:
        notes.append(
            "some patients have several cases: Wilson's intervals, kappa and McNemar's test take cases for "
            "independent and are too optimistic; AUC, all readers, minutes and masks are by patient"
        )
    found = [
        *calls.of_calls(reads),
        *calls.of_gains(reads),
        *calls.of_agreement(reads),
        *areas,
        *together,
    ]
    return [*found, *several.of_minutes(reads)], notes
