"""Stubs of nnU-Net's commands."""

import pytest

from nnunet_plugins.rounds import training
from tests.nnunet_plugins.rounds.making import Commands


@pytest.fixture
def commands(monkeypatch):
    made = Commands()
    monkeypatch.setattr(training, "run_logged", made)
    return made
