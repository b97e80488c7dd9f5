"""Prediction of many cases: what is predicted, the forecast, and the worker."""
