"""U-Nets for comparison: ModularUNet with other defaults. Other arguments and shapes are those of ModularUNet."""

from __future__ import annotations

from typing import Any

from architectures.modular_unet import ModularUNet


class UNet(ModularUNet):
    """U-Net with max-pooling (Ronneberger 2015, arXiv 1505.04597; 3D: Çiçek 2016, arXiv 1606.06650).

    A plan with a residual encoder strides in its convolutions instead.

    >>> import torch
    >>> network = UNet(
    ...     input_channels=1, num_classes=2, n_stages=2, features_per_stage=[4, 8], conv_op=torch.nn.Conv2d,
    ...     kernel_sizes=3, strides=[1, 2], n_conv_per_stage=2, n_conv_per_stage_decoder=2)
    >>> network(torch.zeros(1, 1, 6, 8)).shape
    torch.Size([1, 2, 6, 8])
    """

    def __init__(self, *, pool: str | None = None, **others: Any) -> None:
        residual = others.get("n_blocks_per_stage") is not None
        super().__init__(pool=pool or ("conv" if residual else "max"), **others)


class ResUNet(ModularUNet):
    """U-Net with a 1x1 shortcut around the convolutions of every stage (Zhang 2018, arXiv 1711.10684).

    >>> import torch
    >>> network = ResUNet(
    ...     input_channels=1, num_classes=2, n_stages=2, features_per_stage=[4, 8], conv_op=torch.nn.Conv2d,
    ...     kernel_sizes=3, strides=[1, 2], n_conv_per_stage=2, n_conv_per_stage_decoder=2)
    >>> network(torch.zeros(1, 1, 6, 8)).shape
    torch.Size([1, 2, 6, 8])
    """

    def __init__(self, *, wrap: str = "shortcut", **others: Any) -> None:
        super().__init__(wrap=wrap, **others)


class AttentionUNet(ModularUNet):
    """U-Net with an additive attention gate on every skip (Oktay 2018, arXiv 1804.03999).

    >>> import torch
    >>> network = AttentionUNet(
    ...     input_channels=1, num_classes=2, n_stages=2, features_per_stage=[4, 8], conv_op=torch.nn.Conv2d,
    ...     kernel_sizes=3, strides=[1, 2], n_conv_per_stage=2, n_conv_per_stage_decoder=2)
    >>> network(torch.zeros(1, 1, 6, 8)).shape
    torch.Size([1, 2, 6, 8])
    """

    def __init__(self, *, skip: str = "attention", **others: Any) -> None:
        super().__init__(skip=skip, **others)


class TransUNet(ModularUNet):
    """U-Net with transformer layers over the positions of the bottleneck (Chen 2021, arXiv 2102.04306).

    Twelve layers as in Chen's, unless ``bottleneck_kwargs`` gives another depth. Widths are the plan's. Chen's
    positional embedding is left out, as in silveira2025-inception-dual: the surrounding convolutions encode
    position, and any patch size fits.

    >>> import torch
    >>> network = TransUNet(
    ...     input_channels=1, num_classes=2, n_stages=2, features_per_stage=[4, 8], conv_op=torch.nn.Conv2d,
    ...     kernel_sizes=3, strides=[1, 2], n_conv_per_stage=2, n_conv_per_stage_decoder=2)
    >>> network(torch.zeros(1, 1, 6, 8)).shape
    torch.Size([1, 2, 6, 8])
    """

    def __init__(
        self,
        *,
        bottleneck: str = "transformer",
        bottleneck_kwargs: dict[str, Any] | None = None,
        **others: Any,
    ) -> None:
        if bottleneck == "transformer":
            bottleneck_kwargs = {"depth": 12} | (bottleneck_kwargs or {})
        super().__init__(bottleneck=bottleneck, bottleneck_kwargs=bottleneck_kwargs, **others)
