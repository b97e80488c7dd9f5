"""Checks of raw datasets as tests of pytest.

Run with `pytest -p nnunet_plugins.checks.plugin --pyargs nnunet_plugins.checks --dataset DIR`.
"""
