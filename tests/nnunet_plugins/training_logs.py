"""A training log of nnU-Net with two epochs."""

LOG = """
2026-01-01 00:00:00.1: Using splits from existing split file: /home/someone/splits_final.json
2026-01-01 00:00:00.1: Epoch 0
2026-01-01 00:00:09.1: train_loss 0.5
2026-01-01 00:00:09.1: val_loss 0.25
2026-01-01 00:00:09.1: Pseudo dice [np.float32(0.5), np.float32(nan)]
2026-01-01 00:00:10.1: Epoch time: 10.0 s
2026-01-01 00:00:10.1: Epoch 1
2026-01-01 00:00:21.1: train_loss -0.1
2026-01-01 00:00:21.1: val_loss nan
2026-01-01 00:00:21.1: Pseudo dice [0.75, 0.25]
2026-01-01 00:00:22.1: Epoch time: 12.0 s
"""
DONE = "2026-01-01 00:00:23.1: Training done.\n"
