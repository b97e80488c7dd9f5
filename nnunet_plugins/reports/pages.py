"""HTML pages that load nothing: templates, style, and pictures inside of the page."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

from nnunet_plugins import __version__

TEMPLATES = Path(__file__).with_name("templates")
_KEPT = re.compile(r"(?<= )\([^()]{,24}\)( [*†])?|\S+ ± \S+|\S+ [%*†]|\d+(-\d+)+")
_KINDS = {".svg": "image/svg+xml", ".png": "image/png"}


def render(template: Path, **values: Any) -> str:
    """The text of a page; names in it are escaped.

    Args:
        template: a file that extends base.html.
        values: of its variables. ``style`` and ``version`` are known.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([template.parent, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["kept"] = kept
    known = {"style": raw(TEMPLATES / "style.css"), "version": __version__}
    return environment.get_template(template.name).render(known | values)


def kept(cell: object) -> Any:
    """A cell of a table that breaks between a value and its interval, not within either or within a date.

    >>> print(kept("0.9 (0.8 to 1.0)"))
    0.9 <span class="kept">(0.8 to 1.0)</span>
    """
    from markupsafe import Markup, escape

    return Markup(_KEPT.sub(r'<span class="kept">\g<0></span>', str(escape(cell))))


def raw(file: Path) -> Any:
    """The text of a file as part of a page, not escaped."""
    from markupsafe import Markup

    return Markup(file.read_text(encoding="utf-8"))


def in_base64(file: Path) -> str:
    """The bytes of a file, as a page holds them."""
    return base64.b64encode(file.read_bytes()).decode("ascii")


def picture(title: str, file: Path | str) -> dict[str, str]:
    """A picture for the macro ``pictures_of``: from a .png or .svg, or why it is missing."""
    if isinstance(file, str):
        return {"title": title, "source": "", "missing": file}
    source = f"data:{_KINDS[file.suffix]};base64,{in_base64(file)}"
    return {"title": title, "source": source, "missing": ""}
