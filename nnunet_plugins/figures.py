"""Figures as files: PNG, PDF or SVG; equal input gives equal bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_plugins.atomic_files import placed
from nnunet_plugins.errors import UserError
from nnunet_plugins.fonts import families

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Ending -> metadata without the date and the version of matplotlib.
_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    ".svg": {"Date": None, "Creator": None},
}
PAGE = 7.0  # inches, width of the text of a page with two columns


def check_figure(path: Path) -> None:
    """Check the path of a figure.

    Raises:
        UserError: it is a folder, or its ending is none of a figure.

    >>> check_figure(Path("panels.jpg"))
    Traceback (most recent call last):
    nnunet_plugins.errors.UserError: panels.jpg: a figure is a .png, .pdf or .svg file; pass panels.png
    """
    if path.is_dir() or path.suffix.lower() not in _METADATA:
        raise UserError(
            f"{path}: a figure is a .png, .pdf or .svg file; pass {path.with_suffix('.png').name}"
        )


@contextmanager
def figure(
    paths: Sequence[Path],
    size: tuple[float, float],
    texts: Iterable[str] = (),
    *,
    dpi: int = 300,
    **look: Any,
) -> Iterator[Figure]:
    """Yield a figure to draw on, and write it to each path when the block succeeds.

    Args:
        paths: .png, .pdf or .svg.
        size: width and height, inches.
        texts: whose characters the fonts must have.
        dpi: of pixels.
        **look: matplotlib's settings, with underscores for dots.

    Raises:
        UserError: a path has another ending, or cannot be written.
    """
    from matplotlib import style as styles
    from matplotlib.figure import Figure  # no pyplot: it looks for a display

    for path in paths:
        check_figure(path)
    style = {
        "font.size": 8,
        "font.family": families(texts),
        "axes.linewidth": 0.8,
        "svg.fonttype": "none",
        "svg.hashsalt": "nnunet-plugins",
        "pdf.fonttype": 42,  # text that can be searched
        "text.parse_math": False,
        **{name.replace("_", "."): value for name, value in look.items()},
    }
    # From matplotlib's defaults: nnU-Net's plot of the training progress changes the settings of its process.
    with styles.context(["default", style]):
        drawing = Figure(figsize=size, layout="constrained", facecolor="white")
        yield drawing
        for path in paths:
            with placed(path) as temporary:
                try:
                    drawing.savefig(temporary, dpi=dpi, metadata=_METADATA[path.suffix.lower()])
                except AttributeError as error:  # a PDF on a full disk
                    raise UserError(f"{path}: cannot be written ({error})") from error


def edge_letters(axes: Any, letters: str, size: float) -> None:
    """Write the directions at the left and right edge of a picture, legible on any grey.

    Args:
        axes: with the picture.
        letters: for the left and the right edge; '' for none. More are not shown.
        size: of the letters, points.
    """
    from matplotlib.patheffects import withStroke

    for letter, (x, side) in zip(letters, ((0.02, "left"), (0.98, "right")), strict=False):
        axes.text(
            x, 0.5, letter, color="white", ha=side, va="center", fontsize=size, transform=axes.transAxes,
            path_effects=[withStroke(linewidth=0.25 * size, foreground="black")],
        )  # fmt: skip
