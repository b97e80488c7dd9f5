"""The module that nnU-Net's -tr look-up finds through nnUNet_extTrainer. It only re-exports.

nnU-Net imports each file of this folder as a top-level module and drops it afterwards; the classes must
therefore be defined elsewhere, and imports must be absolute.
"""

from nnunet_plugins.training.trainers import TRAINERS

globals().update(TRAINERS)
