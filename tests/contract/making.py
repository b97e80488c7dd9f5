"""Small plans as nnU-Net 2.8 writes them."""

from __future__ import annotations

from typing import Any

PLAIN = "dynamic_network_architectures.architectures.unet.PlainConvUNet"
RESIDUAL = "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"
OURS = "nnunet_plugins.networks.{}"

DATASET: dict[str, Any] = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "sacrum": 1, "ilium": 2},
    "numTraining": 5,
    "file_ending": ".nii.gz",
    "overwrite_image_reader_writer": "SimpleITKIO",
}
REGIONS: dict[str, Any] = DATASET | {
    "labels": {"background": 0, "bone": [1, 2], "ilium": 2},
    "regions_class_order": [1, 2],
}


def architecture(name: str = PLAIN, rank: int = 3) -> dict[str, Any]:
    """The ``architecture`` entry: three stages, four features, anisotropic in 3D."""
    blocks = "n_blocks_per_stage" if name == RESIDUAL else "n_conv_per_stage"
    return {
        "network_class_name": name,
        "arch_kwargs": {
            "n_stages": 3,
            "features_per_stage": [4, 8, 16],
            "conv_op": f"torch.nn.modules.conv.Conv{rank}d",
            "kernel_sizes": [[1, 3, 3][-rank:], [3] * rank, [3] * rank],
            "strides": [[1] * rank, [1, 2, 2][-rank:], [2] * rank],
            blocks: [1, 1, 1],
            "n_conv_per_stage_decoder": [1, 1],
            "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{rank}d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def configuration(rank: int = 3, **more: Any) -> dict[str, Any]:
    """One configuration: patches of 8 voxels per axis, 1 mm, no intensity normalisation."""
    resample = {
        f"resampling_fn_{what}": "resample_data_or_seg_to_shape"
        for what in ("data", "seg", "probabilities")
    }
    kwargs = {
        f"{key}_kwargs": {
            "is_seg": key == "resampling_fn_seg",
            "order": 1,
            "order_z": 0,
            "force_separate_z": None,
        }
        for key in resample
    }
    return {
        "data_identifier": f"Plans_{rank}d",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [8] * rank,
        "median_image_size_in_voxels": [8] * rank,
        "spacing": [1.0] * rank,
        "normalization_schemes": ["NoNormalization"],
        "use_mask_for_norm": [False],
        "batch_dice": False,
        "architecture": architecture(rank=rank),
        **resample,
        **kwargs,
        **more,
    }


def plans(transpose: tuple[int, ...] = (0, 1, 2), **configurations: dict[str, Any]) -> dict:
    """A plans file with the configurations 2d, 3d_fullres and those given by name."""
    return {
        "dataset_name": "Dataset042_Contract",
        "plans_name": "Plans",
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": list(transpose),
        "transpose_backward": [transpose.index(i) for i in range(3)],
        "original_median_spacing_after_transp": [1.0] * 3,
        "original_median_shape_after_transp": [8] * 3,
        "experiment_planner_used": "NetworkPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": {}},
        "configurations": {
            "2d": configuration(2),
            "3d_fullres": configuration(3),
            **configurations,
        },
    }
