from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from architectures.instance_norm import InstanceNorm3d, without_view

TORCHS = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}


@pytest.mark.parametrize("options", [{"affine": True}, {"affine": False}, {"eps": 1e-2}])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_torchs_norm_and_its_gradients(rank: int, options: dict, dtype: torch.dtype) -> None:
    plain, ours = TORCHS[rank](3, **options), without_view(TORCHS[rank])(3, **options)
    x = 5 * torch.randn(2, 3, *[4] * rank, dtype=dtype) + 2
    found = []
    for norm in (plain.to(dtype), ours.to(dtype)):
        torch.manual_seed(0)
        for parameter in norm.parameters():
            nn.init.normal_(parameter)
        leaf = x.clone().requires_grad_()
        y = nn.functional.leaky_relu_(norm(leaf), 0.1)
        y.square().sum().backward()
        found.append((y, leaf.grad, *(p.grad for p in norm.parameters())))
    for one, other in zip(*found, strict=True):
        assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_in_place_on_its_result_the_graph_has_no_copies(rank: int) -> None:
    """The name of the gradient function shows an in-place change of a view."""
    x = torch.randn(2, 3, *[4] * rank, requires_grad=True)
    plain, ours = (
        norm(3)(x).relu_().grad_fn.name() for norm in (TORCHS[rank], without_view(TORCHS[rank]))
    )
    assert "Relu" in ours
    assert "Relu" not in plain


def test_evaluation_mode_normalises_by_instance(rank: int) -> None:
    norm = without_view(TORCHS[rank])(2).eval()
    y = norm(7 + torch.randn(2, 2, *[6] * rank))
    assert_close(y.flatten(2).mean(-1), torch.zeros(2, 2), rtol=0, atol=1e-5)


def test_a_single_voxel_is_an_error_as_in_torch(rank: int) -> None:
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        without_view(TORCHS[rank])(2)(torch.ones(2, 2, *[1] * rank))


def test_another_number_of_channels_is_an_error(rank: int) -> None:
    with pytest.raises(ValueError, match="expected input's size at dim=1 to match"):
        without_view(TORCHS[rank])(2, affine=True)(torch.ones(2, 4, *[3] * rank))


def test_running_statistics_and_a_single_sample_are_left_to_torch() -> None:
    x = torch.randn(2, 4, 4, 4)
    assert_close(InstanceNorm3d(2)(x), nn.InstanceNorm3d(2)(x))
    tracked = InstanceNorm3d(2, track_running_stats=True)
    tracked(x[None])
    assert tracked.running_mean.abs().sum() > 0


def test_other_classes_are_returned_unchanged() -> None:
    assert without_view(nn.BatchNorm3d) is nn.BatchNorm3d
    assert without_view(None) is None
    assert issubclass(without_view(nn.InstanceNorm3d), nn.InstanceNorm3d)
