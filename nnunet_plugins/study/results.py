"""The tables of a study: its rows compared on the validation cases and on the test set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nnunet_plugins.atomic_files import write_text
from nnunet_plugins.comparison import table_formats as writing
from nnunet_plugins.comparison.as_json import comparison_json
from nnunet_plugins.comparison.compare import Comparison, compare
from nnunet_plugins.comparison.paper import paper_sheet
from nnunet_plugins.comparison.runs import Run
from nnunet_plugins.comparison.tables import legend, notes_of, sheets_of, warnings_of
from nnunet_plugins.comparison.training_notes import training_facts, training_notes
from nnunet_plugins.evaluation.patients import find_patients, with_patients
from nnunet_plugins.evaluation.saved import read_scores
from nnunet_plugins.evaluation.summary import Scores
from nnunet_plugins.model_folder import read_model
from nnunet_plugins.study.folder import Study
from nnunet_plugins.study.jobs import Job, jobs_of
from nnunet_plugins.study.report import Part, write_study_report
from nnunet_plugins.study.rows import base_of, row_of, table_of

PARTS = {"validation": "score", "test": "test"}


def write_results(study: Study) -> dict[str, Any]:
    """Compare the rows and write tables/; return the names of the files.

    Raises:
        UserError: scores cannot be compared.
    """
    parts = [
        _part(study, name, compare(runs, study.settings.metrics, common=True))
        for name in PARTS
        if (runs := runs_of(study, name))
    ]
    written = [file for part in parts for file in _write(study, part)]
    report = write_study_report(study, parts)
    return {"tables": written, "report": report.name}


def runs_of(study: Study, part: str) -> list[Run]:
    """One run per row and seed: scores of the validation cases or of the test set, and how it was trained.

    Args:
        study: the study.
        part: a key of PARTS.
    """
    runs: dict[str, list[Job]] = {}
    for job in jobs_of(study.settings):
        if job.kind == PARTS[part]:
            runs.setdefault(job.run, []).append(job)
    names = study.settings.row_names
    found = [_run(study, part, jobs) for jobs in runs.values()]
    return sorted(found, key=lambda run: names.index(run.name))  # a row's seeds one after the other


def _run(study: Study, part: str, jobs: Sequence[Job]) -> Run:
    row, seed = jobs[0].row, jobs[0].seed
    model = read_model(study.model(jobs[0]), [str(fold) for job in jobs for fold in job.folds])
    base = base_of(study.settings, row_of(study.settings, row))
    facts = training_facts(model) | {"configuration": base}  # its copies are named by rows
    parts = [read_scores(study.scores(job)) for job in jobs]
    scores = _merged(parts)
    groups = Path(study.settings.data.groups) if study.settings.data.groups else None
    references = study.raw / ("labelsTr" if part == "validation" else "labelsTs")
    patients, notes = find_patients([case.name for case in scores.cases], references, groups)
    folds = {
        case.name: f"fold_{job.folds[0]}"
        for job, one in zip(jobs, parts, strict=True)
        for case in one.cases
        if part == "validation"
    }
    return Run(
        row,
        with_patients(scores, patients),
        facts,
        (*notes, *training_notes(model, facts)),
        base,
        seed,
        folds=folds,
    )


def _merged(parts: Sequence[Scores]) -> Scores:
    """The scores of several folds as one, without notes on the cases of the other folds."""
    cases = sorted((case for part in parts for case in part.cases), key=lambda case: case.name)
    notes = dict.fromkeys(
        note for part in parts for note in part.notes if "references without prediction" not in note
    )
    return replace(parts[0], cases=tuple(cases), notes=tuple(notes))


def _part(study: Study, name: str, found: Comparison) -> Part:
    """A comparison, with the rows of the study's table in the arrangement of the paper."""
    table = table_of(study.settings)
    keys = {row.key for row in table.rows}
    ours = [run for run in found.runs if run.name in keys]
    return Part(name, found, [paper_sheet(table, ours, found.marked)] if ours else [])


def _write(study: Study, part: Part) -> list[str]:
    """Write a comparison in every format; return the files' paths in the study."""
    found = part.found
    own = sheets_of(found) if len(found.runs) > 1 or found.repeated else []
    sheets = [*part.paper, *own]
    warnings, notes = warnings_of(found), [*(legend(found) if own else []), *notes_of(found)]
    formats: dict[str, Callable[[], str]] = {
        "md": lambda: writing.markdown(sheets, warnings, notes),
        "tex": lambda: writing.latex(sheets, warnings, notes),
        "txt": lambda: writing.text(sheets, warnings, notes),
        "csv": lambda: writing.comparison_csv(found),
        "json": lambda: comparison_json(found),
    }
    written = []
    for ending, text in formats.items():
        file = study.folder / "tables" / f"{part.name}.{ending}"
        write_text(file, text())
        written.append(str(file.relative_to(study.folder)))
    return written
