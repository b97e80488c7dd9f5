"""One HTML page that stands by itself: scores, a picture, and how they were made."""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1f2328;max-width:60rem;margin:2.5rem auto;padding:0 1.2rem}
h1{font-size:1.6rem;margin-bottom:.2rem} h2{font-size:1.1rem;margin-top:2.2rem}
p.lead{color:#57606a;margin-top:0} table{border-collapse:collapse;width:100%}
th,td{padding:.4rem .7rem;text-align:right;border-bottom:1px solid #d8dee4;font-variant-numeric:tabular-nums}
th:first-child,td:first-child{text-align:left} thead th{border-bottom:2px solid #57606a;font-weight:600}
pre{background:#f6f8fa;padding:.9rem 1rem;border-radius:6px;white-space:pre-wrap;font-size:13px}
img{max-width:100%;border-radius:6px} .note{color:#57606a;font-size:13px}
"""
_COLUMNS = (
    ("dice", "Dice", 3), ("iou", "IoU", 3), ("precision", "precision", 3), ("recall", "recall", 3),
    ("hd95_mm", "HD95 (mm)", 1), ("assd_mm", "ASSD (mm)", 2),
)  # fmt: skip


def write_page(
    path: Path,
    *,
    title: str,
    lead: str,
    scores: Mapping[str, Any],
    picture: Path,
    commands: Mapping[str, Sequence[str]],
) -> None:
    """Write the page whole or not at all.

    Args:
        path: the .html file.
        title: heading.
        lead: a sentence below it.
        scores: what ``evaluate`` writes as JSON.
        picture: PNG, embedded.
        commands: heading -> shell lines.
    """
    embedded = base64.b64encode(picture.read_bytes()).decode("ascii")
    listings = "".join(
        f"<h2>{html.escape(heading)}</h2><pre>{html.escape(chr(10).join(lines))}</pre>"
        for heading, lines in commands.items()
    )
    text = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style></head>
<body><h1>{html.escape(title)}</h1><p class="lead">{html.escape(lead)}</p>
{_table(scores)}
<h2>Reference and prediction</h2>
<img alt="reference and prediction, three planes" src="data:image/png;base64,{embedded}">
{listings}
</body></html>
"""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def _table(scores: Mapping[str, Any]) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("label", "n", *(c[1] for c in _COLUMNS)))
    rows = []
    for label, summary in scores["summary"].items():
        cells = [html.escape(label), str(summary["metrics"]["dice"]["n"])]
        for key, _, digits in _COLUMNS:
            mean = summary["metrics"][key]["mean"]
            cells.append("&ndash;" if mean is None else f"{mean:.{digits}f}")
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    mean = scores["mean_foreground_dice"]
    foot = "no label occurs" if mean is None else f"mean foreground Dice {mean:.3f}"
    return (
        f"<h2>Scores: {foot}</h2><table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        '<p class="note">Means over n cases. A dash: no case has a value; see the rule for empty masks in '
        "scores.json.</p>"
    )
