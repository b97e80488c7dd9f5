"""The one module that nnU-Net's -tr look-up finds through nnUNet_extTrainer. It re-exports, nothing else.

nnU-Net imports each file of this folder as a top-level module and drops it again afterwards; the classes
must therefore live elsewhere, and imports must be absolute.
"""

from nnunet_plugins.training.trainers import TRAINERS

globals().update(TRAINERS)
