"""Statistics of binary calls and of scores: proportions, agreement, ROC curves, calibration."""
