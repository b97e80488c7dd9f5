"""Ensembles of trained models: choice by cross-validation, averaging of probabilities, postprocessing."""
