"""Maps over an entire case: nnU-Net's sliding windows and weights, MONAI's Grad-CAM, attention by hooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from monai.visualize import GradCAM
from monai.visualize.class_activation_maps import ModelWithHooks
from monai.visualize.visualizer import default_upsampler
from nnunetv2.inference.sliding_window_prediction import compute_gaussian
from torch import Tensor, nn

from architectures.blocks.axial_attention import AxialAttention

Progress = Callable[[list[Any]], Any]


class _Hooks(ModelWithHooks):
    """The score is the class's logits summed over the voxels that are predicted as the class.

    This is Seg-Grad-CAM (Vinogradova et al. 2020, arXiv 2002.11434) on the predicted voxels, or on all voxels with
    `everywhere`. Each region has its own logit: above 0 is inside.
    """

    def __init__(self, network: nn.Module, layer: str, *, regions: bool, everywhere: bool) -> None:
        for module in network.modules():
            # The gradient needs each map; an in-place layer would overwrite it.
            if getattr(module, "inplace", False):
                module.inplace = False  # type: ignore[assignment]
        super().__init__(network, layer, register_forward=True, register_backward=True)
        self.regions, self.everywhere = regions, everywhere

    def backward_hook(self, name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: Any, outputs: tuple[Tensor, ...]) -> None:
            self.gradients[name] = outputs[0].contiguous()  # MONAI calls view

        return hook

    def class_score(self, logits: Tensor, class_idx: int) -> Tensor:
        score = logits[:, class_idx]
        if self.everywhere:
            return score
        inside = score > 0 if self.regions else logits.argmax(1) == class_idx
        return score * inside


def grad_cam(network: nn.Module, layer: str, channels: Sequence[int], *, regions: bool,
             everywhere: bool = False) -> Callable[[Tensor], list[Tensor]]:  # fmt: skip
    """Return a function from a patch (1, C, *S) to one map (1, 1, *S) per channel of the logits.

    Args:
        network: without deep supervision.
        layer: name of a module that outputs a map.
        channels: channels of the logits, one per class.
        regions: whether classes may overlap.
        everywhere: sum the logits over all voxels instead of those predicted as the class.
    """
    hooks = _Hooks(network, layer, regions=regions, everywhere=everywhere)
    cam = GradCAM(hooks, layer, postprocessing=lambda values: values)

    def work(patch: Tensor) -> list[Tensor]:
        # A hook on the first layer receives a gradient only if the image requires one.
        patch = patch.detach().clone().requires_grad_()
        with torch.enable_grad():
            return [cam(patch, class_idx=channel).detach() for channel in channels]

    return work


def attention_names(network: nn.Module) -> list[str]:
    """Names of the modules that weight voxels: gates on skip connections, and axial attention."""
    return [name for name, module in network.named_modules() if _weights_voxels(module)]


def attention(network: nn.Module, names: Sequence[str]) -> Callable[[Tensor], list[Tensor]]:
    """Return a function from a patch (1, C, *S) to the coefficients (1, 1, *S) of each module."""
    modules = dict(network.named_modules())

    def work(patch: Tensor) -> list[Tensor]:
        seen: dict[str, Tensor] = {}

        def hook(name: str) -> Callable[..., None]:
            def keep(module: Any, inputs: Any, output: Any) -> None:
                seen[name] = (
                    output[1] if isinstance(output, tuple) else module.coefficients(*inputs)
                )

            return keep

        handles = [modules[name].register_forward_hook(hook(name)) for name in names]
        try:
            with torch.no_grad():
                network.eval()(patch)
        finally:
            for handle in handles:
                handle.remove()
        enlarge = default_upsampler(patch.shape[2:])
        return [enlarge(seen[name].float()) for name in names]

    return work


def slide(predictor: Any, data: Tensor, work: Callable[[Tensor], list[Tensor]],
          progress: Progress | None = None) -> list[Tensor]:  # fmt: skip
    """Apply ``work`` to every window of a case and average where windows overlap.

    Steps, weights and padding are those of nnU-Net's prediction, without mirroring.

    Args:
        predictor: nnU-Net's predictor with the model loaded.
        data: the preprocessed case (C, z, y, x).
        work: maps a patch (1, C, *S) to maps (1, 1, *S).
        progress: wraps the list of windows.

    Returns:
        Maps (z, y, x).
    """
    patch = predictor.configuration_manager.patch_size
    padded, revert = pad_nd_image(data, patch, "constant", {"value": 0}, True, None)
    windows = predictor._internal_get_sliding_window_slicers(padded.shape[1:])
    weights = compute_gaussian(
        tuple(patch), sigma_scale=1 / 8, value_scaling_factor=10, dtype=torch.float32,
        device=torch.device("cpu"),
    )  # fmt: skip
    total = torch.zeros(padded.shape[1:])
    sums: list[Tensor] = []
    for window in progress(windows) if progress else windows:
        maps = work(padded[window][None].to(predictor.device))
        sums = sums or [torch.zeros(padded.shape[1:]) for _ in maps]
        for one, found in zip(sums, maps, strict=True):
            one[window[1:]] += found[0, 0].float().cpu() * weights
        total[window[1:]] += weights
    return [(one / total)[revert[1:]] for one in sums]


def _weights_voxels(module: nn.Module) -> bool:
    return isinstance(module, AxialAttention) or hasattr(module, "coefficients")
