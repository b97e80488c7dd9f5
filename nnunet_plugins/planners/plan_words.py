"""The entries of a plans configuration in words: images, procedure, prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nnunet_plugins.training.losses import DEFAULT_LOSS


def in_words(
    plan: Mapping[str, Any], plans: Mapping[str, Any], dataset: Mapping[str, Any]
) -> dict[str, str]:
    """Item -> what a configuration of the plans holds, for a table that compares it with a paper.

    Args:
        plan: the configuration, with a `training` entry.
        plans: that it is part of.
        dataset: dataset.json.
    """
    training = plan["training"]
    matrix = [round(n) for n in plan["median_image_size_in_voxels"]][-2:]
    strides = plan["architecture"]["arch_kwargs"].get("strides") or [[1] * len(plan["patch_size"])]
    deepest = [
        size // math.prod(stride[axis] for stride in strides)
        for axis, size in enumerate(plan["patch_size"])
    ]
    return {
        "matrix": f"{_times(matrix)} in the median image",
        "spacing": f"{_times(f'{mm:.3g}' for mm in plan['spacing'])} mm",
        "patch": _times(plan["patch_size"]),
        "second target": _times(deepest),
        "intensities": _intensities(plan, plans, dataset),
        "interpolation": _interpolation(plan),
        "augmentation": _augmentation(training.get("augmentation", "nnunet")),
        "sampling": _sampling(training.get("oversample_foreground", 0.33)),
        "loss": _loss(training),
        "optimizer": _optimizer(training),
        "learning rate": _rate(training),
        "batch": str(plan["batch_size"]),
        "epochs": str(training.get("epochs", 1000)),
        "steps per epoch": str(training.get("iterations_per_epoch", 250)),
        "prediction": _prediction(training),
    }


def _times(numbers: Any) -> str:
    return " x ".join(map(str, numbers))


def _intensities(
    plan: Mapping[str, Any], plans: Mapping[str, Any], dataset: Mapping[str, Any]
) -> str:
    properties = plans["foreground_intensity_properties_per_channel"]
    texts = []
    for i, scheme in enumerate(plan["normalization_schemes"]):
        found = properties.get(str(i), {})
        if scheme == "CTNormalization" and found.get("mean") == found.get("percentile_00_5"):
            low, high = found["percentile_00_5"], found["percentile_99_5"]
            texts.append(f"window {low:g} to {high:g}, mapped to 0 to 1")
        elif scheme == "NoNormalization":
            window = (dataset.get("nnunet_plugins") or {}).get("window")
            mapped = (
                f"window {window[0]:g} to {window[1]:g}, mapped to 0 to 1" if window else "none"
            )
            texts.append(f"{mapped} (by convert)" if window else mapped)
        else:
            texts.append(_SCHEMES.get(scheme, scheme))
    return "; ".join(dict.fromkeys(texts))


_SCHEMES = {
    "ZScoreNormalization": "z-score of each image",
    "RescaleTo01Normalization": "mapped to 0 to 1 by each image's extremes",
    "CTNormalization": "nnU-Net's for CT",
}


def _interpolation(plan: Mapping[str, Any]) -> str:
    orders = {0: "nearest", 1: "linear", 3: "cubic"}
    data, labels = (
        orders.get(plan[f"resampling_fn_{kind}_kwargs"]["order"], "other")
        for kind in ("data", "seg")
    )
    return f"{data}, labels {labels}"


def _augmentation(found: Any) -> str:
    if not isinstance(found, Mapping):
        return "nnU-Net's" if found == "nnunet" else str(found)
    texts = []
    for name, options in found.items():
        more = [_option(k, v) for k, v in options.items() if k not in ("p", "about", "along")]
        texts.append(f"{name} p {options['p']:g}" + (f" ({', '.join(more)})" if more else ""))
    return ", ".join(texts)


def _option(key: str, value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"{key} {value[0]:g} to {value[1]:g}"
    return f"{key} {value:g}" if isinstance(value, int | float) else f"{key} {value}"


def _sampling(share: float) -> str:
    return f"at random, {share:.0%} around foreground" if share else "at random"


def _loss(training: Mapping[str, Any]) -> str:
    names = {"dice": "Dice", "ce": "cross-entropy", "bce": "binary cross-entropy"}
    texts = []
    for term, value in training.get("loss", DEFAULT_LOSS).items():
        options = value if isinstance(value, Mapping) else {"weight": value}
        if not options["weight"]:
            continue
        factor = "" if options["weight"] == 1 else f"{options['weight']:g} "
        texts.append(
            factor
            + names.get(term, term)
            + (" with background" if options.get("background") else "")
        )
    extra = [f"{kind} {weight:g}" for kind, weight in training.get("output_weights", {}).items()]
    return ", ".join([" + ".join(texts), *extra])


def _optimizer(training: Mapping[str, Any]) -> str:
    parts = [training.get("optimizer", "SGD")]
    for key, default in (("weight_decay", 3e-5), ("momentum", 0.99 if parts[0] == "SGD" else 0)):
        value = training.get(key, default)
        parts += [f"{key.replace('_', ' ')} {value:.15g}"] if value else []
    return ", ".join(parts)


def _rate(training: Mapping[str, Any]) -> str:
    rate = f"{training.get('initial_lr', 0.01):g}"
    match training.get("lr_schedule", "poly"):
        case "constant":
            return f"{rate}, constant"
        case "exponential":
            return f"{rate}, times {training['lr_decay']:g} per epoch"
        case "step":
            return f"{rate}, times {training['lr_decay']:g} every {training['lr_step']} steps"
    return f"{rate}, polynomial decay"


def _prediction(training: Mapping[str, Any]) -> str:
    augmentation = training.get("augmentation", "nnunet")
    flips = augmentation == "nnunet" or (
        isinstance(augmentation, Mapping) and "flip" in augmentation
    )
    axes = training.get("prediction_mirror_axes")
    if not flips or axes == []:
        return "of the image as it is"
    along = "all axes of training" if axes is None else f"axes {', '.join(map(str, axes))}"
    return f"mean over mirror images along {along}"
