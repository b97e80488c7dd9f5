"""Datasets on disk to nnU-Net's raw format. Knows files and voxels; nothing of torch or nnU-Net."""

__owner__ = "nnunet-plugins"
