from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.networks import nets
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from architectures.unetr import UNETR

from .conftest import NORM, arguments

SIZE = {2: (20, 16), 3: (16, 20, 12)}
PADDED = {2: (32, 16), 3: (16, 32, 16)}
SMALL: dict[str, Any] = {"hidden_size": 24, "mlp_dim": 32, "num_heads": 2}


def small(rank: int, **changes: Any) -> UNETR:
    kwargs = {"features_per_stage": [4, 8, 16], "input_size": SIZE[rank], **SMALL, **changes}
    return UNETR(**arguments(rank, **kwargs))


def test_it_is_monais_on_the_padded_input(rank: int) -> None:
    ours = small(rank, deep_supervision=False).eval()
    theirs = nets.UNETR(
        in_channels=2,
        out_channels=3,
        img_size=PADDED[rank],
        feature_size=4,
        norm_name=("instance", {"eps": 1e-5, "affine": True}),
        spatial_dims=rank,
        **SMALL,
    ).eval()
    # MONAI's weights are the same, except for those that it never uses.
    missing = theirs.load_state_dict(ours.network.state_dict(), strict=False)
    theirs.out.load_state_dict(ours.decoder.seg_layers[0].state_dict())
    assert not missing.unexpected_keys
    assert all("cross_attn" in key or key.startswith("out.") for key in missing.missing_keys)
    x = torch.randn(2, 2, *SIZE[rank])
    after = [m for n, p in zip(SIZE[rank], PADDED[rank], strict=True) for m in (p - n, 0)]
    padded = F.pad(x, after[::-1], mode="replicate")
    y = theirs(padded)[(..., *(slice(n) for n in SIZE[rank]))]
    assert_close(ours(x), y, rtol=1e-4, atol=1e-5)


def test_attention_is_fused(rank: int) -> None:
    network = small(rank)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        network(torch.randn(1, 2, *SIZE[rank]))
    calls = {event.key: event.count for event in profile.key_averages()}
    assert calls.get("aten::_scaled_dot_product_flash_attention_for_cpu") == 12


def test_every_weight_has_a_gradient(rank: int) -> None:
    network = small(rank)
    network(torch.randn(1, 2, *SIZE[rank]))[0].square().mean().backward()
    assert [k for k, p in network.named_parameters() if p.grad is None] == []


def test_the_size_is_fixed(rank: int) -> None:
    network = small(rank)
    network.check_input_size(list(SIZE[rank]))
    network.check_input_size(torch.empty(1, 2, *SIZE[rank]).shape[2:])
    both = r"size is \(32, 16.*is built for \(" + ", ".join(map(str, SIZE[rank]))
    other = (32, 16, 16)[:rank]
    with pytest.raises(ValueError, match=both):
        network.check_input_size(other)
    with pytest.raises(ValueError, match=both):
        network.compute_conv_feature_map_size(other)
    # MONAI's network would accept the padded size, but it is not the patch size.
    with pytest.raises(ValueError, match="is built for"):
        network(torch.randn(1, 2, *PADDED[rank]))


def test_width_and_normalisation_are_the_plans(rank: int) -> None:
    batch = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[rank]
    for norm, kwargs in (
        (NORM[rank], {"eps": 1e-3, "affine": True}),
        (batch, {"momentum": 0.3}),
    ):
        network = small(rank, features_per_stage=6, norm_op=norm, norm_op_kwargs=kwargs)
        norms = [m for m in network.modules() if isinstance(m, norm)]
        assert norms
        assert all(getattr(m, k) == v for m in norms for k, v in kwargs.items())
        assert network.decoder.seg_layers[0].conv.conv.in_channels == 6


def test_the_number_of_parameters_is_close_to_the_papers() -> None:
    with torch.device("meta"):
        network = UNETR(
            **arguments(
                3, input_channels=1, num_classes=14, features_per_stage=16, input_size=[96] * 3
            )
        )
    # 92.58 million are published; position embedding and details of the convolutions are MONAI's.
    assert sum(p.numel() for p in network.parameters()) == 92_786_094
    tokens = 6**3
    transformer = tokens * 768 + 12 * tokens * (3 * 768 + 768 + 3072 + 768)
    assert network.compute_conv_feature_map_size([96] * 3) > transformer + 96**3 * 14


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_size": None}, "input_size is None.*nnunet-plugins plan --network UNETR"),
        ({"input_size": [16] * 3}, "expected 2 spatial sizes"),
        ({"input_size": [16, 0]}, r"input_size is \(16, 0\); every axis must be 1 or more"),
        ({"num_heads": 5}, "hidden_size is 24 and num_heads 5"),
        ({"norm_op": nn.GroupNorm}, "norm_op is .*GroupNorm.*expected instance or batch"),
        ({"norm_op": None}, "norm_op is None"),
    ],
)
def test_invalid_arguments_are_named_in_the_error(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(2, **changes)
