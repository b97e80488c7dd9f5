"""Choose among trained models and averages of them on validation cases, and predict with the choice."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from nnunet_plugins.commands.model_arguments import add_weights

NAME = "ensemble.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare MODEL ... and the options of the choice and of the prediction."""
    parser.add_argument(
        "models", metavar="MODEL", type=Path, nargs="*",
        help="folders TRAINER__PLANS__CONFIGURATION of the same dataset, validated with --npz",
    )  # fmt: skip
    parser.add_argument(
        "-o", dest="output", metavar="DIR", type=Path, required=True,
        help=f"folder for {NAME} and ensemble.txt; with --choice, for the label maps",
    )  # fmt: skip
    parser.add_argument(
        "--members", type=int, default=2, metavar="N",
        help="models in an average at most; 1 compares single models only (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--reference", metavar="DIR", type=Path,
        help="reference label maps (default: those that nnU-Net keeps of the dataset)",
    )  # fmt: skip
    direct = parser.add_argument_group("prediction with a choice, instead of MODEL")
    direct.add_argument(
        "--choice", metavar="FILE", type=Path, help=f"{NAME} of a choice, or its folder"
    )
    direct.add_argument(
        "--save_disagreement", action="store_true",
        help="also write CASE_disagreement, the share of models that have another label at a voxel, 0 to 1",
    )  # fmt: skip
    direct.add_argument("-i", dest="images", metavar="DIR", type=Path, help="folder of new images")
    add_weights(parser)


def run(arguments: argparse.Namespace) -> int:
    """Choose, or predict."""
    from nnunet_plugins.errors import UserError
    from nnunet_plugins.prediction.model import CHECKPOINT

    if arguments.choice is not None:
        if arguments.models or arguments.images is None:
            raise UserError(
                "ensemble: --choice predicts: nnunet-plugins ensemble --choice FILE -i IMAGES -o OUT"
            )
        if arguments.folds:
            raise UserError(
                f"-f {' '.join(arguments.folds)}: {arguments.choice} names the folds; omit -f"
            )
        return _predict(arguments)
    if not arguments.models or arguments.images is not None or arguments.save_disagreement:
        raise UserError(
            "ensemble: expected MODEL folders, or --choice FILE with -i IMAGES (and --save_disagreement)"
        )
    if (arguments.checkpoint, arguments.device) != (CHECKPOINT, "auto"):
        raise UserError("-chk and -device: are for the prediction with --choice; omit them")
    if arguments.members < 1:
        raise UserError(f"--members {arguments.members}: expected 1 or more")
    return _choose(arguments)


def _progress(cases: list[Any]) -> Any:
    from tqdm import tqdm

    return tqdm(cases, unit="case", desc="ensemble", file=sys.stderr, disable=None)


def _choose(arguments: argparse.Namespace) -> int:
    from nnunet_plugins.atomic_files import placed_in
    from nnunet_plugins.ensemble.choose import choose
    from nnunet_plugins.ensemble.members import read_members
    from nnunet_plugins.errors import UserError
    from nnunet_plugins.model_folder import stored_references

    members = read_members(arguments.models, arguments.folds)
    references = arguments.reference or stored_references(members[0].name)
    if references is None:
        raise UserError(
            f"ensemble: no reference label maps of {members[0].name} in nnUNet_preprocessed or nnUNet_raw; pass "
            "--reference DIR"
        )
    choice = choose(members, references, most=arguments.members, progress=_progress)
    text = _table(choice)
    with placed_in(arguments.output) as scratch:
        (scratch / NAME).write_text(choice.to_json(arguments.output), encoding="utf-8")
        (scratch / "ensemble.txt").write_text(text + "\n", encoding="utf-8")
    print(text)
    print(f"\nwritten  {arguments.output / NAME}")
    print(
        f"predict  nnunet-plugins ensemble --choice {arguments.output / NAME} -i IMAGES -o PREDICTIONS"
    )
    return 0


def _table(choice: Any) -> str:
    """Candidates from best to worst, and the tries of the postprocessing."""
    from nnunet_plugins.ensemble.choose import CRITERION
    from nnunet_plugins.ensemble.postprocessing import mean
    from nnunet_plugins.text_table import count, number, remark, ruled

    labels = list(choice.best.labels)
    rows = [("models", "Dice", *labels)]
    for one in sorted(choice.candidates, key=lambda one: -(one.dice or 0)):
        names = " + ".join(member.path.name for member in one.members)
        shown = [number(value, 4) for value in (one.dice, *one.labels.values())]
        rows.append((("* " if one is choice.best else "  ") + names, *shown))
    steps = [("largest component of", "Dice before", "after", "applied")]
    steps += [
        (step.name, number(step.before, 6), number(step.after, 6), "yes" if step.kept else "no")
        for step in choice.steps
    ]
    return "\n".join(
        [
            *ruled(rows),
            "",
            *ruled(steps),
            "",
            remark("", f"* chosen among {len(choice.candidates)} by {CRITERION}."),
            f"{count(choice.cases, 'case')}; Dice of the choice with its postprocessing: "
            f"{number(mean(choice.after), 4)}",
        ]
    )


def _predict(arguments: argparse.Namespace) -> int:
    from nnunet_plugins.ensemble.predict import predict_folder, read_choice
    from nnunet_plugins.text_table import count

    choice = arguments.choice / NAME if arguments.choice.is_dir() else arguments.choice
    ensemble = read_choice(choice, arguments.checkpoint)
    for model in ensemble.models:
        print(f"note   {model.warning}", file=sys.stderr)
    found = predict_folder(
        ensemble, arguments.images, arguments.output, arguments.device, _progress,
        disagreement=arguments.save_disagreement,
    )  # fmt: skip
    for case, why in found.failed.items():
        print(f"{case}  FAILED  {why}")
    print(f"written  {arguments.output}: {count(len(found.written), 'label map')}")
    if found.there:
        print(f"note     {count(len(found.there), 'case')} complete from an earlier run")
    if found.failed:
        print(
            f"note     {count(len(found.failed), 'case')} failed; the same command repeats only those"
        )
    return 1 if found.failed else 0
