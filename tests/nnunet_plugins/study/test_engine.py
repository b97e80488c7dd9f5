"""Snakemake with jobs that are stubs: what runs, what is repeated, what is refused."""

from __future__ import annotations

import json
import os
import random
import sys
import time

import pytest

from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.study import engine
from nnunet_plugins.study.engine import run_study
from nnunet_plugins.study.folder import Study
from nnunet_plugins.study.jobs import jobs_of
from nnunet_plugins.study.locks import alone
from nnunet_plugins.study.planned import described_rows
from tests.nnunet_plugins.study.studies import (
    events,
    kill,
    repeated,
    snakemake_or_skip,
    start,
    stubbed,
)


def finished(study):
    return all((study.folder / job.record).is_file() for job in jobs_of(study.settings))


def ended_well(process):
    output = process.communicate()[0]
    assert process.returncode == 0, output


def edited(study, old, new):
    file = study.folder / "study.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return Study.read(study.folder)


@pytest.mark.integration
def test_killed_at_ten_random_moments_no_job_that_ended_runs_again(tmp_path):
    snakemake_or_skip()
    study = stubbed(tmp_path / "a study", folds=4)
    moments = random.Random(4)
    for _ in range(10):
        process = start(study)
        time.sleep(moments.uniform(2, 9))
        kill(process)
    process = start(study)
    ended_well(process)
    assert finished(study)
    assert repeated(study) == []


@pytest.mark.integration
def test_a_failed_job_stops_what_needs_it_and_nothing_else(tmp_path):
    snakemake_or_skip()
    study = stubbed(tmp_path)
    process = start(study, STUB_FAILS="unet_seed0_fold1")
    process.communicate()
    assert process.returncode
    ended = {job for word, job in events(study) if word == "end"}
    assert "score/unet_seed0_fold0" in ended
    assert not ended & {"train/unet_seed0_fold1", "score/unet_seed0_fold1", "compare/tables"}
    process = start(study)
    ended_well(process)
    assert finished(study)
    assert repeated(study) == []


@pytest.mark.integration
def test_a_row_that_is_added_repeats_no_training(tmp_path):
    snakemake_or_skip()
    study = stubbed(tmp_path, folds=1)
    edited(study, '  - "se"\n', "")
    stubbed_again = stubbed_rows(study)
    process = start(stubbed_again)
    ended_well(process)
    study = edited(stubbed_again, '  - "unet"\n', '  - "unet"\n  - "se"\n')
    stubbed_rows(study)
    process = start(study)
    ended_well(process)
    assert finished(study)
    again = [job for job in repeated(study) if not job.startswith(("rows", "compare"))]
    assert again == []


def stubbed_rows(study):
    """Let the stub of the rows write what study.yaml describes now."""
    study = Study.read(study.folder)
    file = study.folder / "described.json"
    content = json.loads(file.read_text())
    content["rows"]["described"] = described_rows(study.settings)
    file.write_text(json.dumps(content))
    return study


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """A study with the records of plans and rows, and an engine that runs nothing."""
    monkeypatch.setenv("nnUNet_raw", str(tmp_path))
    monkeypatch.setattr(engine, "find_snakemake", lambda: "snakemake")
    study = stubbed(tmp_path)
    described = study.folder / "described.json"
    content = json.loads(described.read_text())
    for kind, name in (("plan", "data"), ("rows", "plans")):
        file = study.folder / "records" / kind / f"{name}.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(content[kind]))
    return study


def test_two_runs_at_once_are_refused(planned, monkeypatch):
    monkeypatch.setattr(engine, "alone", lambda file, what: alone(file, what, 0.0))
    with (
        alone(planned.folder / "state" / "run.lock", "first"),
        pytest.raises(UserError, match=r"study run .* is running already \(.*, process \d+\)"),
    ):
        run_study(planned)


def test_the_lock_of_a_run_on_another_machine_is_not_broken(planned):
    locks = planned.folder / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.input.lock").write_text("")
    lock = planned.folder / "state" / "run.lock"
    lock.parent.mkdir()
    lock.write_text("node7, process 12")
    with pytest.raises(
        UserError, match=r"another machine \(node7, process 12\) .* remove the files"
    ):
        run_study(planned)


def test_a_changed_plan_is_refused_and_names_the_value(planned):
    study = edited(planned, 'preset: "cpu"', 'preset: "M"')
    with pytest.raises(UserError, match=r"budget is .*'M'.* were made with .*'cpu'.*new study"):
        run_study(study)


def test_other_rows_make_the_rows_again(planned, monkeypatch):
    commands = []
    monkeypatch.setattr(engine, "_run", lambda command, *_: commands.append(command) or 0)
    run_study(planned)
    assert len(commands) == 1
    run_study(edited(planned, "seeds: [0]", "seeds: [0, 1]"))
    assert not (planned.folder / "records" / "rows" / "plans.json").exists()
    assert commands[1][1] == "records/rows/plans.json"  # the plans before all trainings
    assert len(commands) == 3


def test_the_options_of_snakemake(planned, monkeypatch):
    commands = []
    monkeypatch.setattr(engine, "_run", lambda command, *_: commands.append(command) or 0)
    run_study(planned, jobs=3)
    run_study(planned, executor="slurm", jobs=20, until="train", more=["--dry-run"])
    local, cluster = (" ".join(command) for command in commands)
    for command in (local, cluster):
        assert "--rerun-triggers mtime input" in command
    assert "--cores 3 --resources gpu=3" in local
    assert "--until train" in cluster
    assert cluster.endswith("--executor slurm --jobs 20 --latency-wait 60 --dry-run")
    with pytest.raises(
        UserError, match=r"--until trian: allowed: plan, rows, train, score, compare"
    ):
        run_study(planned, until="trian")
    with pytest.raises(UserError, match=r"--jobs 0: expected 1 or more"):
        run_study(planned, jobs=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--until", "trian"], "--until trian: allowed: plan, "),
        (["--jobs", "0"], "--jobs 0: expected 1 or more"),
        (["--gpu", "H9000"], "H9000"),
    ],
)
def test_a_dry_run_checks_its_options_before_anything_is_planned(planned, capsys, options, message):
    assert main(["study", "run", str(planned.folder), "--dry-run", *options]) == 2
    assert message in capsys.readouterr().err


def test_a_row_without_network_is_named_before_anything_runs(planned):
    study = edited(planned, '  - "se"', '  - "SEUNett"')
    with pytest.raises(UserError, match=r"no row or network called 'SEUNett'.*: SEUNet, "):
        run_study(study)


def test_without_snakemake_the_command_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        UserError, match=r"pip install 'nnunet-plugins\[study\]', or in an environment"
    ):
        engine.find_snakemake()
    beside = tmp_path / "snakemake"
    beside.write_text("")
    assert engine.find_snakemake() == str(beside)


APPTAINER = """#!/bin/sh
echo "$@" >> "$0.calls"
if [ "$1" = --version ]; then echo "apptainer version 1.3.0"; exit; fi
while [ "${1%.sif}" = "$1" ]; do shift; done
shift
exec "$@"
"""


@pytest.mark.integration
def test_jobs_run_in_the_container_that_the_study_names(tmp_path):
    snakemake_or_skip()
    image = tmp_path / "image.sif"
    image.touch()
    study = edited(
        stubbed(tmp_path / "study", folds=1), "  cpus: 1", f'  cpus: 1\n  container: "{image}"'
    )
    program = tmp_path / "bin" / "apptainer"
    program.parent.mkdir()
    program.write_text(APPTAINER)
    # What the container has: our command, here the stub.
    ours = program.with_name("nnunet-plugins")
    ours.write_text(f'#!/bin/sh\nshift 3\nexec {sys.executable} stub.py "$@"\n')
    for file in (program, ours):
        file.chmod(0o755)
    ended_well(start(study, PATH=f"{program.parent}:{os.environ['PATH']}"))
    assert finished(study)
    calls = program.with_name("apptainer.calls").read_text().splitlines()
    jobs = [line for line in calls if "nnunet-plugins study job ." in line]
    assert len(jobs) == len(jobs_of(study.settings))
    assert all(f"--bind {study.folder}" in line and str(image) in line for line in jobs)
