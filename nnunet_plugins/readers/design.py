"""Is the study sound: missing reads, washout, blinding, as far as dates, order and names show it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter

from nnunet_plugins.evaluation.cases import listed
from nnunet_plugins.readers.reads import ALONE, ASSISTED, Read, Reads

WASHOUT = 28  # days; of good sense, paper 002 waits three months
#: An order of the cases is suspicious if chance gives one like it less often.
_CHANCE = 0.01


@dataclass(frozen=True)
class Period:
    """Dates of a reader.

    Attributes:
        reader: name.
        reads: arm -> number of cases.
        dates: arm -> first and last date, '' if they are not recorded.
        days: shortest and median number of days between both reads of a case; None without dates.
    """

    reader: str
    reads: Mapping[str, int]
    dates: Mapping[str, str]
    days: tuple[float, float] | None


def periods(reads: Reads) -> list[Period]:
    """When each reader read."""
    found = []
    for reader in reads.readers:
        sessions = {arm: reads.session(reader, arm) for arm in reads.arms}
        days = [abs(gap) for gap in _days(reads, reader).values()]
        found.append(
            Period(
                reader,
                {arm: len(session) for arm, session in sessions.items()},
                {arm: _dates([*session.values()]) for arm, session in sessions.items()},
                (min(days), statistics.median(days)) if days else None,
            )
        )
    return found


def missing(reads: Reads) -> list[str]:
    """Reads, calls, confidences and minutes that a reader lacks, although others or the other arm have them."""
    found = []
    for reader in reads.readers:
        for arm in reads.arms:
            session = reads.session(reader, arm)
            if absent := [case for case in reads.cases if case not in session]:
                found.append(f"missing reads of {reader}, {arm}: {_counted(absent, reads)}")
            for what in ("call", "confidence", "minutes"):
                if not reads.has(what):
                    continue
                if absent := [
                    case for case in sorted(session) if getattr(session[case], what) is None
                ]:
                    found.append(f"{reader}, {arm}: no {what} for {_counted(absent, reads)}")
    return found


def not_blind(reads: Reads, washout: float = WASHOUT) -> list[str]:
    """What breaks blinding or washout, one line each; empty if nothing that is recorded does.

    Args:
        reads: of the study.
        washout: days that must pass between two reads of a case by a reader.
    """
    return [*_washout(reads, washout), *_orders(reads), *_names(reads)]


def crossed(reads: Reads, washout: float = WASHOUT) -> list[str]:
    """Notes on readers who read cases assisted first and alone after the washout, as in a crossover design."""
    found = []
    for reader in reads.readers:
        days = _days(reads, reader)
        first = [case for case, gap in days.items() if gap <= -washout and gap < 0]
        if first:
            found.append(
                f"{reader} read {len(first)} of {len(days)} cases assisted first, and alone after the washout (a "
                "crossover)"
            )
    return found


def not_known(reads: Reads) -> list[str]:
    """What cannot be checked, because it is not recorded."""
    found = []
    both = len(reads.arms) == 2
    dated = [read for read in reads.reads if read.when is not None]
    if both and len(dated) < len(reads.reads):
        found.append(
            f"{len(reads.reads) - len(dated)} of {len(reads.reads)} reads have no date: washout, and whether the "
            "cases were read alone first, are not checked for them"
        )
    if not all(_ordered([*session.values()]) for session in _sessions(reads).values()):
        found.append(
            "the order of the reads is not recorded, or repeats within a reader and arm (column order, or dates with "
            "times): whether it reveals the truth, and whether it was shuffled between the arms, is not checked"
        )
    return found


def _sessions(reads: Reads) -> dict[tuple[str, str], dict[str, Read]]:
    return {
        (reader, arm): session
        for reader in reads.readers
        for arm in reads.arms
        if (session := reads.session(reader, arm))
    }


def _washout(reads: Reads, washout: float) -> list[str]:
    found = []
    for reader in reads.readers:
        days = _days(reads, reader)
        before = [case for case, gap in days.items() if -washout < gap <= 0]
        soon = [case for case, gap in days.items() if 0 < gap < washout]
        if before:
            found.append(
                f"NOT BLIND: {reader} read {len(before)} of {len(days)} cases assisted shortly before "
                f"reading them alone, or on the same day: {listed(before)}"
            )
        if soon:
            shortest = min(days[case] for case in soon)
            found.append(
                f"WASHOUT: {reader} read {len(soon)} of {len(days)} cases again after less than {washout:g} "
                f"days (shortest: {shortest:g}): {listed(soon)}"
            )
    return found


def _orders(reads: Reads) -> list[str]:
    """Sessions whose order is that of the truth, or is the same in both arms."""
    found = []
    for (reader, arm), session in _sessions(reads).items():
        order = _ordered([*session.values()])
        if order and _in_blocks([case for case in order if case in reads.truth], reads.truth):
            found.append(
                f"NOT BLIND: {reader}, {arm}: all cases of one class were read before those of the other: the order "
                "reveals the truth"
            )
    for reader in reads.readers:
        first, second = (
            _ordered([*reads.session(reader, arm).values()]) for arm in (ALONE, ASSISTED)
        )
        common = set(first) & set(second)
        if len(common) > 5 and [c for c in first if c in common] == [
            c for c in second if c in common
        ]:
            found.append(
                f"ORDER: {reader} read the cases in the same order in both arms, which helps to remember them; "
                "shuffle them"
            )
    return found


def _names(reads: Reads) -> list[str]:
    if _in_blocks(sorted(reads.truth), reads.truth):
        return [
            "NOT BLIND: sorted by their names, all cases of one class come before those of the other: the names "
            "reveal the truth"
        ]
    return []


def _in_blocks(cases: Sequence[str], truth: Mapping[str, bool]) -> bool:
    """Whether all cases of one class precede those of the other, and chance hardly explains it."""
    values = [truth[case] for case in cases]
    switches = sum(a != b for a, b in pairwise(values))
    return switches == 1 and 2 / math.comb(len(values), sum(values)) < _CHANCE


def _ordered(session: Sequence[Read]) -> list[str]:
    """The cases in the order in which they were read; empty if it is not recorded."""
    for key in (attrgetter("order"), _moment):
        keys = {key(read): read.case for read in session}
        if None not in keys and len(keys) == len(session):
            return [keys[one] for one in sorted(keys, key=lambda one: one or 0)]
    return []


def _moment(read: Read) -> float | None:
    return None if read.when is None else read.when.timestamp()


def _days(reads: Reads, reader: str) -> dict[str, int]:
    """Case -> days from reading it alone to reading it assisted, of the cases with both dates."""
    alone, assisted = (reads.session(reader, arm) for arm in (ALONE, ASSISTED))
    found = {}
    for case in sorted(set(alone) & set(assisted)):
        first, second = alone[case].when, assisted[case].when
        if first is not None and second is not None:
            found[case] = (second.date() - first.date()).days
    return found


def _dates(session: Sequence[Read]) -> str:
    days = sorted(read.when.date().isoformat() for read in session if read.when is not None)
    if not days:
        return ""
    return days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"


def _counted(cases: Sequence[str], reads: Reads) -> str:
    return f"{len(cases)} of {len(reads.cases)} cases ({listed(cases)})"
