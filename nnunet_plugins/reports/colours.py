"""Colours for readers with colour vision deficiency (Okabe and Ito 2008; Tol's muted and light schemes)."""

from __future__ import annotations

from dataset_conversion.raw_format.label_colours import LABELS

#: Colours of the kinds of voxels; their outlines differ as well, see `overlays`.
AGREEMENT, MISSED, FALSE_ALARM, OTHER_LABEL = "#56B4E9", "#D55E00", "#F0E442", "#CC79A7"
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def label_colours(count: int) -> list[str]:
    """Colours for labels; they repeat after 20, because more cannot be distinguished."""
    return [LABELS[i % len(LABELS)] for i in range(count)]
