"""A recipe: how a paper prepared its images, trained its network and predicted, as entries of nnU-Net's plans.

The texts of what a paper prints and of what differs here are part of it, so that `plan --recipe paper` states both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Conversion(NamedTuple):
    """A preparation of the images that `convert` does, not nnU-Net.

    Attributes:
        item: name in the table.
        paper: what the paper does.
        step: name of the transform that `convert` records in dataset.json.
        otherwise: what the images are without it.
        option: how to convert.
    """

    item: str
    paper: str
    step: str
    otherwise: str
    option: str


class Remark(NamedTuple):
    """A line of the table on what no entry of the plans holds."""

    item: str
    paper: str
    here: str
    reason: str


def folds(paper: str) -> Remark:
    """The line on how a paper divided its cases."""
    return Remark("folds", paper, "those of the dataset", "chosen at conversion: --split, --test")


@dataclass(frozen=True)
class Recipe:
    """The experiment of a paper.

    Attributes:
        key: key of the paper.
        training: entries of the ``training`` procedure; the iterations per epoch follow from cases, samples, batch.
        batch_size: samples per step.
        source: sections of the paper, or the authors' code.
        cases: training cases of the paper. An epoch is one pass over them.
        samples: slices or crops of a case in one pass.
        patch: size of the network's input, slices first.
        matrix: pixels of a whole slice; the median slice gets this size. None: no fixed number.
        spacing: mm, slices first; None: that of the data, or what the matrix gives.
        scheme: nnU-Net's normalisation of every channel; '': not printed, nnU-Net's own choice.
        window: (low, high) in HU: CTNormalization clips to it and maps it to 0..1.
        plan: further entries of the plans configuration.
        paper: item -> what the paper prints.
        reasons: item -> why the plan differs, or how an unclear statement was read.
        conversion: preparations that `convert` does.
        remarks: what no entry of the plans holds.
        printed: the recipe as the text of the paper has it, where it differs from the authors' code; else None.
    """

    key: str
    training: dict[str, Any]
    batch_size: int
    source: str
    cases: int
    patch: tuple[int, ...]
    samples: int = 1
    matrix: tuple[int, int] | None = None
    spacing: tuple[float, float, float] | None = None
    scheme: str = ""
    window: tuple[float, float] | None = None
    plan: dict[str, Any] = field(default_factory=dict)
    paper: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    conversion: tuple[Conversion, ...] = ()
    remarks: tuple[Remark, ...] = ()
    printed: Recipe | None = None

    @property
    def rank(self) -> int:
        """Number of spatial axes of the network's input."""
        return len(self.patch)

    def steps(self, batch_size: int | None = None, cases: int | None = None) -> int:
        """Iterations of one pass, over the paper's cases or over ``cases``.

        >>> Recipe("key", {}, 2, "", cases=138, samples=12, patch=(464, 880)).steps()
        828
        """
        return math.ceil((cases or self.cases) * self.samples / (batch_size or self.batch_size))

    def procedure(self, batch_size: int | None = None) -> dict[str, Any]:
        """The ``training`` entry for a batch size; None for that of the paper."""
        return self.training | {"iterations_per_epoch": self.steps(batch_size)}
