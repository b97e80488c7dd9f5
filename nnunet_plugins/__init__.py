"""Everything that knows nnU-Net. This file stays free of torch: the command line starts here."""

__version__ = "0.2.0"
