"""Copies of one image across training, test and folds, and label maps in the place of images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from dataset_conversion.cases.copies import (
    Image,
    equal_images,
    near_images,
    overlapping_images,
    telling_channels,
)
from dataset_conversion.checks.case import CheckedCase, image_values
from dataset_conversion.checks.finding import Finding
from dataset_conversion.checks.layout import Layout
from dataset_conversion.checks.splits import read_sides
from dataset_conversion.errors import DatasetError, some


def copy_findings(layout: Layout, looked: Sequence[CheckedCase]) -> list[Finding]:
    """Return a finding for each image that several cases hold.

    Copies and images that share slices are errors in training and test, and on both sides of a fold;
    other copies are warnings, and so are nearly equal images of different patients.
    """
    telling = telling_channels({one.case.name: one.facts for one in looked})
    images = [
        Image(one.case.name, str(layout.patients.get(one.case.name, one.case.name)), one.facts[channel],
              partial(image_values, one.case.images[channel]))
        for one in looked for channel in telling[one.case.name]
    ]  # fmt: skip
    training = {one.case.name for one in looked if one.case.training}
    sides = read_sides(layout.folder)
    try:
        equal, near = equal_images(images), near_images(images)
        parts = overlapping_images(images)
    except DatasetError as error:  # changed since it was read first
        return [Finding(str(error))]
    findings = []
    for names in dict.fromkeys(tuple(dict.fromkeys(i.case for i in same)) for same in equal):
        where = _separated(names, training, sides)
        why = f": {where}" if where else " on one side of all folds: it counts several times"
        text = f"{some(names)} hold the same image (equal voxels){why}; remove all but one"
        findings.append(Finding(text, error=bool(where)))
    for similar in near:
        names = tuple(image.case for image in similar)
        text = (
            f"{some(names)} hold nearly the same image (they differ in scale, offset, or the value "
            "of air or padding): are they of one patient?"
        )
        findings.append(Finding(text, error=False))
    for one, other, shared in parts:
        names = one.case, other.case
        where = _separated(names, training, sides)
        if where:
            text = (
                f"{some(names)} hold images of which {shared} slices are equal: {where}; remove one"
            )
            findings.append(Finding(text))
    return findings


def _separated(names: Sequence[str], training: set[str],
               sides: Sequence[tuple[Sequence[str], Sequence[str]]]) -> str:  # fmt: skip
    """Describe what separates copies: training and test, or a fold; "" if nothing does."""
    trained = training.intersection(names)
    if trained and len(trained) < len(names):
        return "in training and in imagesTs"
    if len(trained) > 1 and not sides:
        return "without splits_final.json nnU-Net draws folds that may separate them"
    for number, (train, val) in enumerate(sides):
        if trained.intersection(train) and trained.intersection(val):
            return f"on both sides of fold {number}"
    return ""
