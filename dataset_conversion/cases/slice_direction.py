"""The directions in which the slices of a dataset's cases run."""

from __future__ import annotations

from dataset_conversion.io.orientation import slice_axis

__all__ = ["slice_axis"]
