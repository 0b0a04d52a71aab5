"""Experiments: calibration, training, pruning, studies of the paper, language models."""
