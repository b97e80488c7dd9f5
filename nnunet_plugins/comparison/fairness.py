"""Differences between two trainings, and whether they make a comparison unfair.

Facts come from text files (plans.json, dataset.json, debug.json, the training log), see `model_folder`. A fact that
is not recorded is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from nnunet_plugins.model_facts import PROCEDURE

Severity = Literal["unfair", "note", "not recorded"]
Facts = Mapping[str, Any]

#: Fact -> why a difference in it makes a comparison unfair.
UNFAIR = {
    "dataset": "other training data",
    "splits": "trained on other cases",
    "epochs": "another training budget",
    "iterations_per_epoch": "another training budget",
    "batch_size": "another training budget",
    "patch_size": "another field of view",
    "spacing": "another resolution",
    "finished": "one training did not finish",
    "initial_weights": "one training is a fine-tuning",
}
#: Facts that not all plans state; a difference is unfair if both do.
UNFAIR_IF_STATED = {
    "memory_target_gb": "another memory budget",
    "dataset_cases": "other training data",
    "training_cases": "other training data",
}
#: Facts in which a difference is worth a note; it may be the subject of the comparison.
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
#: As `NOTED`, for facts that not all trainings record.
NOTED_IF_STATED = ("mirrored_at_validation", "validated_with", "nnunet")
#: Facts with a value for each fold. The names of folds say nothing about the cases.
OF_FOLDS = ("splits", "training_cases", "validated_with")


@dataclass(frozen=True)
class Difference:
    """One fact in which a run differs from the first run.

    Attributes:
        fact: its name.
        first: value of the first run.
        other: value of the other run.
        severity: 'unfair', 'note', or 'not recorded' if one of the runs does not state it.
        why: the meaning of the difference.
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
    """Differences between two trainings, the most severe first.

    Args:
        first: facts by name; only the names in `UNFAIR`, `UNFAIR_IF_STATED` and `NOTED` are compared.
        other: likewise.

    >>> facts = dict.fromkeys(UNFAIR, 1)
    >>> [str(one) for one in differences(facts, facts | {"epochs": 50})]
    ['epochs 50 against 1 (another training budget)']
    """
    found: list[Difference] = []
    for fact, why in UNFAIR.items():
        a, b = _value(fact, first), _value(fact, other)
        if a is None or b is None:
            found.append(Difference(fact, a, b, "not recorded"))
        elif a != b:
            found.append(Difference(fact, a, b, "unfair", why))
    for fact, why in UNFAIR_IF_STATED.items():
        a, b = _value(fact, first), _value(fact, other)
        if None not in (a, b) and a != b:
            found.append(Difference(fact, a, b, "unfair", why))
    for fact in NOTED_IF_STATED:
        a, b = _value(fact, first), _value(fact, other)
        if None not in (a, b) and a != b:
            found.append(Difference(fact, a, b, "note"))
    for fact in NOTED:
        a, b = first.get(fact), other.get(fact)
        if a != b:
            found.append(Difference(fact, a, b, "note"))
    found = [_within_budget(one, first, other) for one in found]
    order = ("unfair", "note", "not recorded")
    return sorted(found, key=lambda one: order.index(one.severity))


def _value(fact: str, facts: Facts) -> Any:
    """A fact's value; of facts of folds the values without the folds' names."""
    value = facts.get(fact)
    if fact in OF_FOLDS and isinstance(value, Mapping):
        values = sorted(value.values())
        return values[0] if len(values) == 1 else values
    return value


def _within_budget(found: Difference, first: Facts, other: Facts) -> Difference:
    """Different patches and batches are fair for the same memory target: each network fills the same GPU memory."""
    target = first.get("memory_target_gb")
    if found.fact not in ("patch_size", "batch_size") or found.severity != "unfair":
        return found
    if target is None or target != other.get("memory_target_gb"):
        return found
    return replace(found, severity="note", why=f"both were planned for {target:g} GB")


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " x ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in value)
    return "not stated" if value is None else str(value)
