"""nnU-Net's own tests pass with our trainers in nnUNet_extTrainer."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from nnunet_plugins.environment import variables


@pytest.mark.integration
def test_nnunets_own_tests_pass_with_our_trainers(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "nnunetv2.tests"],
        cwd=tmp_path,
        env=os.environ | variables(tmp_path, cpu=True, environ={}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
    assert "failed" not in done.stdout
