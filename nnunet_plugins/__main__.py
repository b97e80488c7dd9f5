"""``python -m nnunet_plugins`` is ``nnunet-plugins``."""

from nnunet_plugins.cli import console

console()
