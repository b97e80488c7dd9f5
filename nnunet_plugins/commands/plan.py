"""Plan and preprocess a dataset for one of our networks."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from nnunet_plugins.planners.request import Request

_LIMITS = (15, 24, 24, 31)  # characters of the columns of the recipe's table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``nnunet-plugins plan``; those of nnU-Net have the same names."""
    parser.add_argument("dataset", help="dataset id or name, in nnUNet_raw")
    parser.add_argument(
        "--network", required=True, metavar="NAME",
        help="e.g. MAGUNet; see `nnunet-plugins networks`",
    )  # fmt: skip
    parser.add_argument(
        "-p", dest="plans_name", metavar="NAME",
        help="name of the plans (default: from network, preset and recipe, e.g. MAGUNetPlans)",
    )  # fmt: skip
    parser.add_argument(
        "-c", dest="configurations", nargs="+", metavar="CONFIGURATION", default=["2d", "3d_fullres", "3d_lowres"],
        help="configurations to preprocess (default: 2d 3d_fullres 3d_lowres, as far as planned)",
    )  # fmt: skip
    parser.add_argument(
        "-np", dest="processes", type=int, metavar="N", help="worker processes (default: nnU-Net's)"
    )
    parser.add_argument(
        "--gpu-memory", type=float, metavar="GB", help="GPU memory to plan for (default: 8)"
    )
    parser.add_argument(
        "--batch-size", type=int, metavar="N", help="batch size (default: what fits the memory)"
    )
    parser.add_argument(
        "--preset", metavar="NAME",
        help="cpu: a small plan for trials without a GPU, not for results; M, L, XL: residual encoders for 8, 24, "
        "40 GB",
    )  # fmt: skip
    parser.add_argument(
        "--encoder", choices=("plain", "residual"), help="nnU-Net's U-Net or its residual encoder"
    )
    parser.add_argument(
        "--recipe", choices=("native", "paper", "printed"), default="native",
        help="the experiment: native for nnU-Net's (default); paper for that of the paper that proposes the network: "
        "topology, voxel size, patch, normalisation, augmentation, procedure; printed for that of its text, where "
        "the authors' code differs",
    )  # fmt: skip
    parser.add_argument(
        "--resampling", choices=("nnunet", "torch", "auto"), default="nnunet",
        help="functions that resample: nnU-Net's default; torch: nnU-Net's own with torch, faster and smaller; auto: "
        "torch for label maps and logits, where 99.9 %% of the labels agree (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--arch-kwargs", metavar="JSON", default="{}",
        help='further arguments of the network as JSON, e.g. \'{"size": "L"}\' for MedNeXt',
    )  # fmt: skip
    parser.add_argument("--verbose", action="store_true", help="show nnU-Net's output")
    parser.add_argument("--force", action="store_true", help="overwrite plans of the same name")
    procedure = parser.add_argument_group("training procedure (written into the plans)")
    procedure.add_argument("--epochs", type=int, metavar="N", help="default: 1000")
    procedure.add_argument(
        "--iterations", dest="iterations_per_epoch", type=int, metavar="N",
        help="per epoch (default: 250)",
    )  # fmt: skip
    procedure.add_argument("--initial-lr", type=float, metavar="LR", help="default: 0.01")
    procedure.add_argument("--weight-decay", type=float, metavar="W", help="default: 3e-5")
    procedure.add_argument("--optimizer", metavar="NAME", help="SGD (default), Adam or AdamW")
    procedure.add_argument(
        "--seed", type=int, metavar="N", help="repeatable training (default: none, as in nnU-Net)"
    )
    procedure.add_argument(
        "--pretrained", metavar="SOURCE",
        help="start with the weights of a model folder, checkpoint or zip, all but the heads, and take over its "
        "topology, patch and batch",
    )  # fmt: skip
    procedure.add_argument(
        "--trust", action="store_true",
        help="read a checkpoint of --pretrained that is more than plain data, which can run code of its author",
    )  # fmt: skip
    procedure.add_argument(
        "--training", metavar="JSON", default="{}",
        help="further keys as JSON, e.g. '{\"mirror_axes\": [0]}'",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Plan, preprocess, and print the command that trains."""
    from nnunet_plugins.api import plan
    from nnunet_plugins.networks import find
    from nnunet_plugins.nnunet_folders import folder_of
    from nnunet_plugins.planners.folds import advised_fold
    from nnunet_plugins.planners.planning import interrupted
    from nnunet_plugins.planners.presets import PRESETS
    from nnunet_plugins.planners.request import Request
    from nnunet_plugins.planners.resampling import in_words
    from nnunet_plugins.plans_file import read_object

    training = _object("--training", arguments.training, '{"epochs": 50}')
    if arguments.pretrained is not None:
        more = training.get("pretrained", {})
        training["pretrained"] = {
            **(more if isinstance(more, dict) else {}),
            "source": arguments.pretrained,
        }
    keys = ("epochs", "iterations_per_epoch", "initial_lr", "weight_decay", "optimizer", "seed")
    for key in keys:
        if getattr(arguments, key) is not None:
            training[key] = getattr(arguments, key)
    asked: dict[str, Any] = {
        "plans_name": arguments.plans_name,
        "recipe": arguments.recipe,
        "preset": arguments.preset,
        "gpu_memory": arguments.gpu_memory,
        "encoder": arguments.encoder,
        "batch_size": arguments.batch_size,
        "training": training,
        "trust": arguments.trust,
        "configurations": tuple(arguments.configurations),
        "force": arguments.force,
        "resampling": arguments.resampling,
    }
    options = _object("--arch-kwargs", arguments.arch_kwargs, '{"size": "L"}')
    request = Request(arguments.dataset, arguments.network, options=options, **asked)
    if interrupted(request):
        print(
            f"note   {request.name()}: an earlier run was interrupted; plans and preprocessed data are made again",
            file=sys.stderr,
        )
    target = plan(
        arguments.dataset,
        arguments.network,
        processes=arguments.processes,
        verbose=arguments.verbose,
        arch_kwargs=options,
        **asked,
    )
    plans = read_object(target)
    print(_table(plans))
    print(f"\nplans  {target}")
    for line in in_words(plans):
        print(f"note   {line}")
    if arguments.preset and PRESETS[arguments.preset].note:
        print(f"note   {PRESETS[arguments.preset].note}")
    ready = [c for c in request.configurations if c in plans["configurations"]]
    preferred = "3d_fullres"
    topology = request.topology()
    if topology:
        with_topology = [c for c in plans["configurations"] if c.startswith(f"{topology.rank}d")]
        others = sorted(set(plans["configurations"]) - set(with_topology))
        kept = f"; nnU-Net's topology in {', '.join(others)}" if others else ""
        print(f"note   topology of {topology.paper} in {', '.join(with_topology)}{kept}.")
        preferred = topology.configuration
    elif request.paper():
        fixed = PRESETS[arguments.preset].training if arguments.preset else {}
        print(
            "note   the topology is nnU-Net's, in the size of the preset, not the paper's"
            + (f"; the preset also sets {', '.join(fixed)}." if fixed else ".")
        )
    if request.paper():
        print(_recipe(request, plans, target.parent))
    if "pretrained" in training:
        started = next(p for p in plans["configurations"].values() if "training" in p)["training"]
        print(
            f"note   topology, patch and batch of {started['pretrained']['source']}, SHA-256 "
            f"{started['pretrained']['sha256'][:12]}..."
        )
    if 3 not in getattr(find(request.network), "ranks", (2, 3)):
        print(f"note   {request.network} is 2D only: no 3D configuration is planned.")
    fold, note = advised_fold(target.parent, folder_of("nnUNet_raw") / plans["dataset_name"])
    if note:
        print(f"note   {note}")
    print(
        f"train  nnUNetv2_train {int(plans['dataset_name'][7:10])} "
        f"{preferred if preferred in ready else ready[-1]} {fold} -p {request.name()} "
        f"-tr {request.network}Trainer{' -device cpu' if arguments.preset == 'cpu' else ''}"
    )
    return 0


def _object(option: str, text: str, example: str) -> dict[str, Any]:
    """The JSON object of an option."""
    from dataset_conversion.json_text import parse_json
    from nnunet_plugins.errors import UserError

    try:
        found = parse_json(text)
    except ValueError as error:
        raise UserError(f"{option}: not JSON ({error}); e.g. '{example}'") from error
    if not isinstance(found, dict):
        raise UserError(f"{option} {text}: expected an object, e.g. '{example}'")
    return found


def _table(plans: dict[str, Any]) -> str:
    """The planned values, one line per configuration."""
    from nnunet_plugins.text_table import columns

    rows = [("configuration", "patch", "batch", "needs", "spacing (mm)", "features")]
    for name, plan in plans["configurations"].items():
        if "inherits_from" in plan:
            continue
        features = plan["architecture"]["arch_kwargs"]["features_per_stage"]
        rows.append(
            (
                name,
                "x".join(map(str, plan["patch_size"])),
                str(plan["batch_size"]),
                _memory(plan.get("memory")),
                " x ".join(f"{s:.3g}" for s in plan["spacing"]),
                "-".join(map(str, features)),
            )
        )
    return columns(rows)


def _recipe(request: Request, plans: dict[str, Any], preprocessed: Path) -> str:
    """What the paper prints, what is planned, and why they differ."""
    from nnunet_plugins.planners.recipe_table import table_of
    from nnunet_plugins.text_table import wrapped

    lines = table_of(request, plans, preprocessed)
    if not lines:
        return "note   the configuration of the paper is not planned for this dataset."
    recipe = request.paper()
    title = f"recipe {recipe.key if recipe else ''} ({recipe.source if recipe else ''})"
    text = f"\n{title}\n{wrapped([('item', 'paper', 'here', 'reason'), *lines], _LIMITS)}\n"
    for name, plan in plans["configurations"].items():
        needed = plan.get("memory", {"needs_gb": 0, "target_gb": 0})
        if needed["needs_gb"] > needed["target_gb"]:
            text += (
                f"\nnote   the paper's patch in {name} needs {needed['needs_gb']:.1f} GB; with --gpu-memory GB a "
                "smaller one is planned."
            )
    return text


def _memory(entry: dict[str, Any] | None) -> str:
    return f"{entry['needs_gb']:.1f} of {entry['target_gb']:g} GB" if entry else ""
