"""Convert datasets to nnU-Net's raw format; needs neither torch nor nnU-Net."""

__owner__ = "nnunet-plugins"
