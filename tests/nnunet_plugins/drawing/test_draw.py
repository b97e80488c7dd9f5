"""Parts of networks and their drawings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from nnunet_plugins.cli import main
from nnunet_plugins.costs.budget import topology_for
from nnunet_plugins.costs.training_step import Setup
from nnunet_plugins.drawing.parts import decompose
from nnunet_plugins.drawing.picture import draw
from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import NETWORKS, find

ARCHITECTURE, PATCH = topology_for((1.0, 1.0), (64, 64), 8)
SIZES = [(64, 64), (32, 32), (16, 16), (8, 8), (4, 4)]


def setup_for(network: str) -> Setup:
    if 2 in find(network).ranks:
        return Setup(ARCHITECTURE, PATCH, 2, network=network)
    architecture, patch = topology_for((1.0, 1.0, 1.0), (32, 32, 32), 8)
    return Setup(architecture, patch, 2, network=network)


def test_a_unet_has_an_encoder_and_a_decoder_part_per_size() -> None:
    drawing = decompose(setup_for("ModularUNet"))
    assert [part.size for part in drawing.down] == SIZES
    assert [part.channels for part in drawing.down] == [8, 16, 32, 64, 128]
    assert sorted(drawing.up, reverse=True) == SIZES[:-1]
    assert drawing.skips == SIZES[:-1]
    assert all(part.convolutions == {"3x3": 2} for part in drawing.down)
    assert all(part.heads == ["logits"] for part in drawing.up.values())


def test_blocks_are_found_at_their_stage() -> None:
    mag = decompose(setup_for("MAGUNet"))
    assert mag.down[0].blocks == ["MultiScaleFusion"]
    assert mag.down[-1].blocks == ["DualAttention"]
    assert set(mag.gates) == set(SIZES[:-1])
    assert set(mag.gates.values()) == {"LargeKernelGate"}
    aspp = decompose(setup_for("ASPPUNet"))
    assert [part.blocks for part in aspp.down] == [["ASPP"]] * 4 + [[]]
    dual = decompose(setup_for("InceptionDualUNet"))
    assert dual.down[0].blocks == ["Inception"]
    assert dual.down[-1].heads == ["auxiliary"]


def test_stages_and_head_of_other_libraries_networks_are_found() -> None:
    deep = decompose(setup_for("DeepLabV3Plus"))
    assert [(part.size, part.channels) for part in deep.down[:3]] == [
        ((32, 32), 64),
        ((16, 16), 256),
        ((8, 8), 512),
    ]
    assert deep.down[1].blocks == ["Bottleneck"] * 3
    assert deep.up[16, 16].heads == ["logits"]
    unetr = decompose(setup_for("UNETR"))
    assert unetr.skips == SIZES[:-1]
    assert unetr.down[-1].blocks == ["TransformerBlock"] * 12
    assert unetr.up[64, 64].heads == ["logits"]


def test_a_failed_drawing_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: Figure, path: Path, **_: object) -> None:
        Path(path).write_text("<svg")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", stop)
    target = tmp_path / "network.svg"
    target.write_text("previous content")
    with pytest.raises(UserError, match="No space left"):
        draw(decompose(setup_for("SEUNet")), "SEUNet", "", target)
    assert [path.name for path in tmp_path.iterdir()] == ["network.svg"]
    assert target.read_text() == "previous content"


def test_math_markup_in_names_is_shown_literally(tmp_path: Path) -> None:
    draw(decompose(setup_for("SEUNet")), "SEUNet", r"$\frac{$", tmp_path / "network.png")


@pytest.mark.parametrize("network", [
    "MAGUNet", *(pytest.param(n, marks=pytest.mark.integration) for n in NETWORKS if n != "MAGUNet")
])  # fmt: skip
def test_every_network_can_be_drawn(network: str, tmp_path: Path) -> None:
    rank = "2d" if 2 in find(network).ranks else "3d_fullres"
    step = setup_for(network)
    configuration = {
        "architecture": step.architecture,
        "patch_size": step.patch,
        "batch_size": 2,
    }
    plans = {"plans_name": "P", "dataset_name": "D", "configurations": {rank: configuration}}
    dataset = {"labels": {"background": 0, "a": 1}, "channel_names": {"0": "CT"}}
    (tmp_path / "dataset.json").write_text(json.dumps(dataset))
    (tmp_path / "P.json").write_text(json.dumps(plans))
    picture = tmp_path / "out" / "net.png"
    assert main(["draw", str(tmp_path / "P.json"), "--network", network, "-o", str(picture)]) == 0
    colours = Image.open(picture).convert("RGB").getcolors(1 << 24)
    assert colours is not None
    assert len(colours) > 50


def test_an_unknown_format_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "dataset.json").write_text(
        '{"labels": {"background": 0, "a": 1}, "channel_names": {"0": "CT"}}'
    )
    configuration = {"architecture": ARCHITECTURE, "patch_size": PATCH, "batch_size": 2}
    plans = {"plans_name": "P", "dataset_name": "D", "configurations": {"2d": configuration}}
    (tmp_path / "P.json").write_text(json.dumps(plans))
    assert main(["draw", str(tmp_path / "P.json"), "-o", str(tmp_path / "x.jpg")]) == 2
    assert "unknown format; allowed: .svg, .png, .pdf" in capsys.readouterr().err
    assert not (tmp_path / "x.jpg").exists()
