"""Run a whole study: rows x folds x seeds under one budget, with Snakemake, here or on a cluster."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import fields
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare init, run and status."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_init(
        actions.add_parser("init", help="write study.yaml", description="Write DIR/study.yaml.")
    )
    run = actions.add_parser(
        "run",
        help="run what is left of a study",
        description="Run the jobs of a study that are left.",
    )
    run.add_argument("folder", metavar="DIR", type=Path)
    run.add_argument(
        "--executor", metavar="NAME", default="local",
        help="local (default), or an installed executor plugin of Snakemake, e.g. slurm",
    )  # fmt: skip
    run.add_argument(
        "--jobs", metavar="N", type=int, default=1, help="jobs at a time (default: %(default)s)"
    )
    run.add_argument("--until", metavar="KIND", help="stop after jobs of this kind, e.g. plan")
    run.add_argument(
        "--dry-run", action="store_true",
        help="list the jobs that are left with their resources and estimated hours; run nothing",
    )  # fmt: skip
    run.add_argument(
        "--gpu", metavar="NAME", help="GPU to estimate the hours of a dry run for, e.g. A100"
    )
    run.add_argument(
        "--snakemake", type=shlex.split, metavar="OPTIONS", default=[],
        help="options of snakemake as one text: --snakemake='--default-resources slurm_partition=gpu'",
    )  # fmt: skip
    status = actions.add_parser(
        "status",
        help="what is done, running, failed, left",
        description="Show where a study stands.",
    )
    status.add_argument("folder", metavar="DIR", type=Path)
    status.add_argument("--all", action="store_true", help="list every job")
    job = actions.add_parser("job", description="Do one job; the engine calls this.")
    job.add_argument("folder", metavar="DIR", type=Path)
    job.add_argument("kind")
    job.add_argument("name")


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of the study")
    parser.add_argument("--dataset", type=int, metavar="ID", help="dataset id in nnUNet_raw")
    parser.add_argument(
        "--source", metavar="FOLDER",
        help="convert this folder first, as `nnunet-plugins convert` does",
    )  # fmt: skip
    parser.add_argument(
        "--format", metavar="NAME",
        help="of the source, e.g. hospital-ct (default: that of the paper)",
    )  # fmt: skip
    parser.add_argument(
        "--paper", metavar="KEY",
        help="the experiment of a paper, e.g. silveira2025-inception-dual: its data, recipe, folds and the table "
        "that compares its network",
    )  # fmt: skip
    parser.add_argument("--networks", nargs="+", metavar="NAME", help="one row per network")
    parser.add_argument(
        "--table", metavar="T", help="the rows of a paper's table, e.g. yan2025-mag-unet.4"
    )
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="only these rows of the table")
    parser.add_argument(
        "--no-baselines", action="store_true",
        help="only the named rows; without it, nnU-Net's own networks nnUNetPlain and ResEncM come first",
    )  # fmt: skip
    parser.add_argument(
        "-c", dest="configuration", metavar="CONFIGURATION",
        help="default: the table's, or 3d_fullres",
    )  # fmt: skip
    parser.add_argument(
        "--folds", nargs="+", metavar="F", help="default: those of the paper, or 0 to 4"
    )
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N", default=[0], help="default: 0")
    parser.add_argument("--epochs", type=int, metavar="N", help="default: 1000, or the preset's")
    parser.add_argument("--iterations", type=int, metavar="N", help="per epoch")
    parser.add_argument("--preset", metavar="NAME", help="of plan: cpu, M, L, XL")
    parser.add_argument("--gpu-memory", type=float, metavar="GB", help="to plan for (default: 8)")
    parser.add_argument("--metrics", nargs="+", metavar="NAME", help="default: dice hd95_mm")
    parser.add_argument(
        "--groups", metavar="FILE.csv", help="cases and their patients, for data not converted here"
    )
    parser.add_argument(
        "--test", action="store_true", help="predict and score imagesTs with labelsTs as well"
    )
    parser.add_argument(
        "-device", choices=("cuda", "cpu", "mps"), help="default: cuda, or cpu with --preset cpu"
    )
    parser.add_argument("--cpus", type=int, metavar="N", help="cores per job")
    parser.add_argument("--force", action="store_true", help="overwrite study.yaml")
    parser.add_argument(
        "--convert", type=shlex.split, metavar="OPTIONS", default=[],
        help="further options of convert as one text: --convert='--labels labels.json'",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Run the action."""
    actions = {"init": _init, "run": _run, "status": _status, "job": _job}
    return actions[arguments.action](arguments)


def _init(arguments: argparse.Namespace) -> int:
    from nnunet_plugins.study.init import Choices, content_of, write_study

    values = {field.name: getattr(arguments, field.name) for field in fields(Choices)}
    write_study(arguments.folder, content_of(Choices(**values)), force=arguments.force)
    print(f"written  {arguments.folder / 'study.yaml'}")
    print(f"next     nnunet-plugins study run {arguments.folder} --dry-run")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from nnunet_plugins.study.engine import check_run, run_study
    from nnunet_plugins.study.folder import Study
    from nnunet_plugins.study.listing import dry_run_text, status_text

    study = Study.read(arguments.folder)
    if arguments.dry_run:
        check_run(study, arguments.jobs, arguments.until)
        print(dry_run_text(study, arguments.gpu))
        return 0
    status = run_study(
        study,
        executor=arguments.executor,
        jobs=arguments.jobs,
        until=arguments.until,
        more=arguments.snakemake,
    )
    print(f"\n{status_text(study)}")
    return 1 if status else 0


def _status(arguments: argparse.Namespace) -> int:
    from nnunet_plugins.study.folder import Study
    from nnunet_plugins.study.listing import status_text

    print(status_text(Study.read(arguments.folder), every=arguments.all))
    return 0


def _job(arguments: argparse.Namespace) -> int:
    from nnunet_plugins.study.job import run_job

    run_job(arguments.folder, arguments.kind, arguments.name)
    return 0
