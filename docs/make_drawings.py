"""Draw every network as `nnunet-plugins draw` does, for the page on networks.

Needs no data: the plan is the one that nnU-Net's planner makes for an isotropic CT or for thick MRI slices.
Run in the root of the repository: python docs/make_drawings.py
"""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib

from nnunet_plugins.costs.budget import topology_for
from nnunet_plugins.costs.training_step import Setup
from nnunet_plugins.drawing.parts import decompose
from nnunet_plugins.drawing.picture import draw
from nnunet_plugins.networks import NETWORKS, find

FOLDER = Path(__file__).parent / "images" / "networks"
#: What the picture says -> spacing in mm and patch in voxels, slices first.
CT_3D = ("isotropic CT", (1.0, 1.0, 1.0), (96, 96, 96))
MRI_3D = ("MRI with thick slices", (7.0, 1.0, 1.0), (16, 192, 192))
SLICE = ("2D slices", (1.0, 1.0), (256, 256))
#: Networks that are drawn on other data than the CT.
DATA = {"AttentionUNet25D": MRI_3D, "InceptionDualUNet": SLICE, "ASPPUNet": SLICE}
#: ResEncL and ResEncXL are the network of ResEncM.
DRAWN = [name for name in NETWORKS if name not in ("ResEncL", "ResEncXL")]


def draw_network(name: str, folder: Path = FOLDER) -> Path:
    """Write the SVG of one network."""
    # Text stays text: small files, and readable by a search. A fixed salt gives the same ids in every run.
    settings = {"svg.fonttype": "none", "svg.hashsalt": "nnunet-plugins"}
    flat = 3 not in find(name).ranks
    about, spacing, patch = DATA.get(name, SLICE if flat else CT_3D)
    architecture, patch = topology_for(spacing, patch)
    setup = Setup(architecture, patch, 2, network=name)
    file = folder / f"{name}.svg"
    with matplotlib.rc_context(settings):
        draw(decompose(setup), name, f"{about} · patch {'×'.join(map(str, patch))}", file)
    file.write_text(_compact(file.read_text(encoding="utf-8")), encoding="utf-8")
    return file


def _compact(svg: str) -> str:
    """Drop the metadata, which holds the date, and shorten the numbers."""
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    return re.sub(r"(\d+\.\d\d)\d+", r"\1", svg)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for network in DRAWN:
        draw_network(network)
