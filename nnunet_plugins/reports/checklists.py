"""Those items of CLAIM 2024 and Metrics Reloaded that files can answer, filled in from the files alone.

CLAIM 2024 update: Tejani et al., Radiology: Artificial Intelligence 2024, 6(4) e240300. Metrics Reloaded: Maier-Hein,
Reinke et al., Nature Methods 2024, 21, 195-212, with the numbers of its fingerprints where its table 1 gives them.
The items are paraphrased.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nnunet_plugins.evaluation.units import title_of, tolerance_of
from nnunet_plugins.reports.agreement import case_count
from nnunet_plugins.reports.facts import NOT_RECORDED, text_of
from nnunet_plugins.reports.sources import Source
from nnunet_plugins.text_table import count

Answer = Callable[[Source], Any]


@dataclass(frozen=True)
class Item:
    """One item of a checklist.

    Attributes:
        number: in the checklist, or ''.
        about: what it asks for.
        answer: from the files of a run; None or '' if they do not record it.
    """

    number: str
    about: str
    answer: Answer


def filled(items: tuple[Item, ...], source: Source) -> list[tuple[str, str, str]]:
    """Number, item and answer of each item."""
    return [(item.number, item.about, text_of(item.answer(source))) for item in items]


def answered(rows: list[tuple[str, str, str]]) -> int:
    """How many items have an answer."""
    return sum(answer != NOT_RECORDED for _, _, answer in rows)


def _technique(source: Source) -> str | None:
    network = source.facts.get("network")
    return f"deep learning: nnU-Net v2, network {network}" if network else None


def _preprocessing(source: Source) -> str | None:
    plan = source.plan
    if not plan:
        return None
    return (
        f"nnU-Net's: resampled to {text_of(plan.get('spacing'))} mm, "
        f"{text_of(plan.get('normalization_schemes'))}; the steps before nnU-Net are not recorded"
    )


def _partition(source: Source) -> str | None:
    splits = source.facts.get("splits")
    if not splits:
        return None
    counts = ", ".join(f"{fold}: {len(cases)}" for fold, cases in splits.items())
    if source.scores.trained_on:
        return f"none for these scores: {source.scores.trained_on}"
    how = (
        f"Drawn by patient when the dataset was converted: {source.drawn}"
        if source.drawn
        else "How the folds were drawn is not recorded"
    )
    return f"cross-validation folds; validation cases: {counts}. {how}"


def _model(source: Source) -> str | None:
    network = source.facts.get("network")
    return f"{network}; layers: see Plan" if network else None


def _training(source: Source) -> str | None:
    facts = source.facts
    if not facts.get("trainer"):
        return None
    steps = facts.get("iterations_per_epoch")
    return (
        f"{facts['trainer']}: {text_of(facts.get('epochs'))} epochs of {text_of(steps)} steps, batch size "
        f"{text_of(facts.get('batch_size'))}, initial learning rate {text_of(facts.get('initial_lr'))}; see Plan"
    )


def _software(source: Source) -> str | None:
    torch = source.facts.get("torch")
    return f"nnU-Net v2, torch {torch}; see Environment" if torch else "see Environment"


def _metrics(source: Source) -> str:
    return ", ".join(title_of(name, source.scores) for name in source.scores.metrics)


def _internal(source: Source) -> str | None:
    if source.scores.trained_on:
        return f"none: {source.scores.trained_on}"
    if source.kind != "model":
        return None
    return f"the validation cases of the folds, {len(source.scores.cases)} in total"


def _performance(source: Source) -> str:
    dice = source.scores.mean_foreground_dice
    value = "no label occurs in any case" if dice is None else f"mean foreground Dice {dice:.4f}"
    if source.scores.trained_on:
        value = f"on training cases: {value}"
    return f"{value}; mean, SD and confidence intervals per label: see Scores"


def _failures(source: Source) -> str:
    missed = sum(one.missed for one in source.scores.summary.values())
    alarms = sum(one.false_alarm for one in source.scores.summary.values())
    return f"the worst cases are shown; missed labels: {missed}, false alarms: {alarms}"


def _sizes(source: Source) -> str | None:
    volumes = {
        name: [
            one.reference_mm3
            for case in source.scores.cases
            if (one := case.labels[name]).reference_mm3
        ]
        for name in source.scores.labels.values
    }
    part, unit = (1000, "ml") if source.scores.unit == "mm" else (1, source.scores.unit)
    ranges = [
        f"{name} {min(v) / part:.3g} to {max(v) / part:.3g} {unit}"
        for name, v in volumes.items()
        if v
    ]
    return "reference volumes: " + "; ".join(ranges) if ranges else None


def _imbalance(source: Source) -> str | None:
    shares = []
    for name in source.scores.labels.values:
        found = [case.labels[name] for case in source.scores.cases]
        voxels = sum(one.voxels for one in found)
        if voxels:
            shares.append(f"{name} {sum(one.reference_voxels for one in found) / voxels:.2%}")
    return "share of all voxels: " + ", ".join(shares) if shares else None


def _empty_reference(source: Source) -> str:
    found = {name: one.false_alarm + one.both_empty for name, one in source.scores.summary.items()}
    lacking = [f"{name} {n}" for name, n in found.items() if n]
    return (
        f"yes, number of cases: {', '.join(lacking)}"
        if lacking
        else "no, every case has every label"
    )


def _empty_prediction(source: Source) -> str:
    lacking = [f"{name} {one.missed}" for name, one in source.scores.summary.items() if one.missed]
    return f"yes, number of cases: {', '.join(lacking)}" if lacking else "no, not in these cases"


def _boundary(source: Source) -> str | None:
    scores = source.scores
    names = [title_of(name, scores) for name in ("hd95_mm", "assd_mm") if name in scores.metrics]
    if not names:
        return None
    measured = f"{', '.join(names)}, NSD at {tolerance_of(scores)}"
    return f"measured: {measured}; whether they matter is for the authors to judge"


def _volume(source: Source) -> str | None:
    if "volume_error_ml" not in source.scores.metrics:
        return None
    return "the volume error was measured; whether it matters is for the authors to judge"


CLAIM = (
    Item("1", "Title: identifies the study as one of AI, and the technique", _technique),
    Item("7", "Data sources", lambda s: s.plans.get("dataset_name")),
    Item("9", "Preprocessing of the data", _preprocessing),
    Item("13", "Image acquisition protocol",
         lambda s: f"channels: {text_of(s.dataset['channel_names'])}; the protocol is not recorded"
         if s.dataset.get("channel_names") else None),
    Item("19", "How data were assigned to partitions", _partition),
    Item("22", "The model in detail", _model),
    Item("23", "Software libraries and frameworks", _software),
    Item("25", "How the model was trained", _training),
    Item("28", "Metrics of performance", _metrics),
    Item("29", "Statistical measures of significance and uncertainty",
         lambda _: "standard deviation over cases, 95 % confidence intervals of mean and median"),
    Item("32", "Evaluation on internal data", _internal),
    Item("35", "Numbers of patients or examinations",
         lambda s: f"{case_count(s.scores)} scored; exclusions are not recorded"),
    Item("37", "Performance and its uncertainty", _performance),
    Item("39", "Analysis of failures", _failures),
)  # fmt: skip

METRICS_RELOADED = (
    Item("", "Problem category", lambda s: f"semantic segmentation, {count(len(s.scores.labels.values), 'label')}"),
    Item("FP2.1", "Structure boundaries are of particular importance", _boundary),
    Item("FP2.2", "Structure volume is of particular importance", _volume),
    Item("", "Structures are small, or vary much in size", _sizes),
    Item("", "Classes are imbalanced", _imbalance),
    Item("", "A reference may lack a label", _empty_reference),
    Item("", "A prediction may lack a label", _empty_prediction),
    Item("", "Metrics used", _metrics),
    Item("", "Aggregation", lambda _: "over the cases of each label, then over labels"),
    Item("", "Treatment of missing values", lambda _: "left out of means; their numbers are reported"),
)  # fmt: skip
