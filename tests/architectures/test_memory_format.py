from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from architectures.memory_format import by_planes, convolve, convolve_all

from .conftest import CONV


def results(apply: object, conv: torch.nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    conv.zero_grad()
    leaf = x.clone().requires_grad_()
    y = apply(conv, leaf * 1)
    y.square().sum().backward()
    return y, leaf.grad, conv.weight.grad.clone()


@pytest.mark.parametrize("groups", [1, 2])
def test_results_and_gradients_are_those_of_the_convolution(rank: int, groups: int) -> None:
    conv = CONV[rank](8, 4, 3, padding=1, groups=groups)
    x = torch.randn(2, 8, *[6] * rank)
    for ours, plain in zip(
        results(convolve, conv, x), results(lambda c, v: c(v), conv, x), strict=True
    ):
        assert_close(ours, plain, rtol=1e-4, atol=1e-4)
        assert ours.is_contiguous()


def test_each_of_several_equals_its_convolution(rank: int) -> None:
    convs = [CONV[rank](8, 4, size, padding=size // 2) for size in (1, 3, 5)]
    x = torch.randn(2, 8, *[6] * rank, requires_grad=True)
    found = []
    for results in (convolve_all(convs, x * 1), [conv(x) for conv in convs]):
        sum(y.square().sum() for y in results).backward()
        found.append((*results, x.grad, *(conv.weight.grad for conv in convs)))
        x.grad = None
        for conv in convs:
            conv.zero_grad(set_to_none=True)
    for ours, plain in zip(*found, strict=True):
        assert_close(ours, plain, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("size", [5, (5, 3, 1), 7])
def test_a_deep_kernel_plane_by_plane_equals_its_convolution(size: object, bias: bool) -> None:
    conv = torch.nn.Conv3d(3, 4, size, padding="same", bias=bias)
    conv.padding = tuple(k // 2 for k in conv.kernel_size)
    x = torch.randn(2, 3, 4, 5, 6)  # thinner than the kernel of 5 or 7
    for ours, plain in zip(
        results(by_planes, conv, x), results(lambda c, v: c(v), conv, x), strict=True
    ):
        assert_close(ours, plain, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("change", [{"stride": 2}, {"groups": 2}, {"dilation": 2}, {"padding": 0}])
def test_other_deep_convolutions_are_computed_as_they_are(change: dict[str, int]) -> None:
    conv = torch.nn.Conv3d(4, 4, 5, **({"padding": 2} | change))
    x = torch.randn(1, 4, 9, 9, 9)
    assert_close(convolve(conv, x), conv(x), rtol=1e-4, atol=1e-4)


def held_after_forward(apply: object, conv: torch.nn.Module, x: torch.Tensor) -> int:
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        y = apply(conv, x)
    del y
    return sum(event.self_cpu_memory_usage for event in profile.key_averages())


def test_no_converted_copy_of_the_input_is_kept(rank: int) -> None:
    conv = CONV[rank](8, 2, 3, padding=1)
    x = torch.randn(2, 8, *[16] * rank, requires_grad=True)
    extra = held_after_forward(convolve, conv, x) - held_after_forward(lambda c, v: c(v), conv, x)
    assert extra < x.nbytes / 2


def test_an_input_changed_in_place_is_an_error() -> None:
    conv = CONV[2](4, 2, 3, padding=1)
    x = torch.randn(1, 4, 8, 8)
    y = convolve(conv, x)
    x.zero_()
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()
