"""List the networks and their trainers."""

from __future__ import annotations

import argparse

#: Network, trainer, paper, what it is. Kept free of torch so that the list is instant.
ROWS = (
    (
        "MAGUNet",
        "MAGUNetTrainer",
        "001",
        "MFF stem, dual attention at the bottleneck, LGAG on the skips",
    ),
    ("SEUNet", "SEUNetTrainer", "000", "squeeze-and-excitation at the bottleneck"),
    (
        "ModularUNet",
        "ModularUNetTrainer",
        "",
        "nnU-Net's own U-Net, the papers' baseline; every slot can be filled",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``networks`` takes no options."""


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    header = ("network", "trainer", "paper", "what")
    widths = [max(len(row[i]) for row in (header, *ROWS)) for i in range(4)]
    for row in (header, *ROWS):
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    return 0
