"""Files of an evaluation: JSON, CSV, Markdown, LaTeX, figures and one self-contained HTML page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nnunet_plugins import __version__
from nnunet_plugins.atomic_files import placed_in
from nnunet_plugins.classifier import charts, checklist, sheets
from nnunet_plugins.classifier.measures import Result
from nnunet_plugins.classifier.paired import Comparison, Reader
from nnunet_plugins.comparison.table_formats import latex, markdown
from nnunet_plugins.comparison.tables import Sheet
from nnunet_plugins.csv_table import csv_text
from nnunet_plugins.figures import figure
from nnunet_plugins.reports import pages
from nnunet_plugins.reports.charts import svg

TEMPLATE = Path(__file__).with_name("templates") / "classification.html"
FORMAT, VERSION = "nnunet-plugins classification scores", 1
_SIDE = 3.4  # inches


@dataclass(frozen=True)
class Evaluation:
    """What is written.

    Attributes:
        name: of the classifier.
        results: one per split.
        other: name and result of a second classifier, on the split of the first result.
        comparison: with the second classifier.
        readers: of the first result's cases.
        paper: whether the paper's table is shown.
        maps: paths of Grad-CAM overviews for the page.
    """

    name: str
    results: tuple[Result, ...]
    other: tuple[str, Result] | None = None
    comparison: Comparison | None = None
    readers: tuple[Reader, ...] = ()
    paper: bool = False
    maps: tuple[Path, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Notes of the classifiers, which every output has."""
        second = self.other[1].predictions.notes if self.other else ()
        return tuple(dict.fromkeys((*self.results[0].predictions.notes, *second)))


def tables(found: Evaluation) -> list[Sheet]:
    """All tables, in the order of the outputs."""
    made: list[Sheet | None] = []
    for result in found.results:
        made += [
            sheets.measures_sheet(result),
            sheets.calls_sheet(result),
            sheets.trainings_sheet(result),
        ]
        made.append(sheets.calibration_sheet(result))
    if found.other and found.comparison:
        made.append(sheets.comparison_sheet((found.name, found.other[0]), found.comparison))
    if found.readers:
        made.append(sheets.readers_sheet(found.readers, len(found.results[0].labels)))
    if found.paper:
        made += [sheets.paper_sheet(result) for result in found.results]
    return [one for one in made if one is not None]


def as_json(found: Evaluation) -> dict[str, Any]:
    """All numbers with full precision."""
    return {
        "format": FORMAT,
        "format_version": VERSION,
        "made_with": f"nnunet-plugins {__version__}",
        "name": found.name,
        "notes": list(found.warnings),
        "classes": found.results[0].predictions.classes,
        "thresholds": [one.threshold for one in found.results[0].predictions.parts],
        "splits": {
            one.split: {
                "patients": len(one.labels),
                "cases": one.cases,
                "counts": asdict(one.counts),
                "measures": {
                    m.name: {k: v for k, v in asdict(m).items() if k != "name"}
                    for m in one.measures
                },
                "auc_of_seeds": one.of_seeds,
                "auc_of_folds": one.of_folds,
                "calibration": {
                    "line": asdict(one.calibration.line) if one.calibration.line else None,
                    "recalibrations": [asdict(fit) for fit in one.calibration.recalibrations],
                    "brier_recalibrated": one.calibration.brier_after,
                    "bins": [asdict(b) for b in one.calibration.bins],
                    "bins_recalibrated": [asdict(b) for b in one.calibration.bins_after],
                },
            }
            for one in found.results
        },
        "comparison": {"with": found.other[0], **asdict(found.comparison)}
        if found.other and found.comparison
        else None,
        "readers": [asdict(one) for one in found.readers],
    }


def write(folder: Path, found: Evaluation) -> list[Path]:
    """Write all files, the JSON last, and return their paths.

    Raises:
        UserError: the folder cannot be written to.
    """
    made, warnings = tables(found), found.warnings
    first = found.results[0]
    drawn = charts.charts(_named(found), found.readers)
    texts = [found.name, *first.predictions.classes, *(one.name for one in found.readers)]
    nothing = (None, None)
    rows = [
        (
            one.split, m.name, m.value,
            *(m.interval or nothing), *(m.bootstrap or nothing), *(m.part or nothing),
        )
        for one in found.results
        for m in one.measures
    ]  # fmt: skip
    head = [
        "split",
        "measure",
        "value",
        "low",
        "high",
        "bootstrap_low",
        "bootstrap_high",
        "numerator",
        "denominator",
    ]
    names = ["scores.md", "scores.tex", "scores.csv", "report.html"]
    with placed_in(folder) as scratch:
        for name, (_, draw) in drawn.items():
            paths = [scratch / f"{name}.png", scratch / f"{name}.svg"]
            with figure(paths, (_SIDE, _SIDE), texts) as drawing:
                draw(drawing.subplots())
            names += [path.name for path in paths]
        contents = (
            markdown(made, warnings, ()),
            latex(made, warnings, ()),
            csv_text([head, *rows]),
            page(found),
            json.dumps(as_json(found), indent=1) + "\n",
        )
        for name, text in zip((*names[:4], "scores.json"), contents, strict=True):
            (scratch / name).write_text(text, encoding="utf-8")
    return [folder / name for name in (*names, "scores.json")]


def page(found: Evaluation) -> str:
    """The HTML page as text; it loads nothing."""
    from markupsafe import Markup

    drawn = charts.charts(_named(found), found.readers)
    return pages.render(
        TEMPLATE,
        title=f"Classification: {found.name}",
        lead=_lead(found),
        warnings=found.warnings,
        sheets=tables(found),
        charts=[(title, Markup(svg(draw, 4.2, name))) for name, (title, draw) in drawn.items()],
        maps=[pages.picture(path.stem, path) for path in found.maps],
        items=checklist.filled(found.results),
    )


def _named(found: Evaluation) -> Sequence[tuple[str, Result]]:
    return [(found.name, found.results[0]), *([found.other] if found.other else [])]


def _lead(found: Evaluation) -> str:
    predictions = found.results[0].predictions
    negative, positive = predictions.classes
    masks = f"masks of {predictions.segmenter}" if predictions.segmenter else "drawn masks"
    return f"{positive} against {negative}; {predictions.network}, {masks}"
