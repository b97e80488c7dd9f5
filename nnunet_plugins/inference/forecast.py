"""Peak memory and time of a prediction, from headers and plans, before it starts.

The memory is counted from the arrays that are alive at once: nnU-Net's preprocessing (float64 copies of the image on
its own grid while it is resampled) and, after it, the logits of a window's depth and the label map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dataset_conversion.io.volumes import is_volume, read_header
from dataset_conversion.raw_format.training_record import read_record
from nnunet_plugins.image_files import is_flat, read_channels
from nnunet_plugins.inference.cases import Case
from nnunet_plugins.inference.setting import Setting
from nnunet_plugins.inference.worker import Ready
from nnunet_plugins.plans_file import read_object
from nnunet_plugins.prediction.model import Model
from nnunet_plugins.prediction.outputs import ONLY_LABELS

_DEFAULT = "resample_data_or_seg_to_shape"


@dataclass(frozen=True)
class Forecast:
    """Of one case.

    Attributes:
        case: its name.
        memory: bytes on top of those of the loaded model.
        windows: sliding windows of the whole image.
    """

    case: str
    memory: float
    windows: int


def forecast(case: Case, model: Model, setting: Setting, entry: Mapping[str, Any]) -> Forecast:
    """The forecast for a case, without reading its voxels.

    The image is taken as it is before nnU-Net crops its empty margin, so the forecast is on the safe side.

    Args:
        case: the case.
        model: the model folder.
        setting: how it is predicted.
        entry: the model's configuration in the plans.

    Raises:
        UserError: its header cannot be read.
    """
    size, spacing = _grid(case, model)
    order = read_object(model.folder / "plans.json").get("transpose_forward", [0, 1, 2])
    size, spacing = [size[i] for i in order], [spacing[i] for i in order]
    planned = list(entry["spacing"])
    planned = planned if len(planned) == len(size) else [spacing[0], *planned]
    grid = [round(n * s / p) for n, s, p in zip(size, spacing, planned, strict=True)]
    patch = list(entry["patch_size"])
    window = patch if len(patch) == 3 else [1, *patch]
    padded = [max(n, w) for n, w in zip(grid, window, strict=True)]
    steps = [
        int(np.ceil((n - w) / (w * setting.step_size))) + 1 if w > 1 or len(patch) == 3 else n
        for n, w in zip(padded, window, strict=True)
    ]
    return Forecast(
        case.name,
        _bytes(model, setting, entry, (size, grid, [window[0], *padded[1:]])),
        int(np.prod(steps)),
    )


def _bytes(
    model: Model, setting: Setting, entry: Mapping[str, Any], sizes: Sequence[Sequence[int]]
) -> float:
    """The larger of preprocessing, sliding window and resampling of logits."""
    image, stored, slab = (float(np.prod(size)) for size in sizes)
    channels = model.channels
    heads = len(model.dataset["labels"])
    copied = 8 * channels + 16 if entry.get("resampling_fn_data", _DEFAULT) == _DEFAULT else 4
    read = (8 * channels + 1) * image
    before = read + (copied * image + (4 * channels + 8) * stored) * (image != stored)
    logits = entry.get("resampling_fn_probabilities", _DEFAULT) == _DEFAULT
    rest = 8 * channels * stored + 2 * image
    folds = max(1, len(model.folds))
    outputs = setting.outputs
    if outputs != ONLY_LABELS or not logits:
        votes = 2 * heads * stored + folds * image if outputs.disagreement else 0
        after = rest + 4 * heads * stored + 16 * image + votes
    else:
        after = rest + min(8 * folds * heads * slab, 4 * heads * stored + 8 * heads * slab)
    return max(before, after)


def _grid(case: Case, model: Model) -> tuple[list[int], list[float]]:
    """Size and spacing along (z, y, x), in the orientation in which the case is predicted."""
    if case.grid is None and (not is_volume(case.images[0]) or is_flat(case.images[0])):
        image = read_channels(case.images[0])[0]
        return list(image.GetSize()[::-1]), list(image.GetSpacing()[::-1])
    header, code = case.grid, model.orientation
    if header is None:
        header = read_header(case.images[0])
    else:
        code, _ = read_record(model.folder).written_as()
    order = axes_of(header.orientation, code)
    return [header.size[i] for i in order[::-1]], [header.spacing[i] for i in order[::-1]]


def axes_of(own: str, code: str | None) -> list[int]:
    """The axes of an image that become x, y, z when it is brought to an orientation.

    >>> axes_of("PIR", "LPS"), axes_of("LPS", None)
    ([2, 0, 1], [0, 1, 2])
    """
    pairs = {letter: pair for pair in ("LR", "AP", "IS") for letter in pair}
    if code is None or not set(code) <= set(pairs):
        return [0, 1, 2]
    return [next(i for i, one in enumerate(own) if one in pairs[letter]) for letter in code]


def available_memory() -> int | None:
    """Bytes that this machine can give, or this cgroup if it has less; None where it is unknown."""
    found = []
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
        folder = Path("/sys/fs/cgroup")
        limit = (folder / "memory.max").read_text().strip()
        if limit != "max":
            found.append(int(limit) - int((folder / "memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return min(found, default=None)


def lines(
    found: Sequence[Forecast], ready: Ready, setting: Setting, available: int | None
) -> list[str]:
    """The forecast in words, with the settings that make it fit."""
    if not found:
        return []
    most = max(found, key=lambda one: one.memory)
    memory = ready.memory + most.memory
    seconds = sum(one.windows for one in found) * ready.passes * ready.window
    text = f"forecast: {memory / 1e9:.1f} GB of memory for {most.case}, about {_duration(seconds)} for all windows"
    shown = [text]
    faster = []
    if ready.passes > 1 and setting.mirroring:
        faster.append("--disable_tta (no mirrored images)")
    if setting.step_size < 1:
        faster.append("a larger -step_size")
    if seconds > 600 and faster:
        shown.append(f"faster, at some cost of accuracy: {', '.join(faster)}")
    if available is not None and memory > available:
        fixes = []
        if setting.outputs != ONLY_LABELS:
            fixes.append("omit --save_probabilities, --save_entropy and --save_disagreement")
        fixes.append("pass fewer folds with -f")
        fixes.append("plan with --resampling torch, which needs no copies in float64")
        shown.append(
            f"WARNING: {available / 1e9:.1f} GB are available: {most.case} may be ended by the kernel; "
            f"{', or '.join(fixes)}"
        )
    return shown


def _duration(seconds: float) -> str:
    """Seconds in words.

    >>> _duration(42), _duration(4000)
    ('42 s', '1.1 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
