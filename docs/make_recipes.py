"""Plan each paper's recipe for images of the size of its own data, for the page on the papers' experiments.

Needs no data: nnU-Net's planner reads sizes only. Run in the root of the repository: python docs/make_recipes.py
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nnunet_plugins.papers.library import PAPERS, proposed_topology
from nnunet_plugins.papers.paper import Paper
from nnunet_plugins.papers.recipe import Recipe
from nnunet_plugins.planners.network_planner import NetworkPlanner
from nnunet_plugins.planners.recipe_table import Line, recipe_lines

PAGE = Path(__file__).parent / "concepts" / "recipes.md"
_NAME = "Dataset900_Paper"
_FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")


class Data(NamedTuple):
    """Size (voxels) and voxel size (mm) of the median image, as an array z, y, x; what is not printed is assumed."""

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    channel: str
    about: str


_CT = Data(
    (150, 512, 512),
    (1.0, 0.7, 0.7),
    "CT",
    "150 slices of 512 x 512 pixels of 0.7 mm; the distance of slices is not printed, 1 mm is assumed",
)
DATA = {
    "jing2025-se-unet": _CT,
    "yan2025-mag-unet": _CT,
    "sij-fm-25d-attention-unet": Data(
        (16, 320, 320),
        (7.0, 0.8, 0.8),
        "T1",
        "16 slices of 320 x 320 pixels of 0.8 mm, 7 mm apart; the sizes are not printed, these are assumed",
    ),
    "silveira2025-inception-dual": Data(
        (1, 640, 320),
        (4.4, 0.6, 0.6),
        "T1",
        "one slice of 640 x 320 pixels of 0.6 mm; SPIDER has 0.33 to 0.90 mm",
    ),
    "cai2023-aspp-unet": Data(
        (880, 464, 12), (0.34, 0.34, 4.4), "T2", "12 slices of 880 x 464 pixels of 0.34 mm"
    ),
}

_HEAD = """# The papers' experiments

`plan --recipe paper` plans the experiment of the paper that proposes a network: topology, voxel size, patch,
normalisation, augmentation, loss, optimiser, schedule, batch, steps per epoch and mirroring at prediction. It prints
what the paper prints, what is planned, and why they differ. The tables below are those for images of the size of the
papers' own data; `python docs/make_recipes.py` makes them.

- **An epoch** is one pass over the paper's own training cases, so that the number of steps is that of the paper on
  any dataset. `plan` also names the pass over your training cases; `--iterations` sets it.
- **Paper and code.** Where the authors' code differs from the text, `--recipe paper` takes the code, which is more
  exact, and `--recipe printed` the text.
- **Memory.** The patch is the paper's, whatever it needs; `plan` prints the memory. `--gpu-memory GB` limits it, and
  nnU-Net then plans a patch that fits. A `--preset` sets the size, with the paper's normalisation and procedure.
- **Other configurations** of the same plans, for example 2D for a 3D paper, have nnU-Net's topology and patch, and
  the paper's procedure.
- **Left and right** are not mirrored if labels have sides ([left and right](left-right.md)).
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_section(paper) for paper in PAPERS)])


def _section(paper: Paper) -> str:
    data, parts = DATA[paper.key], [f"## {paper.key}\n"]
    variants = [("paper", paper.recipe)]
    if paper.recipe.printed:
        variants.append(("printed", paper.recipe.printed))
    parts.append(f"From {paper.recipe.source}. Planned for {data.about}.\n")
    known: set[Line] = set()
    for name, recipe in variants:
        lines = [line for line in lines_of(paper, recipe) if line not in known]
        known |= set(lines)
        if name == "printed":
            parts.append("With `--recipe printed`, these lines differ:\n")
        rows = [("item", "paper", "here", "reason"), ("---",) * 4, *lines]
        parts.append("\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n")
    return "\n".join(parts)


def lines_of(paper: Paper, recipe: Recipe) -> list[Line]:
    """The table of a recipe for the paper's own data."""
    topology = proposed_topology(paper.network)
    if topology is None:
        raise ValueError(f"{paper.key}: no topology of {paper.network}")
    dataset = {
        "channel_names": {"0": DATA[paper.key].channel},
        "labels": {f"label {i}" if i else "background": i for i in range(topology.classes)},
        "numTraining": recipe.cases,
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "SimpleITKIO",
        "nnunet_plugins": {"steps": [{"step": one.step} for one in recipe.conversion]},
    }
    with _folders() as root:
        preprocessed = _write(root, dataset, DATA[paper.key], recipe.cases)
        planner = NetworkPlanner(
            _NAME,
            network=paper.network,
            training=recipe.procedure(),
            batch_size=recipe.batch_size,
            topology=topology,
            recipe=recipe,
            plans_name="Paper",
        )
        with contextlib.redirect_stdout(io.StringIO()):
            planner.plan_experiment()
        plans = json.loads((preprocessed / "Paper.json").read_text(encoding="utf-8"))
    return recipe_lines(recipe, topology, plans, dataset, cases=recipe.cases, changed={})


@contextlib.contextmanager
def _folders() -> Iterator[Path]:
    """nnU-Net's folders, empty, while the block runs."""
    before = {name: os.environ.get(name) for name in (*_FOLDERS, "nnUNet_n_proc_DA")}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["nnUNet_n_proc_DA"] = "1"  # planning fails with 0
        for name in _FOLDERS:
            os.environ[name] = str(Path(folder) / name)
        try:
            yield Path(folder)
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def _write(root: Path, dataset: dict[str, object], data: Data, cases: int) -> Path:
    """A dataset of empty files, and its fingerprint; returns the folder of the latter."""
    raw, preprocessed = (root / name / _NAME for name in _FOLDERS[:2])
    for folder in (raw / "imagesTr", raw / "labelsTr", preprocessed):
        folder.mkdir(parents=True)
    for case in range(cases):
        (raw / "imagesTr" / f"c{case:03d}_0000.nii.gz").touch()
        (raw / "labelsTr" / f"c{case:03d}.nii.gz").touch()
    fingerprint = {
        "spacings": [data.spacing] * cases,
        "shapes_after_crop": [data.shape] * cases,
        "foreground_intensity_properties_per_channel": {"0": {}},
        "median_relative_size_after_cropping": 1.0,
    }
    for file, content in (
        (raw / "dataset.json", dataset),
        (preprocessed / "dataset_fingerprint.json", fingerprint),
    ):
        file.write_text(json.dumps(content), encoding="utf-8")
    return preprocessed


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
