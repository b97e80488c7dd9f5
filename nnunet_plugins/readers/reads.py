"""The reads of a study: who read which case, alone or assisted, when, with which call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import listed

ALONE, ASSISTED = ARMS = ("alone", "assisted")
#: In place of a reader's name: all readers, and the model.
ALL, MODEL = RESERVED = ("all", "model")


def check_names(readers: Iterable[str], where: Path) -> None:
    """Stop if a reader has the name of a row of the tables, or that of another reader except for case and blanks.

    Raises:
        UserError: the message has both names.
    """
    known: dict[str, str] = {}
    for reader in readers:
        name = "".join(reader.casefold().split())
        if name in RESERVED:
            raise UserError(
                f"{where}: a reader cannot be called {reader}, as a row of the tables is; use another name (masks of "
                "the model are passed with --model)"
            )
        if (first := known.setdefault(name, reader)) != reader:
            raise UserError(
                f"{where}: {first!r} and {reader!r} differ in case or blanks only; expected one name for one "
                "reader, and unlike names for two: correct it"
            )


def check_known(patients: Mapping[str, int], cases: Iterable[str]) -> None:
    """Stop if the patients of some cases are known, and not those of others, which may be of the same patients.

    Raises:
        UserError: the message names the cases.
    """
    if unknown := sorted(set(cases) - set(patients)) if patients else []:
        raise UserError(
            f"the patients of {len(unknown)} cases are not known, but those of others are: {listed(unknown)}; add "
            "their rows to the table with the patients, or take the cases out of the study"
        )


@dataclass(frozen=True)
class Read:
    """One case, read once.

    Attributes:
        case: its name.
        reader: name or pseudonym.
        arm: alone or assisted.
        when: date, with the time if it is known; None if it is not recorded.
        order: place of the case in the session; None if it is not recorded.
        call: whether the reader calls the case positive; None without a call.
        confidence: rating, higher for more likely positive; None without one.
        minutes: reading time; None if it is not recorded.
    """

    case: str
    reader: str
    arm: str
    when: datetime | None = None
    order: float | None = None
    call: bool | None = None
    confidence: float | None = None
    minutes: float | None = None


@dataclass(frozen=True)
class Reads:
    """All reads of a study.

    Attributes:
        reads: at most one per case, reader and arm.
        truth: case -> whether it is positive; empty if the study has no calls.
        positive: the word for positive.
        patients: case -> number of its patient; empty if every case is another patient.
        notes: on how the tables were read.
    """

    reads: tuple[Read, ...]
    truth: Mapping[str, bool] = field(default_factory=dict)
    positive: str = "positive"
    patients: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def readers(self) -> list[str]:
        """Names, in the order of the table."""
        return list(dict.fromkeys(read.reader for read in self.reads))

    @property
    def cases(self) -> list[str]:
        """All cases that were read or whose truth is known, sorted."""
        return sorted({read.case for read in self.reads} | set(self.truth))

    @property
    def arms(self) -> list[str]:
        """The arms that were read."""
        return [arm for arm in ARMS if any(read.arm == arm for read in self.reads)]

    @property
    def clustered(self) -> bool:
        """Whether a patient has several cases."""
        return len(set(self.patients.values())) < len(self.patients)

    @cached_property
    def _sessions(self) -> dict[tuple[str, str], dict[str, Read]]:
        found: dict[tuple[str, str], dict[str, Read]] = {}
        for read in self.reads:
            found.setdefault((read.reader, read.arm), {})[read.case] = read
        return found

    def session(self, reader: str, arm: str) -> dict[str, Read]:
        """Case -> read, of one reader in one arm."""
        return self._sessions.get((reader, arm), {})

    def calls(self, reader: str, arm: str) -> dict[str, bool]:
        """Case -> call, of the cases that have one, sorted."""
        session = self.session(reader, arm)
        return {case: call for case in sorted(session) if (call := session[case].call) is not None}

    def numbers(self, reader: str, arm: str, what: str) -> dict[str, float]:
        """Case -> confidence or minutes, of the cases that have one, sorted."""
        session = self.session(reader, arm)
        found = {case: getattr(session[case], what) for case in sorted(session)}
        return {case: value for case, value in found.items() if value is not None}

    def has(self, what: str) -> bool:
        """Whether any read has a call, a confidence, minutes, a date or an order."""
        return any(getattr(read, what) is not None for read in self.reads)
