"""Whether two trainings may be compared: facts of each, and what differs between them.

Facts come from files that say them in plain text (plans.json, dataset.json, debug.json, the training log). No
checkpoint is loaded. A fact that is nowhere is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from nnunet_plugins.model_folder import PROCEDURE

Severity = Literal["unfair", "note", "not recorded"]
Facts = Mapping[str, Any]

#: Fact -> why a difference in it makes a comparison unfair.
UNFAIR = {
    "dataset": "other training data",
    "splits": "other cases were trained on",
    "epochs": "another training budget",
    "iterations_per_epoch": "another training budget",
    "batch_size": "another training budget",
    "patch_size": "another field of view",
    "spacing": "another resolution",
    "finished": "one was not trained to its end",
}
#: Facts that not all plans say; a difference is unfair where both do.
UNFAIR_IF_SAID = {"memory_target_gb": "another memory budget"}
#: Facts whose difference a reader should know; it may be what is compared.
NOTED = (
    "configuration",
    "plans",
    "trainer",
    "network",
    "normalization",
    *PROCEDURE,
    "device",
    "torch",
)


@dataclass(frozen=True)
class Difference:
    """One fact in which a run differs from the first one.

    Attributes:
        fact: its name.
        first: what the first run has.
        other: what the other one has.
        severity: 'unfair', 'note', or 'not recorded' where one of them does not say it.
        why: what the difference means.
    """

    fact: str
    first: Any
    other: Any
    severity: Severity
    why: str = ""

    def __str__(self) -> str:
        what = self.fact.replace("_", " ")
        if self.fact in ("splits", "finished"):
            return f"{what}: {self.why}"
        return f"{what} {_text(self.other)} against {_text(self.first)}" + (
            f" ({self.why})" if self.why else ""
        )


def differences(first: Facts, other: Facts) -> list[Difference]:
    """What differs between two trainings, the gravest first.

    Args:
        first: facts by name; names that are in neither `UNFAIR` nor `NOTED` are not looked at.
        other: likewise.
    """
    found: list[Difference] = []
    for fact, why in UNFAIR.items():
        a, b = first.get(fact), other.get(fact)
        if a is None or b is None:
            found.append(Difference(fact, a, b, "not recorded"))
        elif a != b:
            found.append(Difference(fact, a, b, "unfair", why))
    for fact, why in UNFAIR_IF_SAID.items():
        a, b = first.get(fact), other.get(fact)
        if None not in (a, b) and a != b:
            found.append(Difference(fact, a, b, "unfair", why))
    for fact in NOTED:
        a, b = first.get(fact), other.get(fact)
        if a != b:
            found.append(Difference(fact, a, b, "note"))
    found = [_within_budget(one, first, other) for one in found]
    order = ("unfair", "note", "not recorded")
    return sorted(found, key=lambda one: order.index(one.severity))


def _within_budget(found: Difference, first: Facts, other: Facts) -> Difference:
    """Patch and batch of plans for one memory target differ by right: each network fills the same card."""
    target = first.get("memory_target_gb")
    if found.fact not in ("patch_size", "batch_size") or found.severity != "unfair":
        return found
    if target is None or target != other.get("memory_target_gb"):
        return found
    return replace(found, severity="note", why=f"both were planned for {target:g} GB")


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " x ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in value)
    return "not said" if value is None else str(value)
