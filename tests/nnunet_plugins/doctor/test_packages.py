"""nnU-Net's version, and other packages with our names."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from nnunet_plugins.doctor import packages

from .findings import only


@pytest.mark.parametrize(
    ("found", "level"),
    [("2.8.1", "ok"), ("2.8.12", "ok"), ("2.8.0", "broken"), ("2.9", "broken"), ("2.10", "broken")],
)
def test_supported_versions_of_nnunet(monkeypatch, found, level):
    monkeypatch.setattr(packages, "installed_version", lambda name: found)
    (finding,) = packages.check_nnunet_version({})
    assert finding.level == level
    assert level == "ok" or "pip install 'nnunetv2>=2.8.1,<2.9'" in finding.fix


def test_nnunet_is_not_installed(monkeypatch):
    monkeypatch.setattr(packages, "installed_version", lambda name: None)
    assert only(packages.check_nnunet_version({}), "broken").detail == "is not installed"


def test_another_package_with_our_name(monkeypatch, tmp_path):
    other = ModuleType("architectures")
    other.__file__ = str(tmp_path / "architectures.py")
    monkeypatch.setitem(sys.modules, "architectures", other)
    finding = only(packages.check_name_clash({}), "broken")
    assert finding.subject == "architectures"
    assert str(tmp_path / "architectures.py") in finding.detail


def test_our_package_cannot_be_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "dataset_conversion", None)
    assert "cannot be imported" in only(packages.check_name_clash({}), "broken").detail
