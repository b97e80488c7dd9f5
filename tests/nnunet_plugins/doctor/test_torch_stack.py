"""torch and its companions, the GPU, the compiler."""

from __future__ import annotations

import pytest

from nnunet_plugins.doctor import torch_stack

from .findings import by_subject, only

TORCH = {
    "torch": "2.9.0",
    "cuda": "13.0",
    "gpu": "",
    "mps": False,
    "torchvision": {"version": "0.24.0", "error": ""},
    "timm": {"version": "1.0.22", "error": ""},
}


def test_a_torchvision_that_does_not_match_torch(healthy, tmp_path, monkeypatch):
    """A stand-in raises the error of the real package, which would need another torch."""
    fake = tmp_path / "site" / "torchvision"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    monkeypatch.syspath_prepend(str(fake.parent))
    found = by_subject(torch_stack.check_torch(healthy))
    assert found["torchvision"].level == "broken"
    assert "operator torchvision::nms does not exist" in found["torchvision"].detail
    assert "https://download.pytorch.org/whl/cpu" in found["torchvision"].fix


def test_a_torch_that_crashes_is_a_finding(healthy, tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "torch.py").write_text("import os; os.abort()")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    finding = only(torch_stack.check_torch(healthy), "broken")
    assert finding.subject == "torch"


def test_no_gpu_is_a_warning_with_the_consequence(probed, healthy):
    probed(torch_stack, TORCH)
    finding = only(torch_stack.check_torch(healthy), "warning")
    assert "100 times slower" in finding.detail
    assert "--preset cpu" in finding.fix


@pytest.mark.parametrize("value", [None, "active"])
def test_spinning_threads_on_a_cpu(probed, healthy, value):
    probed(torch_stack, TORCH)
    healthy.pop("OMP_WAIT_POLICY")
    if value:
        healthy["OMP_WAIT_POLICY"] = value
    finding = by_subject(torch_stack.check_torch(healthy))["OMP_WAIT_POLICY"]
    assert finding.level == "warning"
    assert finding.fix == "export OMP_WAIT_POLICY=passive"


def test_an_apple_gpu_needs_no_settings(probed, healthy):
    probed(torch_stack, {**TORCH, "mps": True})
    healthy.pop("OMP_WAIT_POLICY")
    assert {finding.level for finding in torch_stack.check_torch(healthy)} == {"ok"}


@pytest.mark.parametrize("value", ["t", "True", "1", None])
def test_compiling_without_a_compiler(probed, healthy, tmp_path, value):
    probed(torch_stack, {**TORCH, "gpu": "NVIDIA H200"})
    healthy |= {"PATH": str(tmp_path), "nnUNet_compile": value}
    if value is None:
        del healthy["nnUNet_compile"]
    finding = only(torch_stack.check_torch(healthy), "broken")
    assert finding.subject == "nnUNet_compile"
    assert "nnUNet_compile=f" in finding.fix


@pytest.mark.parametrize("with_compiler", [True, False])
def test_compiling_works_or_is_off(probed, healthy, tmp_path, with_compiler):
    probed(torch_stack, {**TORCH, "gpu": "NVIDIA H200"})
    healthy["PATH"] = str(tmp_path)
    if with_compiler:
        (tmp_path / "gcc").write_text("#!/bin/sh\n")
        (tmp_path / "gcc").chmod(0o755)
        healthy["nnUNet_compile"] = "t"
    assert {finding.level for finding in torch_stack.check_torch(healthy)} == {"ok"}
