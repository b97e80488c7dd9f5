"""Shared by the tests of the blocks: equations written out as shifts and sums, and views inside a block."""

from __future__ import annotations

import itertools
import unittest.mock
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from architectures.layers import Layers

from .conftest import CONV, NORM

#: Two maps of 3,072 positions each.
LARGE = {2: (48, 64), 3: (12, 16, 16)}
FUSED = "aten::_scaled_dot_product_flash_attention_for_cpu"
N_BY_N = "aten::_scaled_dot_product_attention_math"
BATCH = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
RELU = {"nonlin": nn.ReLU, "nonlin_kwargs": {"inplace": True}}


def layers(rank: int, changes: dict[str, Any]) -> Layers:
    """Biased convolution, affine instance norm and ReLU; ``changes`` of them are removed from the dict."""
    affine = {"norm_op": NORM[rank], "norm_op_kwargs": {"affine": True}}
    names = {field.name for field in fields(Layers)} & set(changes)
    changed = {name: changes.pop(name) for name in names}
    return Layers(**{"conv_op": CONV[rank], "conv_bias": True, **affine, **RELU, **changed})


def shifted(x: Tensor, offset: Sequence[int], fill: float = 0.0) -> Tensor:
    """``y[..., p] = x[..., p + offset]``, ``fill`` where that is outside the map."""
    y = torch.full_like(x, fill)
    to, of = [], []
    for n, o in zip(x.shape[2:], offset, strict=True):
        to.append(slice(max(0, -o), max(0, min(n, n - o))))
        of.append(slice(max(0, o), max(0, min(n, n + o))))
    y[(..., *to)] = x[(..., *of)]
    return y


def convolved(x: Tensor, conv: nn.Module) -> Tensor:
    """A convolution of stride 1 that preserves the size: a sum over taps, each a matrix on a shifted map."""
    taps = conv.weight.shape[2:]
    total = 0.0
    for tap in itertools.product(*(range(k) for k in taps)):
        offset = [(t - k // 2) * d for t, k, d in zip(tap, taps, conv.dilation, strict=True)]
        total = total + torch.einsum(
            "oi,bi...->bo...", conv.weight[(..., *tap)], shifted(x, offset)
        )
    return total if conv.bias is None else total + along_channels(conv.bias, x.ndim)


def along_channels(values: Tensor, ndim: int) -> Tensor:
    return values.view(1, -1, *[1] * (ndim - 2))


def normalised(x: Tensor, norm: nn.Module) -> Tensor:
    """Batch or instance normalisation in training mode, from its formula."""
    axes = [*range(2, x.ndim)] if "Instance" in type(norm).__name__ else [0, *range(2, x.ndim)]
    centred = x - x.mean(axes, keepdim=True)
    y = centred / torch.sqrt(centred.square().mean(axes, keepdim=True) + norm.eps)
    return y * along_channels(norm.weight, x.ndim) + along_channels(norm.bias, x.ndim)


def scrambled(block: nn.Module) -> nn.Module:
    """The block in float64 with every parameter away from its initial value."""
    block = block.double()
    with torch.no_grad():
        for p in block.parameters():
            p.normal_(std=0.5)
    return block


def fused(block: nn.Module, x: Tensor) -> Tensor:
    """The result of the fused attention kernel, which must run by default and without an N x N matrix."""
    names = kernels(block, x)
    assert FUSED in names
    assert N_BY_N not in names
    with sdpa_kernel([SDPBackend.FLASH_ATTENTION]):
        return block(x)


def kernels(block: nn.Module, *inputs: Tensor) -> set[str]:
    """Names of the operations in a forward and backward pass."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as profile:
        block(*(x.requires_grad_() for x in inputs)).sum().backward()
    return {event.name for event in profile.events()}


def attended_in(block: nn.Module, x: Tensor) -> list[torch.dtype]:
    """Dtypes of the query, key and value that reach the attention kernel."""
    with unittest.mock.patch.object(
        F, "scaled_dot_product_attention", wraps=F.scaled_dot_product_attention
    ) as kernel:
        block(x)
    return [t.dtype for t in kernel.call_args.args]


def kept(block: nn.Module, *inputs: Tensor) -> int:
    """Elements of the maps that a forward pass saves for the backward pass, without inputs and parameters."""
    known = {t.untyped_storage().data_ptr() for t in (*inputs, *block.parameters())}
    found: dict[int, Tensor] = {}

    def pack(t: Tensor) -> Tensor:
        if t.untyped_storage().data_ptr() not in known:
            found[t.untyped_storage().data_ptr()] = t
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        block(*(x.requires_grad_() for x in inputs))
    return sum(t.untyped_storage().nbytes() // t.element_size() for t in found.values())


def convolution_outputs(block: nn.Module, *inputs: Tensor) -> int:
    """Elements of the outputs of all convolutions in the block."""
    sizes = []
    hooks = [
        m.register_forward_hook(lambda _m, _x, y: sizes.append(y.numel()))
        for m in block.modules()
        if isinstance(m, nn.Conv2d | nn.Conv3d)
    ]
    block(*inputs)
    for hook in hooks:
        hook.remove()
    return sum(sizes)


def at_rest(block: nn.Module, *inputs: Tensor) -> set[str]:
    """Names of the parameters that three optimiser steps do not change."""
    before = {k: v.clone() for k, v in block.named_parameters()}
    optimizer = torch.optim.SGD(block.parameters(), 0.1)
    target = torch.randn_like(block(*inputs))
    for _ in range(3):
        optimizer.zero_grad()
        (block(*inputs) - target).square().mean().backward()
        optimizer.step()
    return {k for k, v in block.named_parameters() if torch.equal(v, before[k])}


def all_finite(block: nn.Module, *shape: int, inputs: int = 1) -> bool:
    """Whether values of rms 1e4 pass forward and backward in bf16 and fp16 without overflow."""
    fine = []
    for dtype in (torch.bfloat16, torch.float16):
        # Not centred, for the largest products.
        x = [(7e3 + 7e3 * torch.randn(shape)).to(dtype).requires_grad_() for _ in range(inputs)]
        with torch.autocast("cpu", dtype=dtype):
            y = block(*x)
        (y.float() * 1e-6).mean().backward()
        fine += [torch.isfinite(t).all() for t in (y, *(t.grad for t in x))]
    return all(fine)
