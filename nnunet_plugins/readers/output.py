"""A reader study as files: tables in Markdown, LaTeX and CSV, pictures, and one self-contained HTML page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nnunet_plugins.atomic_files import placed_in
from nnunet_plugins.comparison import table_formats as writing
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.readers.files import Files
from nnunet_plugins.readers.findings import findings_csv, turns
from nnunet_plugins.readers.forest import draw_forests, forests
from nnunet_plugins.readers.reads import ALONE, ASSISTED, MODEL
from nnunet_plugins.readers.study import ReaderStudy
from nnunet_plugins.reports.pages import picture, render
from nnunet_plugins.reports.panels import panels
from nnunet_plugins.scratch import scratch_in
from nnunet_plugins.text_table import count

_TEMPLATE = Path(__file__).with_name("templates") / "readers.html"
NAME = "readers"
#: Files that not every study has.
_OPTIONAL = (f"{NAME}_masks_*.png", f"{NAME}_forest.pdf", f"{NAME}_patients.csv")


def write_study(folder: Path, study: ReaderStudy, files: Files, title: str) -> list[Path]:
    """Write readers.md, .tex, .csv and .html, the table of the patients, forest plots, and pictures of masks.

    There is one picture per reader, of the masks in both arms. Files of an earlier run are replaced, or removed if
    this run has none.

    Raises:
        UserError: the folder cannot be written to.
    """
    with placed_in(folder) as scratch:
        draw_forests([scratch / f"{NAME}_forest.pdf"], study.findings)
        pictures = _pictures(scratch, study, files)
        page = _page(study, title, pictures)
        for ending, content in (
            ("md", writing.markdown(study.sheets, study.warnings, study.notes)),
            ("tex", writing.latex(study.sheets, study.warnings, study.notes)),
            ("csv", findings_csv(study.findings)),
            ("html", page),
        ):
            (scratch / f"{NAME}.{ending}").write_text(content, encoding="utf-8")
        if study.cohort is not None:
            patients = scratch / f"{NAME}_patients.csv"
            patients.write_text(writing.sheet_csv(study.cohort, []), encoding="utf-8")
        names = sorted(path.name for path in scratch.iterdir())
    for pattern in _OPTIONAL:
        for old in folder.glob(pattern):
            if old.name not in names:
                old.unlink()
    return [folder / name for name in names]


def _page(study: ReaderStudy, title: str, pictures: list[dict[str, str]]) -> str:
    from markupsafe import Markup

    measures = {one.measure for one in study.findings}
    return render(
        _TEMPLATE,
        title=title,
        lead=_lead(study),
        warnings=study.warnings,
        charts=[(name, Markup(chart)) for name, chart in forests(study.findings)],
        turned=any(map(turns, measures)),
        sheets=study.sheets,
        notes=study.notes,
        pictures=pictures,
    )


def _lead(study: ReaderStudy) -> str:
    names = set(study.reads.readers if study.reads else [])
    cases = set(study.reads.cases if study.reads else [])
    for (reader, _), scores in (study.scoring.scores if study.scoring else {}).items():
        names |= {reader} - {MODEL}
        cases |= {case.name for case in scores.cases}
    return f"{count(len(names), 'reader')}, {count(len(cases), 'case')}."


def _pictures(folder: Path, study: ReaderStudy, files: Files) -> list[dict[str, str]]:
    """Image, reference, alone and assisted of each reader with both; written to the folder and for the page."""
    scoring = study.scoring
    if scoring is None or files.masks is None:
        return []
    readers = dict.fromkeys(reader for reader, arm in scoring.scores if arm == ALONE)
    made = []
    for number, reader in enumerate(readers, 1):
        if (reader, ASSISTED) not in scoring.scores:
            continue
        path = folder / f"{NAME}_masks_{number}.png"
        arms = {arm: files.masks / reader / arm for arm in (ALONE, ASSISTED)}
        try:
            with scratch_in() as scratch:
                declared = scratch / "dataset.json"
                declared.write_text(json.dumps(_declared(scoring.labels, files)), encoding="utf-8")
                panels(
                    path, arms, references=files.reference, images=files.images, dataset=declared
                )
        except UserError as error:
            made.append(picture(reader, str(error)))
        else:
            made.append(picture(reader, path))
    return made


def _declared(labels: Labels, files: Files) -> dict[str, Any]:
    """A dataset.json with the labels that were scored, which may be values without names."""
    values = {name: list(of) if len(of) > 1 else of[0] for name, of in labels.values.items()}
    ignore = {} if labels.ignore is None else {"ignore": labels.ignore}
    known = json.loads(files.dataset_json.read_text("utf-8-sig")) if files.dataset_json else {}
    return {
        "channel_names": known.get("channel_names", {"0": "image"}),
        "labels": {"background": 0, **values, **ignore},
    }
