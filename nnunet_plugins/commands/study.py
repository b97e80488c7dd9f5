"""Run a whole study: rows x folds x seeds under one budget, with Snakemake, here or on a cluster."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare init, run and status."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_init(
        actions.add_parser("init", help="write study.yaml", description="Write DIR/study.yaml.")
    )
    run = actions.add_parser(
        "run",
        help="run what is left of a study",
        description="Run the jobs of a study that are left. Arguments after -- go to snakemake.",
    )
    run.add_argument("folder", metavar="DIR", type=Path)
    run.add_argument(
        "--executor",
        metavar="NAME",
        default="local",
        help="local (default), or an installed executor plugin of Snakemake, e.g. slurm",
    )
    run.add_argument(
        "--jobs", metavar="N", type=int, default=1, help="jobs at a time (default: %(default)s)"
    )
    run.add_argument("--until", metavar="KIND", help="stop after jobs of this kind, e.g. plan")
    run.add_argument("--dry-run", action="store_true", help="list the jobs, run nothing")
    run.add_argument("snakemake", nargs="*", metavar="-- ARGUMENT", help="arguments of snakemake")
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
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--networks", nargs="+", metavar="NAME", help="one row per network")
    what.add_argument("--table", metavar="T", help="the rows of a paper's table, e.g. 001.4")
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="only these rows of the table")
    parser.add_argument("-c", dest="configuration", metavar="CONFIGURATION")
    parser.add_argument("--folds", nargs="+", metavar="F", default=["0", "1", "2", "3", "4"])
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N", default=[0])
    parser.add_argument("--epochs", type=int, metavar="N")
    parser.add_argument("--iterations", type=int, metavar="N", help="per epoch")
    parser.add_argument("--preset", metavar="NAME", help="of plan: cpu, M, L, XL")
    parser.add_argument("--gpu-memory", type=float, metavar="GB")
    parser.add_argument("--metrics", nargs="+", metavar="NAME")
    parser.add_argument("--groups", metavar="FILE.csv", help="cases and their patients")
    parser.add_argument("-device", choices=("cuda", "cpu", "mps"))
    parser.add_argument("--cpus", type=int, metavar="N", help="cores per job")
    parser.add_argument("--force", action="store_true", help="overwrite study.yaml")


def run(arguments: argparse.Namespace) -> int:
    """Run the action."""
    actions = {"init": _init, "run": _run, "status": _status, "job": _job}
    return actions[arguments.action](arguments)


def _init(arguments: argparse.Namespace) -> int:
    from nnunet_plugins.study.init import write_study

    folds: list[Any] = [int(fold) if fold.isdecimal() else fold for fold in arguments.folds]
    device = arguments.device or ("cpu" if arguments.preset == "cpu" else "cuda")
    cpus = arguments.cpus or (1 if device == "cpu" else 8)
    from nnunet_plugins.papers.library import find_table

    table = find_table(arguments.table) if arguments.table else None
    rows = arguments.networks or arguments.rows or [row.key for row in (table.rows if table else ())]
    content = {
        "data": {"dataset": arguments.dataset, "groups": arguments.groups},
        "table": table.id if table else None,
        "rows": rows,
        "configuration": arguments.configuration
        or (table.configuration if table else "3d_fullres"),
        "budget": {
            "network": table.network if table else "ModularUNet",
            "preset": arguments.preset,
            "gpu_memory": arguments.gpu_memory,
            "epochs": arguments.epochs,
            "iterations": arguments.iterations,
        },
        "folds": folds,
        "seeds": arguments.seeds,
        "extra_runs": [],
        "test": False,
        "metrics": arguments.metrics or ["dice", "hd95_mm"],
        "resources": {"device": device, "gpus": 1 if device == "cuda" else 0, "cpus": cpus},
    }
    write_study(arguments.folder, content, force=arguments.force)
    print(f"written: {arguments.folder / 'study.yaml'}")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from nnunet_plugins.study.engine import run_study
    from nnunet_plugins.study.folder import Study

    study = Study.read(arguments.folder)
    status = run_study(
        study,
        executor=arguments.executor,
        jobs=arguments.jobs,
        until=arguments.until,
        dry_run=arguments.dry_run,
        more=arguments.snakemake,
    )
    if not arguments.dry_run:
        _status(argparse.Namespace(folder=arguments.folder, all=False))
    return 1 if status else 0


def _status(arguments: argparse.Namespace) -> int:
    from collections import Counter

    from nnunet_plugins.study.folder import Study
    from nnunet_plugins.study.status import STATES, status_of
    from nnunet_plugins.text_table import columns

    found = status_of(Study.read(arguments.folder))
    counted = Counter(one.state for one in found)
    print(", ".join(f"{counted[state]} {state}" for state in STATES if counted[state]))
    shown = [one for one in found if arguments.all or one.state not in ("done", "waiting")]
    if shown:
        print(columns([(f"{s.job.kind}/{s.job.name}", s.state, s.detail) for s in shown]))
    for one in found:
        if one.end_of_log:
            print(f"\n{one.job.kind}/{one.job.name}, end of the log:\n{one.end_of_log}")
    return 1 if counted["failed"] else 0


def _job(arguments: argparse.Namespace) -> int:
    from nnunet_plugins.study.job import run_job

    run_job(arguments.folder, arguments.kind, arguments.name)
    return 0
