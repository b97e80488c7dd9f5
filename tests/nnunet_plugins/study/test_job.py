"""One job: its state, log and record; what a second attempt does."""

from __future__ import annotations

import json
import sys

import pytest

from nnunet_plugins.errors import UserError
from nnunet_plugins.logged_commands import tail
from nnunet_plugins.study import job as jobs
from nnunet_plugins.study.finished import discard_damaged, is_finished
from nnunet_plugins.study.folder import JOBS, PLANS, Study
from nnunet_plugins.study.gpus import own_gpus
from nnunet_plugins.study.job import run_job
from nnunet_plugins.study.jobs import jobs_of
from nnunet_plugins.study.listing import dry_run_text, status_text
from nnunet_plugins.study.locks import alone
from nnunet_plugins.study.status import status_of
from nnunet_plugins.study.steps import commands_of
from tests.nnunet_plugins.study.studies import stubbed

TRAINING = "unet_seed0_fold0"
RECORD = {"seconds": 1.0, "seconds_before": 0.0, "host": "here"}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study whose rows are planned, and whose training is a stub that leaves nnU-Net's last files."""
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    (tmp_path / "raw" / "Dataset660_One").mkdir(parents=True)
    study = stubbed(tmp_path / "study")
    row = {"configuration": "3d_fullres_unet_seed0", "trainer": "UNetTrainer", "digest": "abc"}
    rows = study.folder / "records" / "rows" / "plans.json"
    rows.parent.mkdir(parents=True)
    rows.write_text(json.dumps(RECORD | {"rows": {"unet_seed0": row, "se_seed0": row}}))
    plans = {"configurations": {row["configuration"]: {"training": {"epochs": 10}}}}
    study.plans.parent.mkdir(parents=True)
    study.plans.write_text(json.dumps(plans))
    next_run(study)
    return study


def next_run(study, name="first"):
    (study.folder / JOBS).write_text(json.dumps({"run": name, "raw": str(study.raw_root)}))


def training(study):
    return next(job for job in jobs_of(study.settings) if job.name == TRAINING)


def does(monkeypatch, code):
    monkeypatch.setattr(jobs, "commands_of", lambda *_: [[sys.executable, "-c", code]])


def leaves_results(study):
    fold = study.fold(training(study))
    return (
        f"import zipfile; from pathlib import Path; fold = Path({str(fold)!r}); "
        "(fold / 'validation').mkdir(parents=True); "
        "zipfile.ZipFile(fold / 'checkpoint_final.pth', 'w').close(); "
        "(fold / 'validation' / 'summary.json').write_text('{}'); print('said')"
    )


def state(study, job=None):
    return status_of(study)[[j.name for j in jobs_of(study.settings)].index(job or TRAINING)]


def test_the_record_holds_what_is_needed_to_believe_it(study, monkeypatch):
    does(monkeypatch, leaves_results(study))
    run_job(study.folder, "train", TRAINING)
    record = json.loads((study.folder / training(study).record).read_text())
    assert (record["row"], record["seed"], record["folds"], record["attempts"]) == (
        "unet",
        0,
        [0],
        1,
    )
    assert record["digest"] == "abc"
    assert record["host"]
    assert record["versions"]["nnunetv2"]
    assert record["commands"][0][0] == sys.executable
    assert record["variables"]["nnUNet_results"].startswith(str(study.folder))
    assert "said" in study.log(training(study)).read_text()
    assert state(study).state == "done"
    run_job(study.folder, "train", TRAINING)  # nothing: the record exists
    assert study.log(training(study)).read_text().splitlines().count("said") == 1


def test_a_failure_is_named_shown_and_not_repeated_in_the_same_run(study, monkeypatch):
    does(monkeypatch, "import sys; print('CUDA out of memory'); sys.exit(1)")
    with pytest.raises(
        UserError, match=r"(?s)ended with status 1; its log .*\nCUDA out of memory$"
    ):
        run_job(study.folder, "train", TRAINING)
    shown = state(study)
    assert (shown.state, shown.end_of_log.splitlines()[-1]) == ("failed", "CUDA out of memory")
    text = status_text(study)
    assert "1 failed" in text
    assert "    CUDA out of memory" in text
    does(monkeypatch, leaves_results(study))
    with pytest.raises(UserError, match=r"failed already: .* ended with status 1"):
        run_job(study.folder, "train", TRAINING)  # a resubmission by the engine
    next_run(study, "second")
    run_job(study.folder, "train", TRAINING)
    assert json.loads((study.folder / training(study).record).read_text())["attempts"] == 2


def test_an_interrupted_job_goes_on_in_the_same_run(study, monkeypatch):
    def interrupted(*_):
        raise SystemExit(143)

    monkeypatch.setattr(jobs, "commands_of", interrupted)
    with pytest.raises(SystemExit):
        run_job(study.folder, "train", TRAINING)
    assert state(study).state == "interrupted"
    does(monkeypatch, leaves_results(study))
    run_job(study.folder, "train", TRAINING)
    assert state(study).state == "done"


def test_a_training_that_ended_before_it_was_killed_is_not_repeated(study, monkeypatch):
    does(monkeypatch, leaves_results(study))
    run_job(study.folder, "train", TRAINING)
    (study.folder / training(study).record).unlink()
    does(monkeypatch, "raise RuntimeError('trained twice')")
    run_job(study.folder, "train", TRAINING)
    record = json.loads((study.folder / training(study).record).read_text())
    assert "had ended before" in record["note"]


def test_a_command_that_leaves_nothing_has_failed(study, monkeypatch):
    does(monkeypatch, "pass")
    with pytest.raises(UserError, match=r"ended without its results"):
        run_job(study.folder, "train", TRAINING)
    assert not (study.folder / training(study).record).exists()


def test_a_job_that_runs_elsewhere_is_not_started(study, monkeypatch):
    monkeypatch.setattr(jobs, "PATIENCE", 0.0)
    (study.folder / "state" / "train").mkdir(parents=True)
    lock = study.state(training(study)).with_suffix(".lock")
    running = {"status": "running", "host": "here", "started": "now"}
    study.state(training(study)).write_text(json.dumps(running))
    with alone(lock, "the other"):
        assert state(study).state == "running"
        with pytest.raises(UserError, match=rf"train/{TRAINING} is running already"):
            run_job(study.folder, "train", TRAINING)
    assert state(study).state == "interrupted"


def test_an_unknown_job(study):
    with pytest.raises(UserError, match=r"no job train/other; study.yaml may have changed"):
        run_job(study.folder, "train", "other")


def test_a_checkpoint_that_was_cut_off_is_removed_and_a_whole_one_stays(study, monkeypatch):
    import torch

    fold = study.fold(training(study))
    fold.mkdir(parents=True)
    torch.save({"weights": torch.zeros(1000)}, fold / "checkpoint_best.pth")
    whole = (fold / "checkpoint_best.pth").read_bytes()
    (fold / "checkpoint_latest.pth").write_bytes(whole[: len(whole) // 2])
    discard_damaged(study, training(study))
    assert [file.name for file in fold.iterdir()] == ["checkpoint_best.pth"]


def test_commands_are_nnunets_and_our_own_by_absolute_path(study):
    (train,) = commands_of(study, training(study))
    assert train[0].startswith("/")
    assert train[1:] == [
        *("Dataset660_One", "3d_fullres_unet_seed0", "0", "-p", PLANS, "-tr", "UNetTrainer"),
        *("-device", "cpu", "--c"),
    ]
    planning = next(job for job in jobs_of(study.settings) if job.kind == "plan")
    assert commands_of(study, planning) == []  # made already
    study.plans.unlink()
    plan = commands_of(study, planning)[0]
    assert plan[1:5] == ["-m", "nnunet_plugins", "plan", "660"]
    score = next(j for j in jobs_of(study.settings) if j.kind == "score")
    (evaluate,) = commands_of(study, score)
    assert evaluate[4].endswith(f"UNetTrainer__{PLANS}__3d_fullres_unet_seed0/fold_0/validation")
    assert not is_finished(study, score)


def test_several_gpus_train_with_ddp(study):
    file = study.folder / "study.yaml"
    text = file.read_text().replace('device: "cpu"', 'device: "cuda"').replace("gpus: 0", "gpus: 2")
    file.write_text(text)
    (train,) = commands_of(Study.read(study.folder), training(study))
    assert train[train.index("-num_gpus") + 1] == "2"


def test_hours_are_those_of_measured_epochs_of_the_row(study):
    fold = study.fold(training(study))
    fold.mkdir(parents=True)
    lines = [f"2026-01-01 00:00:0{i}: {text}" for i, text in enumerate(
        ["", "Epoch 0", "Epoch time: 360.0 s", "", "Epoch 1", "Epoch time: 360.0 s"])]  # fmt: skip
    (fold / "training_log_2026.txt").write_text("\n".join(lines))
    text = dry_run_text(study)
    line = next(one for one in text.splitlines() if one.startswith("unet"))
    # 10 epochs of fold 0 with 2 done, 10 epochs of fold 1, 0.1 h each
    assert line.split()[:4] == ["unet", "2", "18", "1.80"]
    assert "measured here" in line


def test_before_the_plans_the_hours_are_not_known(study):
    (study.folder / "records" / "rows" / "plans.json").unlink()
    text = " ".join(dry_run_text(study).split())
    assert "Hours of 4 trainings are not known: plan first, which needs no GPU" in text
    assert text.startswith("jobs left GPUs CPUs memory limit")


def test_the_tail_of_a_log(tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("1\n\n2\rprogress\n3\n")
    assert tail(log, 2) == "progress\n3"
    assert tail(tmp_path / "none") == ""


def test_jobs_on_one_machine_take_different_gpus_and_share_when_there_are_none(study, monkeypatch):
    file = study.folder / "study.yaml"
    text = file.read_text().replace('device: "cpu"', 'device: "cuda"').replace("gpus: 0", "gpus: 1")
    file.write_text(text)
    study = Study.read(study.folder)
    for name in ("SLURM_JOB_ID", "LSB_JOBID", "PBS_JOBID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    first, second, *_ = (job for job in jobs_of(study.settings) if job.kind == "train")
    with own_gpus(study, first) as (one, locks), own_gpus(study, second) as (two, _):
        assert (one, two) == ({"CUDA_VISIBLE_DEVICES": "4"}, {"CUDA_VISIBLE_DEVICES": "6"})
        assert len(locks) == 1
        with own_gpus(study, first) as (third, none):
            assert (third, none) == ({"CUDA_VISIBLE_DEVICES": "6"}, [])
    with own_gpus(study, second) as (again, _):
        assert again == {"CUDA_VISIBLE_DEVICES": "4"}
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with own_gpus(study, first) as (assigned, _):
        assert assigned == {}
