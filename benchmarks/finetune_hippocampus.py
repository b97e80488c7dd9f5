"""Fine-tuning to half of the patients against training from scratch, by seeds, on the hippocampus of the Decathlon.

    python benchmarks/finetune_hippocampus.py DATA -o FOLDER                     # small plan, for a CPU
    python benchmarks/finetune_hippocampus.py DATA -o FOLDER --preset none --epochs 200 -device cuda

DATA holds imagesTr, labelsTr and groups.csv (case,patient). A model is trained on one half of the patients. On the
other half, one fold is trained from these weights (all but the heads) and from random weights, with the same plans,
seeds and number of epochs, and nnU-Net scores the validation cases. The difference is paired by seed. Run again,
the script continues where it was stopped.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from nnunet_plugins.atomic_files import placed
from nnunet_plugins.environment import variables

NETWORK, CONFIGURATION = "ModularUNet", "3d_fullres"
SOURCE, TARGET = "Dataset401_HippocampusSource", "Dataset402_HippocampusTarget"
LABELS = {"background": 0, "anterior": 1, "posterior": 2}
SPLIT = 0  # seed of the halves and of the fold
VALIDATION = 0.25  # share of the target's patients


def halves(data: Path) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Patient -> cases of either half."""
    patients: dict[str, list[str]] = {}
    with (data / "groups.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            patients.setdefault(row["patient"], []).append(row["case"])
    order = sorted(patients)
    random.Random(SPLIT).shuffle(order)
    middle = len(order) // 2
    first, second = (
        {one: patients[one] for one in part} for part in (order[:middle], order[middle:])
    )
    return first, second


def write_raw(data: Path, raw: Path, patients: dict[str, list[str]]) -> None:
    """A dataset of nnU-Net with one fold, in which no patient is on both sides."""
    if (raw / "dataset.json").is_file():
        return
    for folder in ("imagesTr", "labelsTr"):
        (raw / folder).mkdir(parents=True, exist_ok=True)
    cases = [case for several in patients.values() for case in several]
    for case in cases:
        shutil.copy(data / "imagesTr" / f"{case}.nii.gz", raw / "imagesTr" / f"{case}_0000.nii.gz")
        shutil.copy(data / "labelsTr" / f"{case}.nii.gz", raw / "labelsTr" / f"{case}.nii.gz")
    held = list(patients)[: round(VALIDATION * len(patients))]
    validation = sorted(case for patient in held for case in patients[patient])
    fold = {"train": sorted(set(cases) - set(validation)), "val": validation}
    (raw / "splits_final.json").write_text(json.dumps([fold]), encoding="utf-8")
    content = {
        "channel_names": {"0": "MRI"},
        "labels": LABELS,
        "numTraining": len(cases),
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(content), encoding="utf-8")


def run(*command: str) -> None:
    """Run a command of this environment; its output goes to stderr."""
    print("+", *command, file=sys.stderr, flush=True)
    subprocess.run(
        [str(Path(sys.executable).parent / command[0]), *command[1:]], check=True, stdout=sys.stderr
    )


def plan(dataset: str, arguments: argparse.Namespace, *more: str) -> Path:
    """Plan and preprocess once; return the plans."""
    file = Path(os.environ["nnUNet_preprocessed"]) / dataset / "FinetunePlans.json"
    if not file.is_file():
        options = ["--preset", arguments.preset] if arguments.preset != "none" else []
        options += ["--epochs", str(arguments.epochs)] if arguments.epochs else []
        run(
            "nnunet-plugins", "plan", dataset, "--network", NETWORK, "-p", "FinetunePlans", "-c", CONFIGURATION,
            "-np", "1", *options, *more,
        )  # fmt: skip
    return file


def by_seeds(file: Path, seeds: int) -> dict[str, list[str]]:
    """Add a configuration per start and seed to plans; return their names."""
    plans = json.loads(file.read_text(encoding="utf-8"))
    training = plans["configurations"][CONFIGURATION]["training"]
    scratch = {key: value for key, value in training.items() if key != "pretrained"}
    names: dict[str, list[str]] = {}
    for start, entry in (("finetuned", training), ("scratch", scratch)):
        for seed in range(seeds):
            name = f"{CONFIGURATION}_{start}_seed{seed}"
            made = {"inherits_from": CONFIGURATION, "training": {**entry, "seed": seed}}
            plans["configurations"].setdefault(name, made)
            names.setdefault(start, []).append(name)
    with placed(file) as temporary:
        temporary.write_text(json.dumps(plans, indent=4), encoding="utf-8")
    return names


def train(dataset: str, configuration: str, device: str) -> Path:
    """Train one fold unless it is finished; return its folder."""
    trainer = f"{NETWORK}Trainer"
    folder = f"{trainer}__FinetunePlans__{configuration}"
    fold = Path(os.environ["nnUNet_results"]) / dataset / folder / "fold_0"
    if not (fold / "validation" / "summary.json").is_file():
        continued = ["--c"] if any(fold.glob("checkpoint_*.pth")) else []
        run(
            "nnUNetv2_train", dataset, configuration, "0", "-p", "FinetunePlans", "-tr", trainer, "-device", device,
            *continued,
        )  # fmt: skip
    return fold


def dice(fold: Path) -> float:
    """Mean Dice of the validation cases over both labels."""
    summary = json.loads((fold / "validation" / "summary.json").read_text(encoding="utf-8"))
    return float(summary["foreground_mean"]["Dice"])


def main() -> None:
    """Train, score, print and store."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", dest="output", type=Path, required=True)
    parser.add_argument("--preset", default="cpu", help="of plan; none for nnU-Net's own size")
    parser.add_argument("--epochs", type=int, help="default: those of the preset")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("-device", default="cpu")
    arguments = parser.parse_args()
    os.environ.update(variables(arguments.output.absolute(), cpu=arguments.device == "cpu"))
    source, target = halves(arguments.data)
    raw = Path(os.environ["nnUNet_raw"])
    write_raw(arguments.data, raw / SOURCE, source)
    write_raw(arguments.data, raw / TARGET, target)

    plan(SOURCE, arguments)
    given = train(SOURCE, CONFIGURATION, arguments.device)
    file = plan(TARGET, arguments, "--pretrained", str(given / "checkpoint_final.pth"))
    scores: dict[str, list[float]] = {}
    for start, names in by_seeds(file, arguments.seeds).items():
        scores[start] = [dice(train(TARGET, name, arguments.device)) for name in names]
    differences = [a - b for a, b in zip(scores["finetuned"], scores["scratch"], strict=True)]
    result: dict[str, Any] = {
        "patients": {"source": len(source), "target": len(target)},
        "source": dice(given),
        "dice": scores,
        "difference": {"mean": statistics.mean(differences), "by_seed": differences},
        "training": json.loads(file.read_text(encoding="utf-8"))["configurations"][CONFIGURATION][
            "training"
        ],
    }
    result["training"]["pretrained"].pop("source")  # a path of this machine
    with placed(arguments.output / "finetune_hippocampus.json") as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for start, values in scores.items():
        print(
            f"{start:10} "
            + " ".join(f"{value:.4f}" for value in values)
            + f"   mean {statistics.mean(values):.4f}"
        )
    print(f"difference {statistics.mean(differences):+.4f}")


if __name__ == "__main__":
    main()
