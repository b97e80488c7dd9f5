"""A trained model as ONNX files, with a JSON file of all that surrounds the network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nnunet_plugins.atomic_files import placed_in
from nnunet_plugins.errors import UserError
from nnunet_plugins.export.onnx_network import INPUT, OUTPUT, TOLERANCE, write_onnx
from nnunet_plugins.prediction import READERS, Model, plain_network

FORMAT, FORMAT_VERSION = "nnunet-plugins ONNX model", 1
JSON = "model.json"
#: nnU-Net's normalisations, as formulas for a channel x.
NORMALIZATIONS = {
    "ZScoreNormalization": "(x - mean(x)) / max(std(x), 1e-8); with use_mask_for_norm over the nonzero mask (filled "
    "holes) only, and values outside of it stay as they are",
    "CTNormalization": "(clip(x, percentile_00_5, percentile_99_5) - mean) / max(std, 1e-8), with the numbers in "
    "'intensity'",
    "NoNormalization": "x",
    "RescaleTo01Normalization": "(x - min(x)) / max(max(x - min(x)), 1e-8)",
    "RGBTo01Normalization": "x / 255",
}
#: What a server does with an image; names in quotes are keys of the JSON.
PROCEDURE = (
    "Bring the images to 'orientation' (axes x, y, z) if it is not null. Stack the channels as float32 (C, z, y, x), "
    "with spacing in mm in the order z, y, x; a 2D image is one slice with spacing 999 along z.",
    "Transpose the spatial axes and the spacing by 'transpose_forward'.",
    "Crop to the box of the voxels that are not 0 in some channel (holes are filled first).",
    "Normalise each channel by 'normalization'.",
    "Resample to 'spacing' by 'resampling.data' (nnU-Net's functions of these names, with these arguments); voxels = "
    "round(old voxels * old spacing / new spacing) per axis. If 'spacing' has two numbers, the first axis keeps its "
    "spacing and the network runs on each slice.",
    "Pad with 0 to at least 'patch_size', half before and half (rounded up) after.",
    "Windows of 'patch_size': per axis n = ceil((voxels - patch) / (patch * step_size)) + 1 windows with starts "
    "round(i * (voxels - patch) / (n - 1)).",
    "For each window run each network; average the logits over the flips of every subset of 'mirroring_axes' "
    "(spatial axes of the window; each result is flipped back).",
    "Add the windows weighted by a Gaussian of sigma = patch * 'gaussian_sigma' around voxel patch // 2, with the "
    "largest value 1; weights of 0 become the smallest other weight. Divide by the sum of the weights. Average over "
    "'networks'. Remove the padding.",
    "Resample the logits to the cropped size by 'resampling.probabilities'.",
    "'activation' softmax: the label is the index of the largest logit. sigmoid: a region is where its logit is over "
    "0; write the values 'regions_class_order' in this order, the later over the earlier.",
    "Put the labels into the uncropped grid (0 outside), transpose by 'transpose_backward', and bring them back to "
    "the image's own orientation.",
)


def export_onnx(model: Model, predictor: Any, output: Path) -> dict[str, float]:
    """Write fold_N.onnx for each fold, and model.json; all of them appear complete, or none.

    Args:
        model: the model folder.
        predictor: nnU-Net's predictor with the model loaded.
        output: folder for the files.

    Returns:
        File name -> largest difference of its logits to the network's.

    Raises:
        UserError: the model's preprocessing is not one that the JSON can describe, or `write_onnx` fails.
    """
    content = describe(model, predictor)
    network = plain_network(predictor)
    patch = predictor.configuration_manager.patch_size
    channels = content["input"]["shape"][1]
    written: dict[str, float] = {}
    with placed_in(output) as scratch:
        for fold, weights in zip(model.folds, predictor.list_of_parameters, strict=True):
            network.load_state_dict(weights)
            name = f"fold_{fold}.onnx"
            written[name] = write_onnx(network, channels, patch, scratch / name)
        content["networks"] = [
            {"file": name, "largest_difference": value} for name, value in written.items()
        ]
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        (scratch / JSON).write_text(text, encoding="utf-8")
    return written


def describe(model: Model, predictor: Any) -> dict[str, Any]:
    """The content of model.json without the list of networks.

    Raises:
        UserError: the preprocessor, a normalisation or the reader of the images is not one of those described here.
    """
    plans, settings, labels = (
        predictor.plans_manager,
        predictor.configuration_manager,
        predictor.label_manager,
    )
    schemes = list(settings.normalization_schemes)
    _allowed(model, "the preprocessor", settings.preprocessor_name, ["DefaultPreprocessor"])
    for scheme in schemes:
        _allowed(model, "a normalisation", scheme, NORMALIZATIONS)
    _allowed(model, "the image reader", plans.image_reader_writer_class.__name__, READERS)
    intensities = plans.foreground_intensity_properties_per_channel
    patch = [int(n) for n in settings.patch_size]
    entry = settings.configuration
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "trainer": predictor.trainer_name,
        "network": type(getattr(predictor.network, "_orig_mod", predictor.network)).__name__,
        "networks": [],
        "largest_difference_allowed": f"{TOLERANCE:g}, or this share of the largest logit if that is above 1",
        "input": {"name": INPUT, "shape": [1, len(schemes), *patch], "type": "float32"},
        "output": {
            "name": OUTPUT,
            "shape": [1, labels.num_segmentation_heads, *patch],
            "type": "float32",
        },
        "file_ending": model.ending,
        "channels": [str(name) for name in model.dataset["channel_names"].values()],
        "orientation": model.orientation,
        "transpose_forward": list(plans.transpose_forward),
        "transpose_backward": list(plans.transpose_backward),
        "crop_to_nonzero": True,
        "normalization": [
            {
                "scheme": scheme,
                "formula": NORMALIZATIONS[scheme],
                "use_mask_for_norm": bool(masked),
                "intensity": intensities.get(str(channel), {})
                if scheme == "CTNormalization"
                else None,
            }
            for channel, (scheme, masked) in enumerate(
                zip(schemes, settings.use_mask_for_norm, strict=True)
            )
        ],
        "spacing": [float(one) for one in settings.spacing],
        "resampling": {
            key: {
                "function": entry[f"resampling_fn_{key}"],
                "arguments": entry[f"resampling_fn_{key}_kwargs"],
            }
            for key in ("data", "probabilities")
        },
        "patch_size": patch,
        "step_size": predictor.tile_step_size,
        "gaussian_sigma": 1 / 8,
        "mirroring_axes": sorted(int(axis) for axis in predictor.allowed_mirroring_axes or ()),
        "activation": "sigmoid" if labels.has_regions else "softmax",
        "labels": model.dataset["labels"],
        "regions_class_order": list(labels.regions_class_order) if labels.has_regions else None,
        "procedure": list(PROCEDURE),
    }


def _allowed(model: Model, what: str, name: str, known: Any) -> None:
    if name not in known:
        raise UserError(
            f"{model.folder}: {what} is {name}, which {JSON} cannot describe; supported: {', '.join(known)}"
        )
