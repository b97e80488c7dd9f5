"""nnU-Net's look-up of our trainers."""

from __future__ import annotations

import os

import pytest

from nnunet_plugins.doctor import trainer_lookup
from nnunet_plugins.environment import EXTENSIONS, extension_folder

from .findings import by_subject, only


@pytest.mark.parametrize("value", [None, "", "/my/trainers"])
def test_our_folder_is_not_searched(healthy, value):
    healthy[EXTENSIONS] = value
    if value is None:
        del healthy[EXTENSIONS]
    finding = only(trainer_lookup.check_trainers(healthy), "broken")
    assert finding.subject == EXTENSIONS
    assert "nnunet-plugins env" in finding.fix


FOUND = {
    "module": "nnunet_plugins.training.trainers",
    "file": str(extension_folder().parent / "trainers" / "mag.py"),
    "same": True,
}


@pytest.mark.parametrize(
    ("change", "level"),
    [
        ({}, "ok"),
        ({"module": "their_trainers", "file": "/theirs/their_trainers.py"}, "broken"),
        ({"file": "/other/nnunet_plugins/trainers/mag.py"}, "broken"),
        ({"same": False}, "broken"),
    ],
)
def test_the_class_must_be_ours_and_unique(probed, healthy, change, level):
    probed(trainer_lookup, {**FOUND, **change})
    assert by_subject(trainer_lookup.check_trainers(healthy))["trainers"].level == level


def test_a_failing_look_up(healthy, monkeypatch):
    monkeypatch.setattr(trainer_lookup, "probe", lambda *_: (None, "ImportError: no timm"))
    finding = only(trainer_lookup.check_trainers(healthy), "broken")
    assert "MAGUNetTrainer: ImportError: no timm" in finding.detail


def test_a_folder_that_does_not_exist(probed, healthy):
    probed(trainer_lookup, FOUND)
    healthy[EXTENSIONS] = os.pathsep.join(["/gone", healthy[EXTENSIONS]])
    assert "/gone" in only(trainer_lookup.check_trainers(healthy), "warning").detail
