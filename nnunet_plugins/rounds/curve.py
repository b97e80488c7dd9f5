"""The curve of the rounds: minutes, corrections and agreement in each round, anchoring, and when to stop."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_plugins.comparison.statistics import LEVEL, resampled_medians
from nnunet_plugins.rounds.folder import Rounds
from nnunet_plugins.rounds.proposals import read_proposals
from nnunet_plugins.text_table import count, number, ruled

FEWEST = 3  # patients on both sides for an interval


@dataclass(frozen=True)
class Round:
    """What one round gave; lists have one value per case.

    Attributes:
        number: of the round.
        exported: number of cases.
        returned: number of those that came back.
        readers: pseudonyms.
        model: Dice of the model's proposal to the reference at the start of the round, out of fold.
        minutes: of the cases for which they are known.
        changed: voxels that differ from the proposal that was shown.
        shown: Dice to the proposal that was shown.
        hidden: Dice to the proposal of references of the anchoring subset.
        before: Dice to the reference of the round before.
        compared: number of returned cases with such a reference; two empty masks have no Dice.
        patients: of the cases in shown, and of those in hidden.
    """

    number: int
    exported: int
    returned: int
    readers: tuple[str, ...]
    model: list[float] = field(default_factory=list)
    minutes: list[float] = field(default_factory=list)
    changed: list[float] = field(default_factory=list)
    shown: list[float] = field(default_factory=list)
    hidden: list[float] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
    compared: int = 0
    patients: tuple[Sequence[int], Sequence[int]] = ((), ())

    @property
    def complete(self) -> bool:
        """Whether every case came back."""
        return self.returned == self.exported

    @property
    def measured(self) -> bool:
        """Whether there is anything to draw."""
        return any((self.model, self.minutes, self.shown, self.hidden, self.before))


def curve_of(rounds: Rounds) -> list[Round]:
    """The rounds that were exported, in their order."""
    return [_round(rounds, one) for one in range(1, rounds.current + 1)]


def _round(rounds: Rounds, number: int) -> Round:
    exported, returned = rounds.export(number)["cases"], rounds.returned(number)
    proposals, cases = read_proposals(rounds, number), rounds.settings.cases
    shown = {case: one for case, one in returned.items() if one["shown"]}
    # Drawn without the model in this round, or in an earlier one and compared with the proposal of this one.
    blind = {case: one.dice for case, one in proposals.items() if cases[case].blind}
    drawn = {case for earlier in range(1, number) for case in rounds.returned(earlier)}
    hidden = [(case, dice) for case, dice in blind.items() if case in drawn]
    hidden += [(case, one["dice_to_proposal"]) for case, one in returned.items() if case in blind]
    seen = [(case, one["dice_to_proposal"]) for case, one in shown.items()]
    patients = tuple(
        [cases[case].patient for case, dice in pairs if dice is not None]
        for pairs in (seen, hidden)
    )
    return Round(
        number,
        len(exported),
        len(returned),
        tuple(sorted({one["reader"] for one in returned.values()})),
        _known(one.dice for one in proposals.values()),
        _known(one["minutes"] for one in returned.values()),
        _known(one["changed_to_proposal"] for one in shown.values()),
        _known(dice for _, dice in seen),
        _known(dice for _, dice in hidden),
        _known(one["dice_to_before"] for one in returned.values()),
        len(_known(one["changed_to_before"] for one in returned.values())),
        (patients[0], patients[1]),
    )


def _known(values: Any) -> list[float]:
    return [float(value) for value in values if value is not None]


def median(values: Sequence[float]) -> float | None:
    """The median; None without values."""
    return statistics.median(values) if values else None


def status_text(rounds: Rounds) -> str:
    """The curve as a table, anchoring, the dataset, and what comes next."""
    found = curve_of(rounds)
    if not found:
        return f"no round was exported; next: {following('next', rounds.folder)}"
    head = ["round", "cases", "returned", "readers", "minutes", "voxels changed", "model", "proposal shown",
            "proposal hidden", "round before"]  # fmt: skip
    rows = [head]
    for one in found:
        dice = [number(median(v), 3) for v in (one.model, one.shown, one.hidden, one.before)]
        minutes, changed = median(one.minutes), median(one.changed)
        readers = ", ".join(one.readers) or "-"
        rows.append([str(one.number), str(one.exported), str(one.returned), readers, number(minutes, 1),
                     number(changed, 0), *dice])  # fmt: skip
    lines = [
        *ruled(rows),
        "",
        "Medians of the cases. model: Dice of its out-of-fold proposals to the references of the round before;",
        "proposal shown, hidden: Dice of the returned masks to the proposal that their reader saw, or did not see;",
        "round before: Dice of the returned masks to the references of the round before.",
        *anchoring_lines(found),
        "",
        *advice(rounds, found),
    ]
    return "\n".join(lines)


def anchoring_lines(found: Sequence[Round]) -> list[str]:
    """How much closer masks are to proposals that were shown than to hidden ones, in the last round with both."""
    both = [one for one in found if one.shown and one.hidden]
    if not both:
        return []
    last = both[-1]
    gap = statistics.median(last.shown) - statistics.median(last.hidden)
    cases = f"{count(len(last.shown), 'case')} with the proposal shown against {len(last.hidden)} hidden"
    limits = interval(last.shown, last.hidden, *last.patients)
    within = (
        f"95 % interval by patient {limits[0]:+.3f} to {limits[1]:+.3f}"
        if limits
        else "too few patients for an interval"
    )
    return ["", f"anchoring in round {last.number}: {gap:+.3f} Dice, {cases}; {within}"]


def interval(
    shown: Sequence[float],
    hidden: Sequence[float],
    shown_patients: Sequence[int],
    hidden_patients: Sequence[int],
) -> tuple[float, float] | None:
    """95 % percentile bootstrap interval of the difference of two medians, shown minus hidden.

    Patients are drawn with all of their cases: cases of one patient, read by one reader, are alike.

    Args:
        shown: one value per case.
        hidden: one value per case, of other patients.
        shown_patients: of each case in shown.
        hidden_patients: of each case in hidden.

    Returns:
        Lower and upper limit; None with fewer than `FEWEST` patients on a side.
    """
    medians = [
        resampled_medians(values, patients, seed)
        for seed, (values, patients) in enumerate(
            ((shown, shown_patients), (hidden, hidden_patients))
        )
        if len(set(patients)) >= FEWEST
    ]
    if len(medians) < 2:
        return None
    low, high = np.quantile(medians[0] - medians[1], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def following(action: str, folder: Path) -> str:
    """The next command, quoted for a shell."""
    return shlex.join(["nnunet-plugins", "rounds", action, str(folder)])


def advice(rounds: Rounds, found: Sequence[Round]) -> list[str]:
    """Whether to stop, why, and the next command."""
    last, asked, folder = found[-1], rounds.settings, rounds.folder
    if not last.complete:
        left = count(last.exported - last.returned, "case")
        return [
            f"open     round {last.number}: {left} to return",
            f"next     {following('ingest', folder)} FOLDER --reader NAME",
        ]
    dataset = f"dataset  {rounds.raw}"
    reasons = []
    if last.number >= asked.most_rounds:
        reasons.append(f"{count(last.number, 'round')} of {asked.most_rounds} are done")
    agreed, notes = median(last.before), []
    if agreed is not None and agreed >= asked.stop_dice:
        reached = (
            f"the median Dice to the round before, {agreed:.3f}, is not below {asked.stop_dice:g}"
        )
        if last.compared == last.returned:
            reasons.append(reached)
        else:
            new = count(last.returned - last.compared, "case")
            notes = [
                f"note     {reached}, but {new} of {last.returned} had no reference to compare with"
            ]
    if reasons:
        return [f"stop     {'; '.join(reasons)}", dataset]
    return [*notes, dataset, f"next     {following('next', folder)}"]
