"""Plan and preprocess a dataset for one of our networks."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``nnunet-plugins plan``; those that nnU-Net has are called as there."""
    parser.add_argument("dataset", help="dataset id or name, in nnUNet_raw")
    parser.add_argument("--network", required=True, help="see `nnunet-plugins networks`")
    parser.add_argument(
        "-p",
        dest="plans_name",
        metavar="NAME",
        help="name of the plans (default: from the network)",
    )
    parser.add_argument(
        "-c",
        dest="configurations",
        nargs="+",
        metavar="CONFIGURATION",
        default=["2d", "3d_fullres", "3d_lowres"],
        help="configurations to preprocess",
    )
    parser.add_argument(
        "-np", dest="processes", type=int, metavar="N", help="worker processes (default: nnU-Net's)"
    )
    parser.add_argument("--gpu-memory", type=float, metavar="GB", help="memory target (default: 8)")
    parser.add_argument("--batch-size", type=int, metavar="N", help="fix the batch size")
    parser.add_argument(
        "--preset", help="cpu: a small plan for trying things without a card, not for results"
    )
    parser.add_argument(
        "--recipe",
        choices=("native", "paper"),
        default="native",
        help="training procedure: nnU-Net's or the paper's",
    )
    parser.add_argument("--force", action="store_true", help="write over plans of the same name")
    procedure = parser.add_argument_group("training procedure (written into the plans)")
    procedure.add_argument("--epochs", type=int, metavar="N")
    procedure.add_argument(
        "--iterations", dest="iterations_per_epoch", type=int, metavar="N", help="per epoch"
    )
    procedure.add_argument("--initial-lr", type=float, metavar="LR")
    procedure.add_argument("--weight-decay", type=float, metavar="W")
    procedure.add_argument("--optimizer", metavar="NAME", help="SGD, Adam or AdamW")
    procedure.add_argument(
        "--training",
        metavar="JSON",
        default="{}",
        help="any further key, as JSON, e.g. '{\"mirror_axes\": [0]}'",
    )


def run(arguments: argparse.Namespace) -> int:
    """Plan, preprocess, and say what to type next."""
    import json
    import os

    from nnunet_plugins.errors import UserError
    from nnunet_plugins.planners.planning import Request, plan
    from nnunet_plugins.planners.presets import PRESETS

    try:
        training = json.loads(arguments.training)
    except json.JSONDecodeError as error:
        raise UserError(f"--training: not JSON ({error}); e.g. '{{\"epochs\": 50}}'") from error
    if not isinstance(training, dict):
        raise UserError(
            f"--training {arguments.training}: an object is wanted, e.g. '{{\"epochs\": 50}}'"
        )
    for key in ("epochs", "iterations_per_epoch", "initial_lr", "weight_decay", "optimizer"):
        if getattr(arguments, key) is not None:
            training[key] = getattr(arguments, key)
    request = Request(
        dataset=arguments.dataset,
        network=arguments.network,
        plans_name=arguments.plans_name,
        recipe=arguments.recipe,
        preset=arguments.preset,
        gpu_memory=arguments.gpu_memory,
        batch_size=arguments.batch_size,
        training=training,
        configurations=tuple(arguments.configurations),
        processes=arguments.processes or int(os.environ.get("nnUNet_def_n_proc", 8)),
        force=arguments.force,
    )
    target = plan(request)
    print(f"\nplans: {target}")
    if arguments.preset:
        print(PRESETS[arguments.preset].note)
    print(
        "train: nnUNetv2_train "
        f"{arguments.dataset} {request.configurations[-1] if len(request.configurations) == 1 else '3d_fullres'} 0 "
        f"-p {request.name()} -tr MAGUNetTrainer   # any trainer of ours builds the plans' network"
    )
    return 0
