"""Colours of labels for readers with colour vision deficiency (Okabe and Ito 2008; Tol's muted and light)."""

from __future__ import annotations

LABELS = (
    "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
    "#88CCEE", "#117733", "#DDCC77", "#882255", "#44AA99", "#332288", "#AA4499", "#999933",
    "#EE8866", "#BBCC33", "#FFAABB", "#77AADD", "#AAAA00",
)  # fmt: skip
