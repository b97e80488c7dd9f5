"""Panels: image, reference and the prediction of several networks side by side, as the papers show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dataset_conversion.io.planes import PLANES, Plane, finest
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import listed
from nnunet_plugins.evaluation.labels import read_labels
from nnunet_plugins.evaluation.pairs import label_maps
from nnunet_plugins.evaluation.validation import FOLDER, is_fold
from nnunet_plugins.figures import check_figure
from nnunet_plugins.model_folder import (
    is_model,
    model_of_fold,
    read_model,
    stored_images,
    stored_references,
)
from nnunet_plugins.plans_file import read_object
from nnunet_plugins.reports.picture_grid import Cell, Line, draw_grid
from nnunet_plugins.reports.sources import first_channel, image_of, predictions_in
from nnunet_plugins.reports.volumes import CaseFiles, CaseVolumes, Coding, box_around, load_case

CASES = 4  # lines, if no cases are named
MARGIN = 15.0  # mm around the labels
Folders = Path | Sequence[Path]


@dataclass(frozen=True)
class Style:
    """How panels are drawn.

    Attributes:
        plane: axial, coronal or sagittal; '' takes the plane of the finest voxels, axial if they are alike.
        masked: the image within the labels, as in yan2025-mag-unet, instead of coloured labels.
        window: (low, high) of the image that becomes black and white, the same for all panels; None takes that of
            bone for CT, and the 0.5th and 99.5th percentile of each case otherwise.
    """

    plane: str = ""
    masked: bool = False
    window: tuple[float, float] | None = None


def panels(
    path: Path,
    networks: Mapping[str, Folders],
    *,
    references: Path | None = None,
    images: Path | None = None,
    dataset: Path | None = None,
    cases: Sequence[str] = (),
    style: Style | None = None,
) -> list[str]:
    """Draw one line per case: image, reference, and the prediction of each network, in the same slice and window.

    The slice is the one with the most labelled voxels of the reference; it does not depend on the predictions. All
    panels of a line show the same part of it: the labels of the reference and of all predictions, and 15 mm around.

    Args:
        path: .png, .pdf or .svg.
        networks: title -> a model folder of nnU-Net (the validation of its folds), a folder of label maps, or
            several such folders.
        references: folder of the reference label maps; None takes that of the first model folder's dataset.
        images: folder of the images, as for nnUNetv2_predict; None takes that of the first model folder's dataset;
            without images the labels are shown on black.
        dataset: dataset.json with the labels; None takes the one in the first folder.
        cases: to show, in this order; without any, up to four that all networks have, evenly spread over their names
            and not selected by score.
        style: plane, window, colours or masks.

    Returns:
        The cases that are shown.

    Raises:
        UserError: no folder, no case that all have, an unknown case or plane, or a prediction on another grid.
    """
    check_figure(path)
    style = style or Style()
    planes = {plane.name: plane for plane in PLANES}
    if style.plane and style.plane not in planes:
        raise UserError(f"panels: no plane {style.plane!r}; allowed are {', '.join(planes)}")
    if not networks:
        raise UserError("panels: no network; pass at least one folder of predictions")
    found = {name: _predictions(name, folders) for name, folders in networks.items()}
    first = next(iter(networks.values()))
    home = _home(first if isinstance(first, Path) else first[0])
    name = read_object(home / "plans.json").get("dataset_name", "") if is_model(home) else ""
    references = references or stored_references(name)
    if references is None:
        raise UserError("panels: the reference label maps are not known; pass --reference REF")
    images = images or stored_images(name)
    declared = dataset or home / "dataset.json"
    labels = read_labels(declared, declared.name)
    true = label_maps(references)
    shown = _selected(cases, [*found.values(), true])
    channel = first_channel(read_object(declared))
    lines: list[Line] = []
    for case in shown:
        volumes = [
            load_case(
                CaseFiles(case, files[case], true[case], None if number else _image(images, case)),
                labels, channel, style.window,
            )
            for number, files in enumerate(found.values())
        ]  # fmt: skip
        if volumes[0].note:
            raise UserError(f"panels: {volumes[0].note}; pass the images of these references")
        titles = ["image", "reference", *found] if not lines else []
        lines.append(_line(volumes, planes.get(style.plane), titles, masked=style.masked))
    draw_grid([path], lines, Coding(labels).names)
    return shown


def _home(folder: Path) -> Path:
    """The model folder of a fold; other folders as they are."""
    owner = model_of_fold(folder)
    return owner[0] if owner else folder


def _predictions(network: str, folders: Folders) -> dict[str, Path]:
    every = [folders] if isinstance(folders, Path) else list(folders)
    found: dict[str, Path] = {}
    for folder in every:
        if not folder.is_dir():
            raise UserError(
                f"panels: {network}: {folder} is not a folder; pass the folder of its predictions or of its model"
            )
        folds = read_model(folder).folds if is_model(folder) else [folder] * is_fold(folder)
        found |= predictions_in(f / FOLDER for f in folds) if folds else label_maps(folder)
    if not found:
        raise UserError(f"panels: {network}: no label maps in {', '.join(map(str, every))}")
    return found


def _selected(cases: Sequence[str], maps: Sequence[Mapping[str, Path]]) -> list[str]:
    """The named cases, or evenly spread ones of those that all maps have."""
    common = sorted(set.intersection(*(set(one) for one in maps)))
    if not common:
        raise UserError(
            "panels: no case has a reference and a prediction of every network; pass folders of the same cases"
        )
    if unknown := [case for case in cases if case not in common]:
        raise UserError(
            f"panels: {listed(unknown)}: not among the cases that all networks have: {listed(common)}"
        )
    places = np.linspace(0, len(common) - 1, min(CASES, len(common))).round().astype(int)
    return list(cases) or [common[place] for place in places]


def _image(images: Path | None, case: str) -> Path | None:
    found = None if images is None else image_of(images, case)
    if images is not None and found is None:
        raise UserError(f"panels: no image of {case} in {images}; pass the folder of the images")
    return found


def _line(
    volumes: Sequence[CaseVolumes], asked: Plane | None, titles: Sequence[str], *, masked: bool
) -> Line:
    """The pictures of a case: one slice of the image, of the reference and of each prediction."""
    first = volumes[0]
    plane = asked or finest(first.reference.shape, first.spacing)
    index, count = plane.fullest(first.reference > 0), first.reference.shape[plane.across]
    at = tuple(index if axis == plane.across else 0 for axis in range(3))
    cuts = [plane.cut(one, at) for one in (first.reference, *(v.prediction for v in volumes))]
    pixel = plane.pixel(first.spacing)
    labelled: NDArray[np.bool_] = np.any([cut > 0 for cut in cuts], axis=0)
    box = box_around(labelled, pixel, MARGIN)
    grey = None if first.grey is None else plane.cut(first.grey, at)[box]
    cells = [Cell(grey, None, pixel=pixel)] if grey is not None else []
    cells += [Cell(grey, cut[box], masked and grey is not None, pixel) for cut in cuts]
    for number, title in enumerate(titles[-len(cells) :]):
        cells[number] = replace(cells[number], title=title)
    where = f"{plane.name} {index + 1}/{count}" if count > 1 else ""
    caption = "\n".join(filter(None, (first.name, where)))
    return Line(caption, cells, plane.letters[:2] if first.oriented else "")
