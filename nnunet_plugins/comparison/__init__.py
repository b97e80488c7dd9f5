"""Comparison of runs: their scores, the differences of their trainings, tables for readers."""
