"""`-tr NAME`: nnU-Net finds our trainers through nnUNet_extTrainer, and no other class has the same name.

nnunet_ext/, `nnunet-plugins env` and every checkpoint, which stores the bare name, rely on this.
"""

from __future__ import annotations

import ast
import importlib
import os
import pickle
import pkgutil
import sys
from pathlib import Path

import dynamic_network_architectures
import nnunetv2
import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name as look_up

from nnunet_plugins.environment import EXTENSIONS, extension_folder
from nnunet_plugins.networks import NETWORKS
from nnunet_plugins.training.trainer import PluginTrainer
from nnunet_plugins.training.trainers import TRAINERS

OURS = str(extension_folder())


@pytest.fixture(autouse=True)
def _ours(monkeypatch):
    monkeypatch.setenv(EXTENSIONS, OURS)


@pytest.mark.parametrize("name", TRAINERS)
def test_the_look_up_returns_the_same_class_on_every_call(name):
    assert look_up(name) is TRAINERS[name]
    assert look_up(name) is TRAINERS[name]


@pytest.mark.parametrize("name", TRAINERS)
def test_a_class_that_was_looked_up_can_be_pickled(name):
    # Worker processes of training and prediction are spawned: classes are passed to them by name.
    assert pickle.loads(pickle.dumps(look_up(name))) is TRAINERS[name]


@pytest.mark.parametrize("name", TRAINERS)
def test_a_trainer_derives_from_nnunets_and_ours(name):
    assert issubclass(look_up(name), nnUNetTrainer)
    assert issubclass(look_up(name), PluginTrainer)


def test_the_searched_folder_exports_every_trainer_and_nothing_else():
    modules = [info.name for info in pkgutil.iter_modules([OURS])]
    assert modules == ["nnunet_plugins_trainers"]
    exported = importlib.import_module("nnunet_plugins.nnunet_ext.nnunet_plugins_trainers")
    classes = {name: c for name, c in vars(exported).items() if isinstance(c, type)}
    assert classes == TRAINERS


def test_the_look_up_unloads_the_searched_folder_but_none_of_our_modules():
    # If nnunet_plugins itself were purged, isinstance and pickling would fail.
    before = {name: m for name, m in sys.modules.items() if name.startswith("nnunet_plugins.")}
    look_up("MAGUNetTrainer")
    assert "nnunet_plugins_trainers" not in sys.modules
    assert {name: sys.modules.get(name) for name in before} == before
    assert OURS not in sys.path


@pytest.fixture
def theirs(tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "their_module.py").write_text(
        "from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer\n"
        "class TheirTrainer(nnUNetTrainer):\n    pass\n"
    )
    return str(folder)


@pytest.mark.parametrize(
    "order", ["theirs ours", "ours theirs", "missing ours theirs", "ours missing theirs"]
)
def test_a_users_own_trainers_work_alongside_ours(monkeypatch, theirs, tmp_path, order):
    paths = {"ours": OURS, "theirs": theirs, "missing": str(tmp_path / "missing")}
    monkeypatch.setenv(EXTENSIONS, os.pathsep.join(paths[word] for word in order.split()))
    assert look_up("TheirTrainer").__module__ == "their_module"
    assert look_up("MAGUNetTrainer") is TRAINERS["MAGUNetTrainer"]
    assert look_up("TheirTrainer").__name__ == "TheirTrainer"


def test_without_our_folder_nnunet_names_the_variable(monkeypatch):
    # The doctor's advice and the README refer to this variable.
    monkeypatch.delenv(EXTENSIONS)
    with pytest.raises(RuntimeError, match="nnUNet_extTrainer"):
        look_up("MAGUNetTrainer")


@pytest.fixture(scope="module")
def foreign():
    """Name -> file of every class that nnU-Net and dynamic-network-architectures define."""
    names = {}
    for package in (nnunetv2, dynamic_network_architectures):
        for file in Path(package.__path__[0]).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    names[node.name] = file
    return names


def test_the_collected_classes_of_nnunet_include_known_ones(foreign):
    assert {"nnUNetTrainer", "nnUNetTrainerNoMirroring", "PlainConvUNet"} <= set(foreign)


@pytest.mark.parametrize("name", [*TRAINERS, *NETWORKS])
def test_no_class_of_nnunet_has_the_name_of_our_trainers_or_networks(name, foreign):
    # A built-in trainer takes precedence over ours; a network of that name would silently replace ours.
    assert name not in foreign, f"{foreign.get(name)} also defines {name}"
