"""Annotate in rounds of model and reader: the model proposes, a reader corrects, the next model learns from it."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare init, next, ingest and status."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_init(
        actions.add_parser(
            "init", help="begin rounds on a dataset", description="Write DIR/rounds.json."
        )
    )
    following = actions.add_parser(
        "next",
        help="train, propose, export for the readers",
        description="Train the folds, predict every case with a model that was not trained on it, and write "
        "DIR/round_NN/for_readers. Killed and run again, it goes on.",
    )
    following.add_argument("folder", metavar="DIR", type=Path)
    following.add_argument(
        "--partial", action="store_true",
        help="go on although cases of the last round were not returned",
    )  # fmt: skip
    taking = actions.add_parser(
        "ingest",
        help="take back what a reader returned",
        description="Check the masks of a folder and take all of them, or none.",
    )
    taking.add_argument("folder", metavar="DIR", type=Path)
    taking.add_argument("source", metavar="FOLDER", type=Path, help="masks named after their cases")
    taking.add_argument("--reader", metavar="NAME", required=True, help="pseudonym, e.g. R1")
    taking.add_argument(
        "--minutes", metavar="CSV", type=Path, help="file with the columns case and minutes"
    )
    taking.add_argument(
        "--confirm", metavar="CASE", nargs="+", default=[],
        help="masks that are right although they are empty, not saved, like another case, or replace an earlier one",
    )  # fmt: skip
    status = actions.add_parser(
        "status",
        help="the curve of the rounds, and when to stop",
        description="Show the rounds, and draw them.",
    )
    status.add_argument("folder", metavar="DIR", type=Path)
    status.add_argument(
        "-o", dest="output", metavar="FILE", type=Path, help="figure (default: DIR/curve.png)"
    )


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", type=Path, help="new folder")
    parser.add_argument("--dataset", metavar="ID", required=True, help="dataset in nnUNet_raw")
    parser.add_argument(
        "--labels", metavar="SOURCE", default="all",
        help="references to begin with: all (default) or none of labelsTr, or a text file with one case on each line",
    )  # fmt: skip
    parser.add_argument(
        "--anchoring-subset", dest="blind", metavar="N", type=int, default=0,
        help="patients whose reader never sees a proposal (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--groups", metavar="FILE.csv", type=Path,
        help="cases and their patients, for data not converted here",
    )  # fmt: skip
    parser.add_argument(
        "--network", metavar="NAME", default="ModularUNet", help="default: %(default)s"
    )
    parser.add_argument("-c", dest="configuration", metavar="CONFIGURATION", default="3d_fullres")
    parser.add_argument("--folds", type=int, metavar="N", default=5, help="default: 5")
    parser.add_argument(
        "--seed", type=int, metavar="N", default=0,
        help="of folds, order and trainings (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--fine-tune", action="store_true",
        help="start each training with the weights of the round before (default: random weights)",
    )  # fmt: skip
    parser.add_argument("--batch", type=int, metavar="N", help="cases per round (default: all)")
    parser.add_argument(
        "--order", choices=("random", "uncertain"), default="random",
        help="of the cases with a predicted foreground (default: random)",
    )  # fmt: skip
    parser.add_argument(
        "--to", dest="format", choices=("seg.nrrd", "nii.gz"), default="seg.nrrd",
        help="masks for 3D Slicer (seg.nrrd, default) or ITK-SNAP (nii.gz)",
    )  # fmt: skip
    parser.add_argument(
        "--rounds", dest="most_rounds", type=int, metavar="N", default=5,
        help="stop after N (default: 5)",
    )  # fmt: skip
    parser.add_argument(
        "--stop-dice", type=float, metavar="DICE", default=0.95,
        help="stop when the median Dice to the round before reaches this (default: 0.95)",
    )  # fmt: skip
    parser.add_argument(
        "-device", choices=("cuda", "cpu", "mps"), default="cuda", help="default: cuda"
    )
    parser.add_argument(
        "--cpus", type=int, metavar="N", default=1, help="worker processes (default: 1)"
    )
    parser.add_argument(
        "--plan", type=shlex.split, metavar="OPTIONS", default=[],
        help="options of nnunet-plugins plan as one text: --plan='--preset cpu --epochs 50'",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Run the action."""
    actions = {"init": _init, "next": _next, "ingest": _ingest, "status": _status}
    return actions[arguments.action](arguments)


def _init(arguments: argparse.Namespace) -> int:
    from dataclasses import fields

    from nnunet_plugins.commands import plan
    from nnunet_plugins.commands.argument_parser import Parser
    from nnunet_plugins.errors import UserError
    from nnunet_plugins.planners.presets import PRESETS
    from nnunet_plugins.rounds.curve import following
    from nnunet_plugins.rounds.init import Choices, begin
    from nnunet_plugins.rounds.settings import Settings

    check = Parser(prog="nnunet-plugins rounds init --plan", allow_abbrev=False)
    plan.add_arguments(check)
    planned = check.parse_args([arguments.dataset, "--network", arguments.network, *arguments.plan])
    if planned.preset and planned.preset not in PRESETS:
        raise UserError(f"--plan: --preset {planned.preset}: allowed: {', '.join(PRESETS)}")
    made = ("dataset", "source", "cases")
    settings = {f.name: getattr(arguments, f.name) for f in fields(Settings) if f.name not in made}
    chosen = Choices(
        arguments.dataset, arguments.labels, arguments.blind, arguments.groups, settings
    )
    rounds, notes = begin(arguments.folder, chosen)
    cases = rounds.settings.cases.values()
    print(f"cases    {len(cases)} of {len({one.patient for one in cases})} patients")
    print(f"labels   {sum(bool(one.reference) for one in cases)} cases have a reference")
    print(f"blind    {sum(one.blind for one in cases)} cases are read without a proposal")
    for note in notes:
        print(f"note     {note}")
    print(f"next     {following('next', arguments.folder)}")
    return 0


def _next(arguments: argparse.Namespace) -> int:
    from nnunet_plugins.rounds.curve import following
    from nnunet_plugins.rounds.next_round import next_round

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    rounds, number = next_round(arguments.folder, partial=arguments.partial, say=say)
    record = rounds.export(number)
    shown = sum(one["shown"] for one in record["cases"].values())
    print(f"round    {number}: {len(record['cases'])} cases, {shown} with a proposal")
    print(f"written  {rounds.readers(number)}")
    print(f"next     {following('ingest', arguments.folder)} FOLDER --reader NAME")
    return 0


def _ingest(arguments: argparse.Namespace) -> int:
    from nnunet_plugins.rounds.curve import following
    from nnunet_plugins.rounds.ingest import ingest
    from nnunet_plugins.text_table import count, number, ruled

    taken = ingest(
        arguments.folder, arguments.source, arguments.reader, minutes=arguments.minutes,
        confirmed=arguments.confirm,
    )  # fmt: skip
    rows = [["case", "minutes", "voxels changed", "Dice to proposal", "Dice to round before"]]
    for case, one in taken.cases.items():
        changed = one["changed_to_proposal"]
        rows.append([
            case, number(one["minutes"], 1), "-" if changed is None else str(changed),
            number(one["dice_to_proposal"], 3), number(one["dice_to_before"], 3),
        ])  # fmt: skip
    if taken.cases:
        print("\n".join(ruled(rows)))
    for note in taken.notes:
        print(f"note     {note}")
    if taken.known:
        print(f"known    {count(len(taken.known), 'mask')} taken back before")
    print(f"round    {taken.round}: {count(len(taken.missing), 'case')} still out")
    print(f"next     {following('status' if taken.missing else 'next', arguments.folder)}")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from nnunet_plugins.rounds.curve import curve_of, status_text
    from nnunet_plugins.rounds.folder import Rounds
    from nnunet_plugins.rounds.plot import write_curve

    rounds = Rounds.read(arguments.folder)
    print(status_text(rounds))
    found = curve_of(rounds)
    if any(one.measured for one in found):
        path = arguments.output or rounds.folder / "curve.png"
        write_curve(found, path, rounds.settings.stop_dice)
        print(f"figure   {path}")
    return 0
