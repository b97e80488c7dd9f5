"""Prediction with an exported ONNX model, from model.json alone; the reference for servers in other languages."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import binary_fill_holes, gaussian_filter

from dataset_conversion.io.geometry import like
from nnunet_plugins.errors import UserError
from nnunet_plugins.export.onnx_model import FORMAT, FORMAT_VERSION, JSON
from nnunet_plugins.export.onnx_network import run, session
from nnunet_plugins.image_files import check_channels, is_flat, read_channels
from nnunet_plugins.model_orientation import read, returned, turned
from nnunet_plugins.natural_images import is_natural
from nnunet_plugins.plans_file import read_object
from nnunet_plugins.prediction.case_files import check_case, resampled_size
from nnunet_plugins.scratch import scratch_in

Slices = tuple[slice, ...]
#: What `OnnxModel` reads of model.json besides the format.
_NEEDED = (
    "networks", "output", "channels", "orientation", "transpose_forward", "transpose_backward", "normalization",
    "spacing", "resampling", "patch_size", "step_size", "gaussian_sigma", "mirroring_axes", "labels",
    "regions_class_order",
)  # fmt: skip


class OnnxModel:
    """A model that `nnunet-plugins export --to onnx` wrote, run by onnxruntime without torch.

    Sums are in float32. nnU-Net's predictor sums in half precision, in which the weights near the border of an image
    have one or two digits: labels there may differ.

    >>> model = OnnxModel(Path("onnx"))  # doctest: +SKIP
    >>> label_map = model.predict([Path("case_0000.nii.gz")])  # doctest: +SKIP

    Args:
        folder: with model.json and its networks.
        providers: of onnxruntime, e.g. ``("CUDAExecutionProvider", "CPUExecutionProvider")``.

    Raises:
        UserError: the folder holds no such model, or onnxruntime cannot load it.
    """

    def __init__(self, folder: Path, providers: Sequence[str] = ("CPUExecutionProvider",)) -> None:
        about = read_object(folder / JSON)
        version = (about.get("format"), about.get("format_version"))
        if version != (FORMAT, FORMAT_VERSION):
            raise UserError(
                f"{folder / JSON}: format {version[0]!r}, version {version[1]!r}; expected {FORMAT!r}, version "
                f"{FORMAT_VERSION}: export the model again (nnunet-plugins export --to onnx)"
            )
        if missing := [key for key in _NEEDED if key not in about]:
            raise UserError(
                f"{folder / JSON}: {', '.join(missing)} missing; export the model again (nnunet-plugins export --to "
                "onnx)"
            )
        self.about = about
        self.patch: tuple[int, ...] = tuple(about["patch_size"])
        self.sessions = [session(folder / one["file"], providers) for one in about["networks"]]
        axes = about["mirroring_axes"]
        counts = range(len(axes) + 1)
        self.flips = [one for n in counts for one in itertools.combinations(axes, n)]

    def predict(self, images: Sequence[Path]) -> sitk.Image:
        """The label map of a case on the grid of its first image; of 2 axes if that has 2.

        Args:
            images: one file per channel, in any orientation.

        Raises:
            UserError: an image cannot be read, its channels are on different grids or of another number than the
                model's, a 2D image for a 3D model, or an image too thin for the model's spacing.
        """
        needed = len(self.about["normalization"])
        check_channels(images, needed)
        check_case(images, rank=len(self.patch), any_order=self.about["orientation"] is not None)
        with scratch_in() as scratch:
            files = turned(images, self.about["orientation"], scratch)
            channels = [one for path in files for one in read_channels(path)]
            if len(channels) != needed:
                raise UserError(
                    f"{len(channels)} channels in {len(images)} files; the model needs {needed}: "
                    f"{', '.join(self.about['channels'])}"
                )
            seen, flat = read(files[0]), is_natural(files[0]) or is_flat(files[0])
        data = np.stack([sitk.GetArrayFromImage(one) for one in channels]).astype(np.float32)
        spacing = channels[0].GetSpacing()[::-1]
        flat = flat and data.shape[1] == 1
        if flat:
            spacing = (999.0, *spacing[1:])
        found = returned(like(self.labels(data, spacing), seen), read(images[0]))
        return found[:, :, 0] if flat else found

    def labels(self, data: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
        """The label map (z, y, x) of an image (C, z, y, x) with a spacing in mm (z, y, x)."""
        about = self.about
        order = about["transpose_forward"]
        data = data.transpose(0, *(axis + 1 for axis in order))
        spacing = [spacing[axis] for axis in order]
        mask = binary_fill_holes((data != 0).any(0))
        box = _box(mask)
        cropped = normalised(data[_all(box)], mask[box], about["normalization"])
        target = [*spacing[: len(spacing) - len(about["spacing"])], *about["spacing"]]
        old = cropped.shape[1:]
        new = resampled_size(old, spacing, target)
        case = np.asarray(self._resampling("data")(cropped, new, spacing, target))
        logits = self.logits(case)
        logits = np.asarray(self._resampling("probabilities")(logits, old, target, spacing))
        whole: np.ndarray = np.zeros(
            mask.shape, np.uint16 if len(about["labels"]) > 255 else np.uint8
        )
        whole[box] = decided(logits, about["regions_class_order"])
        back: np.ndarray = whole.transpose(about["transpose_backward"])
        return back

    def logits(self, case: np.ndarray) -> np.ndarray:
        """Logits (K, *S) of a preprocessed case (C, *S), averaged over windows, flips and networks."""
        missing = [
            max(0, n - have)
            for n, have in zip(self.patch, case.shape[-len(self.patch) :], strict=True)
        ]
        extra = [(0, 0)] * (case.ndim - len(missing)) + [(n // 2, n - n // 2) for n in missing]
        padded = np.pad(case, extra)
        total = np.zeros((self.about["output"]["shape"][1], *padded.shape[1:]), np.float32)
        weights = np.zeros(padded.shape[1:], np.float32)
        weight = gaussian(self.patch, self.about["gaussian_sigma"])
        for window in windows(padded.shape[1:], self.patch, self.about["step_size"]):
            inside = _all(window)
            found = self._window(padded[inside]) * weight
            total[inside] += found.reshape(total[inside].shape)
            weights[window] += weight.reshape(weights[window].shape)
        kept = tuple(slice(a, n - b) for (a, b), n in zip(extra, padded.shape, strict=True))
        logits: np.ndarray = (total / weights)[_all(kept[1:])]
        return logits

    def _window(self, patch: np.ndarray) -> np.ndarray:
        """Logits (K, *patch) of a window (C, *patch), averaged over flips and networks."""
        patch = patch.reshape(1, len(patch), *self.patch)
        total = np.zeros(self.about["output"]["shape"], np.float32)
        for made, flip in itertools.product(self.sessions, self.flips):
            axes = tuple(axis + 2 for axis in flip)
            total += np.flip(run(made, np.ascontiguousarray(np.flip(patch, axes))), axes)
        mean: np.ndarray = total[0] / (len(self.sessions) * len(self.flips))
        return mean

    def _resampling(self, what: str) -> Any:
        from nnunetv2.preprocessing.resampling.utils import recursive_find_resampling_fn_by_name

        entry = self.about["resampling"][what]
        return partial(
            recursive_find_resampling_fn_by_name(entry["function"]), **entry["arguments"]
        )


def normalised(data: np.ndarray, mask: np.ndarray, schemes: Sequence[Any]) -> np.ndarray:
    """The channels (C, *S) normalised by their schemes in model.json; ``mask`` holds the voxels that are not 0."""
    found = []
    for x, about in zip(data, schemes, strict=True):
        name, inside = about["scheme"], mask if about["use_mask_for_norm"] else np.ones_like(mask)
        if name == "ZScoreNormalization":
            values = x[inside]
            scaled = (x - values.mean()) / max(values.std(), 1e-8)
            x = np.where(inside, scaled, x)
        elif name == "CTNormalization":
            known = about["intensity"]
            x = np.clip(x, known["percentile_00_5"], known["percentile_99_5"])
            x = (x - known["mean"]) / max(known["std"], 1e-8)
        elif name == "RescaleTo01Normalization":
            x = (x - x.min()) / max(np.ptp(x), 1e-8)
        elif name == "RGBTo01Normalization":
            x = x / 255
        elif name != "NoNormalization":
            raise UserError(f"{JSON}: normalisation {name!r} is not known")
        found.append(x.astype(np.float32))
    return np.stack(found)


def windows(size: Sequence[int], patch: Sequence[int], step: float) -> list[Slices]:
    """Windows that cover a map of ``size``; a patch with one axis fewer covers every slice.

    >>> [window[1].start for window in windows((1, 10), (8,), 0.5)]
    [0, 2]
    """
    starts: list[list[slice]] = [
        [slice(i, i + 1) for i in range(n)] for n in size[: len(size) - len(patch)]
    ]
    for n, k in zip(size[len(starts) :], patch, strict=True):
        count = int(np.ceil((n - k) / (k * step))) + 1
        stride = (n - k) / max(count - 1, 1)
        begins = [int(np.round(stride * i)) for i in range(count)]
        starts.append([slice(begin, begin + k) for begin in begins])
    return list(itertools.product(*starts))


def gaussian(patch: Sequence[int], sigma: float) -> np.ndarray:
    """Weights of a window's voxels, float32, at most 1 and above 0."""
    weight: np.ndarray = np.zeros(patch)
    weight[tuple(n // 2 for n in patch)] = 1
    weight = gaussian_filter(weight, [n * sigma for n in patch], mode="constant")
    weight = (weight / weight.max()).astype(np.float32)
    weight[weight == 0] = weight[weight > 0].min()
    return weight


def decided(logits: np.ndarray, order: Sequence[int] | None) -> np.ndarray:
    """Labels (*S) of logits (K, *S): the largest one, or values of regions, the later over the earlier."""
    if order is None:
        largest: np.ndarray = logits.argmax(0)
        return largest
    labels = np.zeros(logits.shape[1:], np.int64)
    for logit, value in zip(logits, order, strict=True):
        labels[logit > 0] = value
    return labels


def _all(places: Slices) -> Slices:
    """The places in every channel."""
    return (slice(None), *places)


def _box(mask: np.ndarray) -> Slices:
    """The box of a mask; all of it if the mask is empty."""
    if not mask.any():
        return tuple(slice(0, n) for n in mask.shape)
    axes = range(mask.ndim)
    spans = [np.flatnonzero(mask.any(tuple(a for a in axes if a != axis))) for axis in axes]
    return tuple(slice(int(span[0]), int(span[-1]) + 1) for span in spans)
