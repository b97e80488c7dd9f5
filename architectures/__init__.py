"""Networks only: torch and dynamic-network-architectures, nothing of nnU-Net."""

__owner__ = "nnunet-plugins"
