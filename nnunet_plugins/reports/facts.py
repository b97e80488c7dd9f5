"""The rows of the report's tables: scores, plan, training, environment."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nnunet_plugins.evaluation.definitions import METRICS, check_metrics
from nnunet_plugins.evaluation.summary import CaseScores, Scores
from nnunet_plugins.evaluation.units import title_of
from nnunet_plugins.optional_imports import installed_version
from nnunet_plugins.reports.sources import Source
from nnunet_plugins.text_table import count, number

NOT_RECORDED = "not recorded"
METRICS_SHOWN = ("dice", "iou", "precision", "recall", "hd95_mm", "assd_mm", "nsd")
_PACKAGES = ("nnunet-plugins", "nnunetv2", "torch", "monai", "SimpleITK", "scipy", "numpy")
Rows = list[tuple[str, str]]


def shown_metrics(scores: Scores) -> list[str]:
    """The metrics of the summary table, as far as they were measured."""
    shown = [name for name in METRICS_SHOWN if name in scores.metrics]
    return list(check_metrics(shown, scores.metrics))


def summary_table(scores: Scores) -> tuple[list[str], list[list[str]]]:
    """Heading and rows, one per label: mean ± SD, n if it differs from that of Dice; last the mean of the labels."""
    metrics = shown_metrics(scores)
    head = ["label", "cases", *(title_of(name, scores) for name in metrics)]
    rows = []
    for label, summary in scores.summary.items():
        cells = [label, str(summary.metrics["dice"].n)]
        for name in metrics:
            one = summary.metrics[name]
            text = number(one.mean, METRICS[name].digits)
            if one.sd is not None and one.mean is not None:
                text += f" ± {one.sd:.{METRICS[name].digits}f}"
            if one.n != summary.metrics["dice"].n:
                text += f" (n = {one.n})"
            cells.append(text)
        rows.append(cells)
    means = scores.aggregates["macro_over_classes"]
    if len(rows) > 1:
        cells = ["mean of the labels", ""]
        for name in metrics:
            text = number(means[name]["mean"], METRICS[name].digits)
            fewer = means[name]["classes"] < len(scores.summary)
            cells.append(f"{text} ({count(means[name]['classes'], 'label')})" if fewer else text)
        rows.append(cells)
    return head, rows


def empty_masks(scores: Scores) -> Rows:
    """Labels that were missed, raised a false alarm, or are in neither label map, with numbers of cases."""
    rows = []
    for name, label in scores.summary.items():
        parts = {
            "missed": label.missed,
            "false alarm": label.false_alarm,
            "in neither": label.both_empty,
        }
        text = ", ".join(f"{what} in {count(n, 'case')}" for what, n in parts.items() if n)
        if text:
            rows.append((name, text))
    return rows


def worst_first(scores: Scores) -> list[tuple[CaseScores, float | None]]:
    """Cases with their mean Dice over the labels in either map: ascending, cases without a value last."""
    found = []
    for case in scores.cases:
        values = [one.dice for one in case.labels.values() if one.dice is not None]
        found.append((case, sum(values) / len(values) if values else None))
    return sorted(found, key=lambda one: (one[1] is None, one[1] or 0.0, one[0].name))


def case_table(case: CaseScores, scores: Scores) -> tuple[list[str], list[list[str]]]:
    """Heading and rows of one case, the worst label first; labels in neither label map are left out."""
    metrics = [name for name in ("dice", "hd95_mm", "volume_error_ml") if name in scores.metrics]
    head = ["label", *(title_of(name, scores) for name in metrics), "state"]
    present = [(name, one) for name, one in case.labels.items() if one.state != "both empty"]
    present.sort(key=lambda pair: pair[1].dice if pair[1].dice is not None else 2.0)
    rows = [
        [name, *(number(getattr(one, m), METRICS[m].digits) for m in metrics), one.state]
        for name, one in present
    ]
    return head, rows


def plan_rows(source: Source) -> Rows:
    """The plan, empty without a model."""
    plan, plans = source.plan, source.plans
    if not plan:
        return []
    architecture = plan.get("architecture", {})
    arguments = architecture.get("arch_kwargs", {})
    rows = {
        "dataset": plans.get("dataset_name"),
        "plans": plans.get("plans_name"),
        "configuration": source.facts.get("configuration"),
        "planner": plans.get("experiment_planner_used"),
        "patch (voxels)": plan.get("patch_size"),
        "batch size": plan.get("batch_size"),
        "spacing (mm, in the plans' axis order)": plan.get("spacing"),
        "median image (voxels)": plan.get("median_image_size_in_voxels"),
        "normalisation": plan.get("normalization_schemes"),
        "network": architecture.get("network_class_name"),
        "stages": arguments.get("n_stages"),
        "features per stage": _listed(arguments.get("features_per_stage")),
        "strides": arguments.get("strides"),
        "kernel sizes": arguments.get("kernel_sizes"),
        "other arguments": _others(arguments),
        "parameters": _thousands(source.facts.get("parameters")),
        "memory on CUDA, as planned (GB, training step)": plan.get("memory"),
        "training entry": plan.get("training"),
    }
    return _as_text(rows)


def training_rows(source: Source) -> Rows:
    """The training, empty without a model."""
    facts, debug = source.facts, source.debug
    if not facts:
        return []
    finished = {True: "yes", False: "no", None: None}[facts.get("finished")]
    seconds, hours = facts.get("seconds_a_step"), facts.get("training_hours")
    rows = {
        "trainer": facts.get("trainer"),
        "folds": ", ".join(facts.get("splits", {})) or None,
        "finished": finished,
        "epochs": facts.get("epochs"),
        "training steps per epoch": facts.get("iterations_per_epoch"),
        "seconds per step (median, data loading included)": _number(seconds, 3),
        "total hours": _number(hours, 2),
        "initial weights": facts.get("initial_weights"),
        "checkpoint of the validation": facts.get("validated_with"),
        "device": " ".join(str(v) for v in (facts.get("device"), _none(debug.get("gpu_name"))) if v)
        or None,
        "batch size": facts.get("batch_size"),
        "initial learning rate": facts.get("initial_lr"),
        "weight decay": facts.get("weight_decay"),
        "oversampled foreground": facts.get("oversample_foreground"),
        "mirrored axes at prediction": _none(debug.get("inference_allowed_mirroring_axes"))
        or ("none" if debug.get("inference_allowed_mirroring_axes") == "None" else None),
    }
    return _as_text(rows)


def environment_rows(source: Source) -> Rows:
    """Versions used by the training, as far as they are recorded, and by this report."""
    rows: Rows = []
    if source.facts:
        rows.append(("torch (training)", text_of(source.facts.get("torch"))))
        rows.append(("nnunetv2 (training)", text_of(source.facts.get("nnunet"))))
        cudnn = _none(source.debug.get("cudnn_version"))
        rows.append(("cuDNN (training)", text_of(cudnn)))
    versions = {name: installed_version(name) for name in _PACKAGES}
    rows += [(f"{name} (report)", found) for name, found in versions.items() if found]
    rows.append(("Python (report)", platform.python_version()))
    rows.append(("system (report)", f"{platform.system()} {platform.machine()}"))
    return rows


def text_of(value: Any) -> str:
    """A value as text.

    >>> text_of([128, 128, 64]), text_of(None), text_of({"epochs": 300})
    ('128 x 128 x 64', 'not recorded', 'epochs: 300')
    """
    if value is None or value == "":
        return NOT_RECORDED
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {text_of(one)}" for key, one in value.items()) or "none"
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Sequence):
        nested = any(isinstance(one, Sequence) and not isinstance(one, str) for one in value)
        numbers = all(isinstance(one, int | float) for one in value)
        return (", " if nested or not numbers else " x ").join(text_of(one) for one in value)
    return str(value)


def _as_text(rows: Mapping[str, Any]) -> Rows:
    return [(name, text_of(value)) for name, value in rows.items()]


def _others(arguments: Mapping[str, Any]) -> dict[str, Any] | str:
    """Arguments that only our networks have."""
    known: Iterable[str] = (
        "n_stages", "features_per_stage", "strides", "kernel_sizes", "conv_op", "conv_bias", "norm_op",
        "norm_op_kwargs", "dropout_op", "dropout_op_kwargs", "nonlin", "nonlin_kwargs", "n_conv_per_stage",
        "n_conv_per_stage_decoder", "n_blocks_per_stage",
    )  # fmt: skip
    return {key: value for key, value in arguments.items() if key not in known} or "none"


def _listed(value: Any) -> Any:
    """A list as comma-separated text; any other value of a hand-edited plan as it is."""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _thousands(value: int | None) -> str | None:
    return None if value is None else f"{value:,}"


def _number(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


def _none(value: Any) -> Any:
    """The value, with None for the string that nnU-Net writes into debug.json."""
    return None if value in (None, "None", "") else value
