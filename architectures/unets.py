"""The compared U-Nets that are ModularUNet with other defaults. Arguments and shapes are ModularUNet's."""

from __future__ import annotations

from typing import Any

from torch import nn

from architectures.modular_unet import ModularUNet


class UNet(ModularUNet):
    """U-Net with max-pooling (Ronneberger 2015, arXiv 1505.04597; 3D: Çiçek 2016, arXiv 1606.06650)."""

    def __init__(self, *args: Any, pool: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, pool=pool or _pool(kwargs), **kwargs)


class ResUNet(ModularUNet):
    """U-Net with a 1x1 shortcut around the convolutions of every stage (Zhang 2018, arXiv 1711.10684)."""

    def __init__(self, *args: Any, wrap: str = "shortcut", **kwargs: Any) -> None:
        super().__init__(*args, wrap=wrap, **kwargs)


class AttentionUNet(ModularUNet):
    """U-Net with an additive attention gate on every skip (Oktay 2018, arXiv 1804.03999)."""

    def __init__(self, *args: Any, skip: str = "attention", **kwargs: Any) -> None:
        super().__init__(*args, skip=skip, **kwargs)


class TransUNet(ModularUNet):
    """U-Net with transformer layers over the bottleneck's positions (Chen 2021, arXiv 2102.04306).

    Widths are the plan's. Chen's positional embedding is left out, as in paper 003: the convolutions around
    it know the place, and any patch size fits. Twelve layers as in Chen's.
    """

    def __init__(
        self,
        *args: Any,
        bottleneck: str = "transformer",
        bottleneck_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if bottleneck == "transformer":
            bottleneck_kwargs = {"depth": 12} | (bottleneck_kwargs or {})
        super().__init__(
            *args, bottleneck=bottleneck, bottleneck_kwargs=bottleneck_kwargs, **kwargs
        )


class VNet(ModularUNet):
    """V-Net: kernels of 5, a shortcut around every stage, PReLU (Milletari 2016, arXiv 1606.04797).

    Where the plan's kernel is 1 along an axis it stays 1, elsewhere it is 5. Widths and depths are the plan's.
    """

    def __init__(
        self, *args: Any, kernel_sizes: Any, kernel: int = 5, wrap: str = "shortcut", **kwargs: Any
    ) -> None:
        own = {
            "kernel_sizes": _widened(kernel_sizes, kernel),
            "nonlin": nn.PReLU,
            "nonlin_kwargs": {},
        }
        super().__init__(*args, wrap=wrap, **kwargs | own)


def _pool(kwargs: dict[str, Any]) -> str:
    return "conv" if kwargs.get("n_blocks_per_stage") is not None else "max"


def _widened(kernel_sizes: Any, kernel: int) -> Any:
    if isinstance(kernel_sizes, int):
        return kernel if kernel_sizes > 1 else 1
    return [_widened(k, kernel) for k in kernel_sizes]
