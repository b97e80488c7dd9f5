"""The jobs of a study on SLURM: with stubs of its commands, and on a real cluster of one node."""

from __future__ import annotations

import os

import pytest

from nnunet_plugins.study.folder import Study
from nnunet_plugins.study.jobs import jobs_of
from tests.nnunet_plugins.study.slurm import OFTEN, real_slurm, slurm_plugin_or_skip, stubs
from tests.nnunet_plugins.study.studies import repeated, start, stubbed

pytestmark = pytest.mark.integration


def for_gpus(folder):
    """The stubbed study with a GPU per training, 12 GB and 30 minutes."""
    stubbed(folder, folds=1)
    file = folder / "study.yaml"
    text = file.read_text().replace('device: "cpu"', 'device: "cuda"').replace("gpus: 0", "gpus: 1")
    text = text.replace("memory_gb: 8.0", "memory_gb: 12").replace("hours: 48.0", "hours: 0.5")
    file.write_text(text)
    return Study.read(folder)


def test_jobs_are_submitted_with_their_resources(tmp_path):
    slurm_plugin_or_skip()
    study, folder = for_gpus(tmp_path / "study"), stubs(tmp_path / "slurm")
    process = start(study, "slurm", "--slurm-no-account", *OFTEN,
                    PATH=f"{folder}:{os.environ['PATH']}")  # fmt: skip
    output = process.communicate(timeout=400)[0]
    assert process.returncode == 0, output
    assert all((study.folder / job.record).is_file() for job in jobs_of(study.settings))
    assert repeated(study) == []
    calls = (folder / "calls.txt").read_text().splitlines()
    assert len(calls) == len(jobs_of(study.settings))
    for kind, gpus in (("train", True), ("score", False)):
        found = [call for call in calls if f"rule_{kind}" in call]
        assert len(found) == 2
        for call in found:
            assert ("--gpus=1" in call) is gpus
            assert "--mem 12000" in call
            assert "-t 30" in call


def test_a_real_slurm_runs_the_study(tmp_path):
    slurm_plugin_or_skip()
    study = stubbed(tmp_path / "study", folds=1)
    with real_slurm(tmp_path / "slurm") as environ:
        # Without a database, only squeue knows the jobs.
        asked = ("--slurm-no-account", "--slurm-status-command", "squeue", *OFTEN)
        process = start(study, "slurm", *asked, **environ)
        output = process.communicate(timeout=500)[0]
        assert process.returncode == 0, output
    assert all((study.folder / job.record).is_file() for job in jobs_of(study.settings))
    assert repeated(study) == []
