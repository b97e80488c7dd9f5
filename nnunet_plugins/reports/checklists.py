"""Items of CLAIM 2024 and Metrics Reloaded, filled in from what the files say and from nothing else.

CLAIM 2024 update: Tejani et al., Radiology: Artificial Intelligence 2024, 6(4) e240300. Metrics Reloaded: Maier-Hein,
Reinke et al., Nature Methods 2024, 21, 195-212; numbers of its fingerprints stand where its table 1 names them. The
items are in our own words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nnunet_plugins.evaluation.metrics import METRICS
from nnunet_plugins.evaluation.table import count
from nnunet_plugins.reports.facts import NOT_RECORDED, text_of
from nnunet_plugins.reports.sources import Source

Answer = Callable[[Source], Any]


@dataclass(frozen=True)
class Item:
    """One item.

    Attributes:
        number: in the list, or ''.
        about: what it asks for.
        answer: from what is known; None or '' is 'not recorded'.
    """

    number: str
    about: str
    answer: Answer = lambda _: None


def filled(items: tuple[Item, ...], source: Source) -> list[tuple[str, str, str]]:
    """Number, item and answer."""
    return [(item.number, item.about, text_of(item.answer(source))) for item in items]


def answered(rows: list[tuple[str, str, str]]) -> int:
    """How many items could be filled in."""
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
    return f"cross-validation folds; cases validated: {counts}. How the folds were drawn is not recorded"


def _model(source: Source) -> str | None:
    network = source.facts.get("network")
    return f"{network}; layers under Plan" if network else None


def _training(source: Source) -> str | None:
    facts = source.facts
    if not facts.get("trainer"):
        return None
    steps = facts.get("iterations_per_epoch")
    return (
        f"{facts['trainer']}: {text_of(facts.get('epochs'))} epochs of {text_of(steps)} steps, batch "
        f"{text_of(facts.get('batch_size'))}, initial learning rate {text_of(facts.get('initial_lr'))}; see the plan"
    )


def _software(source: Source) -> str | None:
    torch = source.facts.get("torch")
    return f"nnU-Net v2, torch {torch}; versions under Environment" if torch else "see Environment"


def _metrics(source: Source) -> str:
    return ", ".join(METRICS[name].title for name in source.scores.metrics)


def _internal(source: Source) -> str | None:
    if source.kind != "model":
        return None
    return f"the folds' validation cases, {len(source.scores.cases)} in all"


def _performance(source: Source) -> str:
    dice = source.scores.mean_foreground_dice
    value = "no label occurs" if dice is None else f"mean foreground Dice {dice:.4f}"
    return f"{value}, mean and SD a label in Scores; no confidence interval here (nnunet-plugins compare makes them)"


def _failures(source: Source) -> str:
    missed = sum(one.missed for one in source.scores.summary.values())
    alarms = sum(one.false_alarm for one in source.scores.summary.values())
    return f"worst cases are shown; labels missed: {missed}, false alarms: {alarms}"


def _sizes(source: Source) -> str | None:
    volumes = {
        name: [
            one.reference_mm3
            for case in source.scores.cases
            if (one := case.labels[name]).reference_mm3
        ]
        for name in source.scores.labels.values
    }
    told = [
        f"{name} {min(v) / 1000:.3g} to {max(v) / 1000:.3g} ml" for name, v in volumes.items() if v
    ]
    return "reference volumes: " + "; ".join(told) if told else None


def _imbalance(source: Source) -> str | None:
    shares = []
    for name in source.scores.labels.values:
        found = [case.labels[name] for case in source.scores.cases]
        whole = sum(one.voxels for one in found)
        if whole:
            shares.append(f"{name} {sum(one.reference_voxels for one in found) / whole:.2%}")
    return "share of all voxels: " + ", ".join(shares) if shares else None


def _empty_reference(source: Source) -> str:
    found = {name: one.false_alarm + one.both_empty for name, one in source.scores.summary.items()}
    told = [f"{name} in {n}" for name, n in found.items() if n]
    return f"yes, cases without: {', '.join(told)}" if told else "no: every case has every label"


def _empty_prediction(source: Source) -> str:
    told = [f"{name} in {one.missed}" for name, one in source.scores.summary.items() if one.missed]
    return f"yes, missed: {', '.join(told)}" if told else "none among these cases"


def _boundary(source: Source) -> str | None:
    names = [METRICS[n].title for n in ("hd95_mm", "assd_mm") if n in source.scores.metrics]
    if not names:
        return None
    measured = f"{', '.join(names)}, NSD at {source.scores.tolerance:g} mm"
    return f"the property is the reader's to judge; measured: {measured}"


def _volume(source: Source) -> str | None:
    if "volume_error_ml" not in source.scores.metrics:
        return None
    return "the property is the reader's to judge; the volume error was measured"


CLAIM = (
    Item("1", "Title: names the study as one of AI, and the technique", _technique),
    Item("2", "Abstract: design, methods, results, conclusions in short"),
    Item("3", "Background, intended use and role of the AI"),
    Item("4", "Aims, objectives and hypotheses"),
    Item("5", "Prospective or retrospective"),
    Item("6", "Goal of the study"),
    Item("7", "Data sources", lambda s: s.plans.get("dataset_name")),
    Item("8", "Inclusion and exclusion criteria"),
    Item("9", "Preprocessing of the data", _preprocessing),
    Item("10", "Selection of data subsets"),
    Item("11", "De-identification"),
    Item("12", "How missing data were handled"),
    Item("13", "Image acquisition protocol",
         lambda s: f"channels: {text_of(s.dataset['channel_names'])}; the protocol is not recorded"
         if s.dataset.get("channel_names") else None),
    Item("14", "How the reference standard was obtained"),
    Item("15", "Why this reference standard"),
    Item("16", "Who annotated the reference"),
    Item("17", "How the test set was annotated"),
    Item("18", "Variability within and between annotators"),
    Item("19", "How data were assigned to partitions", _partition),
    Item("20", "Level at which the partitions are disjoint (patient, site)"),
    Item("21", "Intended sample size"),
    Item("22", "The model in detail", _model),
    Item("23", "Software libraries and frameworks", _software),
    Item("24", "How parameters were initialised"),
    Item("25", "How the model was trained", _training),
    Item("26", "How the final model was selected"),
    Item("27", "Ensembling"),
    Item("28", "Metrics of performance", _metrics),
    Item("29", "Statistical measures of significance and uncertainty", lambda _: "standard deviation over cases"),
    Item("30", "Robustness or sensitivity"),
    Item("31", "Explainability"),
    Item("32", "Evaluation on internal data", _internal),
    Item("33", "Testing on external data"),
    Item("34", "Registration of a clinical trial"),
    Item("35", "Numbers of patients or examinations",
         lambda s: f"{count(len(s.scores.cases), 'case')} scored; exclusions are not recorded"),
    Item("36", "Demographic and clinical characteristics"),
    Item("37", "Performance and its uncertainty", _performance),
    Item("38", "Estimates of diagnostic performance and their precision"),
    Item("39", "Analysis of failures", _failures),
    Item("40", "Limitations"),
    Item("41", "Implications for practice"),
    Item("42", "Where the full protocol or more technical detail stands"),
    Item("43", "Availability of software, model and data"),
    Item("44", "Funding and other support"),
)  # fmt: skip

METRICS_RELOADED = (
    Item("", "Problem category", lambda s: f"semantic segmentation, {len(s.scores.labels.values)} labels"),
    Item("FP2.1", "Structure boundaries are of particular importance", _boundary),
    Item("FP2.2", "Structure volume is of particular importance", _volume),
    Item("FP2.3", "Structure centre or centre line is of particular importance"),
    Item("FP2.5", "Errors are penalised unequally"),
    Item("FP2.7.1", "Calibration is to be assessed"),
    Item("", "Structures are small, or vary much in size", _sizes),
    Item("", "Structures are tubular"),
    Item("", "Classes are imbalanced", _imbalance),
    Item("FP4.2", "Prevalences are those of the population of interest"),
    Item("", "The reference is uncertain (variability between annotators)"),
    Item("", "Test cases depend on each other (several of one patient)"),
    Item("", "A reference may lack a label", _empty_reference),
    Item("", "A prediction may lack a label", _empty_prediction),
    Item("", "Metrics used", _metrics),
    Item("", "Aggregation", lambda _: "by case, then over the cases of a label; then over labels"),
    Item("", "What happens with missing values", lambda _: "nulls are left out of means and counted beside them"),
)  # fmt: skip
