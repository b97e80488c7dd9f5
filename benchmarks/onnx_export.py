"""Export ResEncL and ResEncXL at full width to ONNX: difference of the logits, size of the file, peak memory.

python benchmarks/onnx_export.py
"""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path

import torch

from architectures.nnunet_networks import RESIDUAL_BLOCKS
from nnunet_plugins.export.onnx_network import write_onnx
from nnunet_plugins.networks import NETWORKS

FEATURES = (32, 64, 128, 256, 320, 320, 320)
#: Network -> stride of each stage, and patch.
CASES = {
    "ResEncL": ([[1, 1, 1], *[[2, 2, 2]] * 5], (64, 64, 64)),
    "ResEncXL": ([[1, 1, 1], *[[2, 2, 2]] * 5, [1, 2, 2]], (64, 128, 128)),
}


def main() -> None:
    """Print one line per network."""
    for name, (strides, patch) in CASES.items():
        torch.manual_seed(0)
        stages = len(strides)
        network = NETWORKS[name](
            input_channels=1, num_classes=5, n_stages=stages, features_per_stage=list(FEATURES[:stages]),
            conv_op=torch.nn.Conv3d, kernel_sizes=[[3, 3, 3]] * stages, strides=strides,
            n_blocks_per_stage=list(RESIDUAL_BLOCKS[:stages]), n_conv_per_stage_decoder=[1] * (stages - 1),
            conv_bias=True, norm_op=torch.nn.InstanceNorm3d, norm_op_kwargs={"eps": 1e-5, "affine": True},
            nonlin=torch.nn.LeakyReLU, nonlin_kwargs={"inplace": True}, deep_supervision=False,
        )  # fmt: skip
        network.apply(network.initialize)
        parameters = sum(one.numel() for one in network.parameters())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.onnx"
            difference = write_onnx(network, 1, patch, path)
            size = path.stat().st_size
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(
            f"{name}: {stages} stages, patch {patch}, {parameters / 1e6:.0f} M parameters, "
            f"difference {difference:.1e}, {size / 1e6:.0f} MB, peak {peak / 1e9:.1f} GB"
        )


if __name__ == "__main__":
    main()
