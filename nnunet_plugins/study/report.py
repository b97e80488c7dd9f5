"""The study as one self-contained HTML page, and its figures as files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_plugins.atomic_files import placed, write_text
from nnunet_plugins.comparison.compare import Comparison
from nnunet_plugins.comparison.tables import (
    Sheet,
    cost_sheet,
    legend,
    metric_sheet,
    notes_of,
    warnings_of,
)
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.definitions import METRICS
from nnunet_plugins.reports.loss_curves import loss_curves
from nnunet_plugins.reports.pages import picture, render
from nnunet_plugins.reports.panels import panels
from nnunet_plugins.study.costs import cost_table, training_table
from nnunet_plugins.study.folder import Study
from nnunet_plugins.study.forest import forest, gains_of
from nnunet_plugins.study.jobs import Job, jobs_of, trained_folds
from nnunet_plugins.study.settings import FILE
from nnunet_plugins.study.steps import predictions

_TEMPLATE = Path(__file__).with_name("templates") / "study.html"
TITLES = {"validation": "Validation cases", "test": "Test set"}
NAME = "report.html"
FIGURES = "figures"


@dataclass(frozen=True)
class Part:
    """The comparison of one set of cases, and the table of a paper that has its rows."""

    name: str
    found: Comparison
    paper: list[Sheet]


def write_study_report(study: Study, parts: list[Part]) -> Path:
    """Write DIR/report.html and the figures in it to DIR/figures; return the path of the page.

    Raises:
        UserError: it cannot be written.
    """
    text = render(
        _TEMPLATE,
        title=study.folder.name,
        lead=_lead(study, parts),
        parts=[_part(study, part) for part in parts],
        pictures=_pictures(study, parts),
        costs=cost_table(study),
        budget=cost_sheet(parts[0].found.runs) if parts else None,
        trainings=training_table(study),
        settings=(study.folder / FILE).read_text(encoding="utf-8"),
    )
    write_text(study.folder / NAME, text)
    return study.folder / NAME


def _lead(study: Study, parts: list[Part]) -> str:
    """What was trained, on how much."""
    runs = trained_folds(study.settings)
    rows, seeds = len(study.settings.row_names), len({seed for _, seed in runs})
    count = sum(len(folds) for folds in runs.values())
    text = f"{rows} rows, {count} trainings, {seeds} seed{'s' if seeds > 1 else ''}"
    for part in parts:
        patients = len(set(part.found.patients.values()))
        cases = len(part.found.runs[0].scores.cases)
        of = f" of {patients} patients" if patients else ""
        text += (
            f"; {TITLES[part.name].lower()}: {cases}{' cases' if part.name == 'test' else ''}{of}"
        )
    return f"{text}. Dataset {study.dataset}."


def _part(study: Study, part: Part) -> dict[str, Any]:
    from markupsafe import Markup

    found, charts = part.found, []
    label = found.tables[0].lines[0].label
    for table in found.tables if len(found.runs) > 1 else ():
        chart = forest(gains_of(found, table.metric, label), table.metric, found.runs[0].name)
        if chart:
            write_text(study.folder / FIGURES / f"{part.name}_{table.metric}.svg", chart)
            charts.append((METRICS[table.metric].title, Markup(chart)))
    return {
        "name": part.name,
        "title": TITLES[part.name],
        "warnings": warnings_of(found),
        "sheets": [*part.paper, *(metric_sheet(table, found) for table in found.tables)],
        "charts": charts,
        "label": label,
        "baseline": found.runs[0].name,
        "repeated": found.repeated,
        "legend": legend(found),
        "notes": notes_of(found),
    }


def _pictures(study: Study, parts: list[Part]) -> list[dict[str, str]]:
    """Loss curves and panels, each as an image of the page, or why it is missing."""
    folder = study.folder / FIGURES
    made = [
        _picture("Loss curves", folder / "loss.svg", lambda path: loss_curves(path, _folds(study)))
    ]
    for part in parts:
        title, target = f"{TITLES[part.name]}, as the rows segment them", f"{part.name}_cases.png"
        made.append(_picture(title, folder / target, lambda path, p=part: _panels(study, p, path)))  # type: ignore[misc]
    return made


def _picture(title: str, target: Path, draw: Callable[[Path], Any]) -> dict[str, str]:
    try:
        with placed(target) as path:
            draw(path)
    except UserError as error:
        target.unlink(missing_ok=True)  # of an earlier state of the study
        return picture(title, str(error))
    return picture(title, target)


def _folds(study: Study) -> Mapping[str, list[Path]]:
    """Row -> the folders of its trainings."""
    found: dict[str, list[Path]] = {}
    for job in jobs_of(study.settings):
        if job.kind == "train":
            found.setdefault(job.row, []).append(study.fold(job))
    return {row: found[row] for row in study.settings.row_names}


def _panels(study: Study, part: Part, path: Path) -> list[str]:
    """Panels of the rows with the first seed, on cases that all have."""
    first: dict[str, list[Job]] = {}
    kind = "test" if part.name == "test" else "score"
    for job in jobs_of(study.settings):
        if job.kind == kind and job.seed == study.settings.seeds[0]:
            first.setdefault(job.row, []).append(job)
    test = part.name == "test"
    networks = {
        row: [predictions(study, job) if test else study.fold(job) / "validation" for job in jobs]
        for row, jobs in first.items()
    }
    truth, images = ("labelsTs", "imagesTs") if test else ("labelsTr", "imagesTr")
    return panels(
        path,
        networks,
        references=study.raw / truth,
        images=study.raw / images,
        dataset=study.preprocessed / "dataset.json",
    )
