"""Hints on file names for references that have no prediction of the same name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

CHANNEL = "_0000"  # nnU-Net's suffix of the first channel of an image


def fix_of(
    missing: Sequence[str], predictions: Mapping[str, Path], references: Mapping[str, Path]
) -> str:
    """What to do about references without a prediction.

    Args:
        missing: names of these references.
        predictions: name -> file.
        references: name -> file.

    >>> fix_of(["a"], {"a_0000": Path("p/a_0000.nii.gz")}, {"a": Path("r/a.nii.gz")})
    'a_0000.nii.gz is named like an image (channel 0000), not like a label map: rename it to a.nii.gz'
    """
    like_images = [name for name in missing if name + CHANNEL in predictions]
    if like_images:
        name = like_images[0]
        file = predictions[name + CHANNEL].name
        return (
            f"{_and_more(file, len(like_images))} named like an image (channel 0000), not like a label map: rename "
            f"it to {name}{file.removeprefix(name + CHANNEL)}"
        )
    images = [name for name in missing if name.removesuffix(CHANNEL) in predictions]
    if images:
        file = references[images[0]].name
        return (
            f"{_and_more(file, len(images))} named like an image (channel 0000), not like a reference: pass the "
            "folder of the reference label maps"
        )
    others = sorted(set(predictions) - set(references))
    seen = f" (the predictions without a reference begin with {others[0]})" if others else ""
    return f"predict these cases too{seen}"


def _and_more(file: str, count: int) -> str:
    return f"{file} is" if count == 1 else f"{file} and {count - 1} more files are"
