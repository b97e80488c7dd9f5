"""What a network takes over from a checkpoint: by name and shape, without heads, with other image channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import NETWORKS
from nnunet_plugins.training.fine_tuning.source import Source
from nnunet_plugins.training.fine_tuning.transfer import choose, differing
from tests.architectures.conftest import arguments
from tests.architectures.test_heads import TESTERS

#: ResEncL and ResEncXL are ResEncM in all but name.
DIFFERENT = [name for name in NETWORKS if name not in ("ResEncL", "ResEncXL")]


def made(name: str, *, channels: int = 2, classes: int = 3, **changes: Any) -> nn.Module:
    network = NETWORKS[name]
    tester = TESTERS.get(network)
    options = dict(tester.options) if tester else {}
    if network.takes_input_size:
        options["input_size"] = [32, 32]
    changes |= {"input_channels": channels, "num_classes": classes}
    return network(**arguments(2) | options | changes)


def source(network: nn.Module, **more: Any) -> Source:
    return Source(Path("model"), "", 64 * "0", network.state_dict(), **more)


def chosen(
    network: nn.Module, of: Source, what: str = "all_but_heads", name: str = "", **more: Any
) -> Any:
    reads = set()
    if name:
        with torch.device("meta"):
            reads = differing(made(name), made(name, channels=3))
    return choose(network, of, what, reads_image=reads, **more)


@pytest.mark.parametrize("name", DIFFERENT)
def test_every_network_takes_over_all_but_its_heads(name: str) -> None:
    theirs, mine = made(name, classes=4), made(name)
    before = {key: value.clone() for key, value in mine.state_dict().items()}
    found = chosen(mine, source(theirs))
    assert all(".seg_layers." in key for key in found.left)
    assert found.left
    mine.load_state_dict(dict(found.weights), strict=False)
    given = theirs.state_dict()
    for key, value in mine.state_dict().items():
        expected = before[key] if ".seg_layers." in key else given[key]
        assert torch.equal(value, expected), key


@pytest.mark.parametrize("name", DIFFERENT)
def test_the_encoder_alone_leaves_the_decoder(name: str) -> None:
    theirs, mine = made(name), made(name)
    found = chosen(mine, source(theirs), "encoder")
    beginnings = tuple(f"{module}." for module in mine.encoder_names)
    assert set(found.weights) == {k for k in mine.state_dict() if k.startswith(beginnings)}
    assert found.left
    assert set(found.parameters_of(mine)) <= set(found.weights)


@pytest.mark.parametrize("name", DIFFERENT)
def test_equal_channels_give_the_same_map_as_before(name: str) -> None:
    """A model of one channel gives the same for an image as its copy with two channels for the image twice."""
    theirs, mine = made(name, channels=1).eval(), made(name, channels=2).eval()
    found = chosen(mine, source(theirs), "all", name)
    assert found.adapted
    if name == "VNet":
        return  # repeats the image's channels to its width: another number of channels is another map
    mine.load_state_dict(dict(found.weights), strict=False)
    x = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        a, b = theirs(x), mine(torch.cat([x, x], 1))
    assert_close(a[0], b[0], rtol=1e-3, atol=1e-3)


def test_another_topology_is_refused_with_names() -> None:
    with pytest.raises(
        UserError,
        match=r"do not fit UNet \(all_but_heads\): .* is \[\d+.*, here \[",
    ):
        chosen(made("UNet"), source(made("UNet", features_per_stage=[4, 8, 16])))
    with pytest.raises(UserError, match=r"is missing.*and \d+ more"):
        chosen(made("MAGUNet"), source(made("ResEncM")))


def test_weights_of_a_diverged_training_are_refused() -> None:
    theirs = made("UNet")
    with torch.no_grad():
        next(theirs.encoder.parameters()).fill_(torch.nan)
    with pytest.raises(UserError, match=r"\d+ of \d+ weights hold NaN or infinite values, encoder"):
        chosen(made("UNet"), source(theirs))


def test_all_requires_the_same_labels() -> None:
    mine = made("UNet")
    given = {"dataset_json": {"labels": {"background": 0, "bone": 1, "disc": 2}}}
    of = source(made("UNet"), arguments=given)
    same = {"bone": 1, "disc": 2, "background": 0}  # the heads are in the order of the values
    assert not chosen(mine, of, "all", dataset={"labels": same}).left
    with pytest.raises(UserError, match=r'they must be equal, .*: load "all_but_heads"'):
        chosen(mine, of, "all", dataset={"labels": {"background": 0, "disc": 1, "bone": 2}})
    with pytest.raises(UserError, match=r"seg_layers.* is \[4"):
        chosen(mine, source(made("UNet", classes=4)), "all")


def test_all_requires_the_same_order_of_regions() -> None:
    given = {"labels": {"background": 0, "left": [1, 3], "right": 2}}
    of = source(made("UNet"), arguments={"dataset_json": given})
    assert not chosen(made("UNet"), of, "all", dataset=given).left
    other = {"labels": {"background": 0, "right": 2, "left": [1, 3]}}
    with pytest.raises(UserError, match="regions in the same order"):
        chosen(made("UNet"), of, "all", dataset=other)
    assert chosen(made("UNet"), of, dataset=other).left


@pytest.mark.parametrize("name", DIFFERENT)
def test_channels_in_another_order_give_the_same_map(name: str) -> None:
    theirs, mine = made(name).eval(), made(name).eval()
    of = source(theirs, arguments={"dataset_json": {"channel_names": {"1": "T2", "0": "T1"}}})
    found = chosen(mine, of, "all", name, dataset={"channel_names": {"0": "T2", "1": "T1"}})
    assert found.channels.startswith(
        "the image channels of the source are T1, T2, here T2, T1: its"
    )
    assert not found.adapted
    mine.load_state_dict(dict(found.weights), strict=False)
    if name == "VNet":
        return  # adds the image's channels in their order to its first features
    x = torch.randn(1, 2, 32, 32)
    with torch.no_grad():
        assert_close(theirs(x)[0], mine(x.flip(1))[0], rtol=1e-3, atol=1e-3)


def test_labels_of_the_previous_stage_keep_their_place_and_other_channels_are_named() -> None:
    theirs, mine = made("UNet"), made("UNet")
    of = source(theirs, arguments={"dataset_json": {"channel_names": {"0": "T1"}}})
    found = chosen(mine, of, "all", "UNet", dataset={"channel_names": {"0": "T1"}})
    assert not found.channels
    other = chosen(mine, of, "all", "UNet", dataset={"channel_names": {"0": "T2"}})
    assert other.channels == "the image channels of the source are T1, here T2"
    first = "encoder.stages.0.0.convs.0.conv.weight"
    assert torch.equal(other.weights[first], theirs.state_dict()[first])
    of = source(
        made("UNet", channels=3),
        arguments={"dataset_json": {"channel_names": {"0": "A", "1": "B"}}},
    )
    named = {"channel_names": {"0": "B", "1": "A"}}
    moved = chosen(made("UNet", channels=3), of, "all", "UNet", dataset=named).weights[first]
    assert torch.equal(moved, of.weights[first][:, [1, 0, 2]])


def test_nnssl_checkpoints_name_their_encoder() -> None:
    """nnssl records where the encoder is; its networks may have other names around it."""
    residual = {"n_blocks_per_stage": [2, 2, 2], "n_conv_per_stage": None}
    theirs, mine = made("ResEncM", **residual), made("ModularUNet", **residual)
    plan = {"key_to_encoder": "backbone.stages", "key_to_stem": "backbone.stem"}
    named = {
        key.replace("encoder.", "backbone.", 1): value
        for key, value in theirs.state_dict().items()
        if key.startswith("encoder.")
    }
    found = chosen(mine, Source(Path("a.pth"), "", 64 * "0", named, nnssl=plan), "encoder")
    given = theirs.state_dict()
    assert found.weights
    assert all(torch.equal(value, given[key]) for key, value in found.weights.items())
    with pytest.raises(UserError, match=r"decoder\.stages.* is missing.*set pretrained.what to"):
        chosen(mine, Source(Path("a.pth"), "", 64 * "0", named, nnssl=plan))
