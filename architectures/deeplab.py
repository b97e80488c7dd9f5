"""DeepLabV3 (Chen 2017, arXiv 1706.05587) and DeepLabV3+ (Chen 2018, arXiv 1802.02611), on torchvision's ResNet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.full_resolution import FullResolutionNetwork
from architectures.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Name -> whether its blocks can be dilated.
BACKBONES = {
    "resnet18": False,
    "resnet34": False,
    "resnet50": True,
    "resnet101": True,
    "resnet152": True,
}
#: Output stride -> which of the last three stages are dilated instead of strided.
DILATED = {8: [False, True, True], 16: [False, False, True], 32: [False, False, False]}
WIDTH, LOW_WIDTH = 256, 48


class DeepLabV3(FullResolutionNetwork):
    """ResNet with dilated last stages, atrous spatial pyramid pooling, bilinear upsampling. 2D only.

    Widths, strides, kernels, batch normalisation and ReLU are fixed. Weights are initialised at random, never
    downloaded. The pyramid's pooled branch has a bias instead of batch normalisation, which fails on the one
    value of a single sample; there is no dropout.

    Shapes: (B, input_channels, H, W) -> (B, num_classes, H, W) raw logits; under deep supervision a list of
    one. H and W need not be divisible by the output stride.

    >>> network = DeepLabV3(
    ...     input_channels=1, num_classes=2, n_stages=1, features_per_stage=8, conv_op=nn.Conv2d, kernel_sizes=3,
    ...     strides=1, backbone="resnet18", output_stride=32)
    >>> network.eval()(torch.zeros(1, 1, 64, 64)).shape
    torch.Size([1, 2, 64, 64])

    Args:
        backbone: name in ``BACKBONES``.
        output_stride: image pixels per pixel of the coarsest map: 8, 16 or 32. The dilations of the pyramid
            keep their reach in the image: 6, 12, 18 at 16 (2017, section 3.3).
        plan: the arguments in ``architectures.plan.Plan``; input_channels, num_classes, conv_op
            (``nn.Conv2d``) and deep_supervision are used.
    """

    ranks = (2,)
    former_names: tuple[tuple[str, str], ...] = (("head.0.", "decoder.seg_layers.0."),)
    encoder_names = ("backbone", "pyramid")
    #: V3+: the map of the first stage is concatenated to the upsampled pyramid and refined (2018, fig. 2).
    low_level = False

    def __init__(
        self, *, backbone: str = "resnet101", output_stride: int = 16, **plan: Any
    ) -> None:
        who = type(self).__name__
        given = Plan.read(type(self), plan)
        if backbone not in BACKBONES:
            raise ValueError(
                f"{who}: no backbone called {backbone!r}; known: {', '.join(BACKBONES)}"
            )
        allowed = list(DILATED) if BACKBONES[backbone] else [32]
        if output_stride not in allowed:
            raise ValueError(
                f"{who}: output_stride is {output_stride}; {backbone} has "
                f"{', '.join(map(str, allowed))}: choose among them or use another backbone"
            )
        super().__init__(given, stride=[output_stride] * 2)
        # Late: `import torchvision` takes seconds, and every command with a network would pay for it.
        from torchvision.models import resnet
        from torchvision.models.segmentation import deeplabv3

        body = getattr(resnet, backbone)(
            weights=None, replace_stride_with_dilation=DILATED[output_stride]
        )
        channels = body.fc.in_features
        body.fc = nn.Identity()  # never called; every weight must learn
        if given.input_channels != body.conv1.in_channels:
            body.conv1 = nn.Conv2d(given.input_channels, 64, 7, stride=2, padding=3, bias=False)
            nn.init.kaiming_normal_(body.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.backbone: Any = body

        self.pyramid: Any = deeplabv3.ASPP(
            channels, [96 * i // output_stride for i in (1, 2, 3)], WIDTH
        )
        self.pyramid.convs[-1][1] = nn.Conv2d(channels, WIDTH, 1)
        self.pyramid.convs[-1][2] = nn.Identity()
        self.pyramid.project[3] = nn.Identity()

        self.low: nn.Module | None = None
        refine: list[nn.Module] = []
        if self.low_level:
            self.low = _convolution(channels // 8, LOW_WIDTH, 1)
            refine = [_convolution(WIDTH + LOW_WIDTH, WIDTH, 3), _convolution(WIDTH, WIDTH, 3)]
        self.refine = nn.Sequential(*refine)
        self.decoder.seg_layers = nn.ModuleList([nn.Conv2d(WIDTH, given.num_classes, 1)])

    def logits(self, x: Tensor) -> Tensor:
        body = self.backbone
        low = body.layer1(body.maxpool(body.relu(body.bn1(body.conv1(x)))))
        y = self.pyramid(body.layer4(body.layer3(body.layer2(low))))
        if self.low is not None:
            y = torch.cat([_resize(y, low.shape[2:]), self.low(low)], 1)
        y = self.decoder.seg_layers[0](self.refine(y))
        return _resize(y, x.shape[2:])


class DeepLabV3Plus(DeepLabV3):
    """DeepLabV3 that refines the pyramid with the first stage's map, at a quarter of the size.

    >>> network = DeepLabV3Plus(
    ...     input_channels=1, num_classes=2, n_stages=1, features_per_stage=8, conv_op=nn.Conv2d, kernel_sizes=3,
    ...     strides=1, backbone="resnet18", output_stride=32)
    >>> network.eval()(torch.zeros(1, 1, 64, 64)).shape
    torch.Size([1, 2, 64, 64])
    """

    low_level = True
    former_names = (("head.2.", "decoder.seg_layers.0."), ("head.", "refine."))


def _convolution(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _resize(x: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", align_corners=False)
