"""One self-contained HTML page: a run's scores, its worst cases, its plan and training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_plugins.atomic_files import write_text
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.definitions import EMPTY_RULE
from nnunet_plugins.evaluation.instance_table import (
    instance_note,
    numbering_table,
    quality_table,
)
from nnunet_plugins.evaluation.units import title_of, tolerance_of
from nnunet_plugins.optional_imports import installed_version
from nnunet_plugins.reports import agreement, charts, checklists, facts, pages
from nnunet_plugins.reports.niivue import HOW_TO_GET, as_script, find_niivue, pack_case
from nnunet_plugins.reports.overlays import KINDS, draw_planes, legend_swatch
from nnunet_plugins.reports.pages import in_base64, raw, render
from nnunet_plugins.reports.sources import Source
from nnunet_plugins.reports.volumes import CaseVolumes, Coding, load_case
from nnunet_plugins.text_table import count, number

MOST_BYTES = 25_000_000
WORST = 6
_SECTIONS = (
    ("scores", "Scores"), ("distribution", "Distribution"), ("volumes", "Volumes"), ("cases", "Worst cases"),
    ("view", "3D"), ("training", "Training"), ("plan", "Plan"), ("environment", "Environment"),
    ("checklists", "Checklists"),
)  # fmt: skip


@dataclass(frozen=True)
class PageOptions:
    """Options of the page.

    Attributes:
        title: heading; '' takes the run's name.
        lead: sentence below the heading; '' gives the numbers of cases and labels and the mean Dice.
        worst: number of worst cases with pictures.
        case: shown in 3D; None takes the worst.
        commands: heading -> shell lines at the end of the page.
    """

    title: str = ""
    lead: str = ""
    worst: int = WORST
    case: str | None = None
    commands: Mapping[str, Sequence[str]] = field(default_factory=dict)


def write_report(path: Path, source: Source, options: PageOptions | None = None) -> None:
    """Write the page atomically.

    Raises:
        UserError: the path or an option is invalid, a case cannot be read, or the page would exceed 25 MB.
    """
    check_output(path)
    text = page(source, options or PageOptions())
    size = len(text.encode("utf-8"))
    if size > MOST_BYTES:
        raise UserError(
            f"report: the page would have {size / 1e6:.1f} MB, allowed are {MOST_BYTES / 1e6:g}; "
            "pass a smaller --worst"
        )
    write_text(path, text)


def check_output(path: Path) -> None:
    """Check the path of the page.

    Raises:
        UserError: it is a folder, or does not end in .html.
    """
    if path.is_dir() or path.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{path}: a report is an .html file; pass -o report.html")


def page(source: Source, options: PageOptions) -> str:
    """Return the page as text.

    Raises:
        UserError: the case to show in 3D has no files, or a case cannot be read.
    """
    scores = source.scores
    if options.case is not None and options.case not in source.cases:
        raise UserError(
            f"report: --case {options.case}: not among the cases with files: {', '.join(source.cases) or 'none'}"
        )
    ranked = facts.worst_first(scores)
    cases = [_case(source, case, dice) for case, dice in ranked[: max(0, options.worst)]]
    claim, reloaded = (
        checklists.filled(items, source)
        for items in (checklists.CLAIM, checklists.METRICS_RELOADED)
    )
    shown = [name for name in ("dice", "hd95_mm") if name in scores.metrics]
    distributions = [(title_of(name, scores), charts.distribution(scores, name)) for name in shown]
    curves = [
        ("loss by epoch", charts.losses(source.logs)),
        ("pseudo-Dice by epoch", charts.pseudo_dice(source.logs)),
    ]
    return render(
        pages.TEMPLATES / "page.html",
        title=options.title or source.name,
        lead=options.lead or ("On training cases: " if scores.trained_on else "")
        + f"{count(len(scores.cases), 'case')}, {count(len(scores.labels.values), 'label')}, "
        f"mean foreground Dice {number(scores.mean_foreground_dice, 4)}",
        sections=_SECTIONS,
        notes=[*source.notes, *scores.notes],
        trained_on=scores.trained_on,
        not_recorded=facts.NOT_RECORDED,
        summary=facts.summary_table(scores),
        empty_rule=EMPTY_RULE,
        tolerance=tolerance_of(scores),
        instances=quality_table(scores),
        numbering=numbering_table(scores),
        instances_note=instance_note(scores),
        labels_source=scores.labels.source,
        empties=facts.empty_masks(scores),
        distributions=_charts(distributions),
        intervals=agreement.interval_table(scores),
        intervals_note=agreement.interval_note(scores),
        volumes=agreement.agreement_table(scores),
        volumes_note=agreement.agreement_note(scores),
        volume_charts=_charts(agreement.agreement_charts(scores)),
        cases=cases,
        cases_lead=_cases_lead(cases, len(ranked)),
        any_pictures=any(case["pictures"] for case in cases),
        legend=[
            (kind.name, legend_swatch(kind), f"{kind.outline} outline".replace("none", "no"))
            for kind in KINDS.values()
        ],
        others=_all_cases(ranked) if len(ranked) > 1 else ([], []),
        training=facts.training_rows(source),
        curves=_charts(curves),
        progress=[(fold, in_base64(file)) for fold, file in source.progress.items()],
        plan=facts.plan_rows(source),
        environment=facts.environment_rows(source),
        claim=claim,
        claim_count=checklists.answered(claim),
        reloaded=reloaded,
        reloaded_count=checklists.answered(reloaded),
        commands=list(options.commands.items()),
        version=installed_version("nnunet-plugins") or facts.NOT_RECORDED,
        viewer_script=raw(pages.TEMPLATES / "viewer.js"),
        viewer=_viewer(source, options.case or next((c.name for c, _ in ranked if c.name in source.cases), None)),
    )  # fmt: skip


def _case(source: Source, case: Any, dice: float | None) -> dict[str, Any]:
    shown: dict[str, Any] = {"pictures": [], "note": "", "oriented": False}
    if case.name in source.cases:
        volumes = _volumes(source, case.name)
        shown = {
            "pictures": draw_planes(volumes),
            "note": volumes.note,
            "oriented": volumes.oriented,
        }
    return {
        "name": case.name,
        "dice": number(dice, 3),
        "table": facts.case_table(case, source.scores),
        **shown,
    }


def _volumes(source: Source, case: str) -> CaseVolumes:
    files = source.cases[case]
    return load_case(files, source.scores.labels, source.channel, values=source.values)


def _cases_lead(shown: Sequence[dict[str, Any]], there: int) -> str:
    oriented = [case["oriented"] for case in shown if case["pictures"]]
    letters = (
        " Letters at the edges: R right, L left, A front, P back, S head, I feet of the patient."
        if any(oriented)
        else ""
    )
    return (
        f"{len(shown)} of {count(there, 'case')}, ordered by the mean Dice of the labels in the reference or "
        f"the prediction. Each plane shows the slice with the most wrong voxels, to scale.{letters}"
    )


def _all_cases(ranked: Sequence[tuple[Any, float | None]]) -> tuple[list[str], list[list[str]]]:
    labels = list(ranked[0][0].labels)
    rows = [
        [case.name, number(dice, 3), *(number(case.labels[name].dice, 3) for name in labels)]
        for case, dice in ranked
    ]
    return ["case", "mean Dice", *labels], rows


def _charts(found: Sequence[tuple[str, str | None]]) -> list[tuple[str, Any]]:
    from markupsafe import Markup

    # Matplotlib escapes text.
    return [(name, Markup(svg)) for name, svg in found if svg]


def _viewer(source: Source, name: str | None) -> dict[str, Any]:
    """The template's values for the 3D view, or what is missing for it."""
    from markupsafe import Markup

    if name is None:
        missing = "The files of the cases are not known, so there is no 3D view."
        return {"missing": missing, "command": ""}
    niivue = find_niivue()
    if niivue is None:
        missing = (
            "The 3D view needs the package ipyniivue, which is not installed. Install it and write the report again; "
            "the rest of the page remains the same."
        )
        return {"missing": missing, "command": HOW_TO_GET}
    code, about = niivue
    volumes = _volumes(source, name)
    if not volumes.oriented and min(volumes.reference.shape) < 2:
        return {"missing": f"Case {name} is a 2D image, so there is no 3D view.", "command": ""}
    case = pack_case(volumes, Coding(source.scores.labels).names)
    # The code is base64; as_script escapes the data.
    return {
        "missing": "",
        "about": about,
        "case": case,
        "code": Markup(code),
        "data": Markup(as_script(case)),
    }
