"""The main job on synthetic patients, through the same commands that a user types."""

from __future__ import annotations

import csv
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_plugins.environment import variables
from nnunet_plugins.errors import UserError

DATASET = 660
NETWORK = "MAGUNet"
PLANS = "MAGUNetPlansCPU"
CONFIGURATION = "3d_fullres"
SHAPE, SPACING = (36, 64, 64), (5.0, 5.0, 4.5)  # voxels z, y, x; mm x, y, z
TRAINING_PATIENTS = 5
ITERATIONS = 20  # per epoch


@dataclass
class Demo:
    """Runs the steps in a folder of its own and remembers the commands.

    Attributes:
        folder: everything is written below it.
        device: nnU-Net's ``-device``: cpu, cuda or mps.
        epochs: of the training.
        say: where progress goes.
    """

    folder: Path
    device: str
    epochs: int
    say: Callable[[str], None]
    commands: list[str] = field(default_factory=list)

    @property
    def source(self) -> Path:
        """Folder a patient, as from a hospital."""
        return self.folder / "hospital"

    def run(self) -> Path:
        """All steps; returns the report.

        Raises:
            UserError: a step failed; its log is named.
        """
        start = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        withheld = self._patients()
        raw = f"nnUNet_raw/Dataset{DATASET}_SacroiliacCT"
        key = self.folder / "key.csv"
        model = [
            "-d", str(DATASET), "-c", CONFIGURATION, "-f", "0", "-p", PLANS, "-tr", f"{NETWORK}Trainer",
            "-device", self.device,
        ]  # fmt: skip
        self._step("convert", "nnunet-plugins", "convert", "hospital-ct", "hospital", "-d", str(DATASET),
                   "--labels", "hospital/labels.json", "--key", "key.csv")  # fmt: skip
        self._step("plan", "nnunet-plugins", "plan", str(DATASET), "--network", NETWORK, "--preset", "cpu",
                   "-c", CONFIGURATION, "--epochs", str(self.epochs), "--iterations", str(ITERATIONS),
                   "--force")  # fmt: skip
        self._step("train", "nnUNetv2_train", str(DATASET), CONFIGURATION, "0", "-p", PLANS, "-tr",
                   f"{NETWORK}Trainer", "-device", self.device)  # fmt: skip
        self._step(
            "predict", "nnUNetv2_predict", "-i", f"{raw}/imagesTs", "-o", "predictions", *model
        )
        case = self._reference(key, withheld)
        self._step(
            "evaluate",
            "nnunet-plugins",
            "evaluate",
            "predictions",
            "reference",
            "-o",
            "scores.json",
        )
        return self._report(case, raw, time.monotonic() - start)

    def _patients(self) -> Path:
        """Write the patients; the last one's mask is withheld, as if nobody had drawn it yet."""
        from dataset_conversion.phantoms.sij_ct import write_patients

        self.say(
            f"1 patients   {TRAINING_PATIENTS + 1} synthetic patients as DICOM series with masks"
        )
        shutil.rmtree(self.source, ignore_errors=True)
        patients = write_patients(self.source, TRAINING_PATIENTS + 1, shape=SHAPE, spacing=SPACING)
        withheld = self.folder / "withheld_mask.nii.gz"
        os.replace(patients[-1] / "mask.nii.gz", withheld)
        return withheld

    def _step(self, name: str, *command: str) -> None:
        self.commands.append(shlex.join(command))
        number = len(self.commands) + 1
        self.say(f"{number} {name:<10} {shlex.join(command)}")
        log = self.folder / "logs" / f"{number}_{name}.txt"
        log.parent.mkdir(exist_ok=True)
        environment = {**os.environ, **variables(self.folder / "nnunet", cpu=self.device == "cpu")}
        if name == "train" and self.device == "cpu":
            environment["nnUNet_n_proc_DA"] = (
                "0"  # loading is cheap here; a worker only takes cores
            )
        program = Path(sys.executable).with_name(command[0])
        start = time.monotonic()
        with log.open("w", encoding="utf-8") as stream:
            status = subprocess.run(
                [str(program) if program.exists() else command[0], *self._absolute(command[1:])],
                cwd=self.folder, env=environment, stdout=stream, stderr=subprocess.STDOUT, check=False,
            ).returncode  # fmt: skip
        if status:
            tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-8:])
            raise UserError(
                f"demo: {name} ended with status {status}; its log is {log}, which ends:\n{tail}"
            )
        self.say(f"  {'':<10} {time.monotonic() - start:.0f} s")

    def _absolute(self, arguments: Sequence[str]) -> list[str]:
        """nnUNet_raw stands for the folder of that name below the demo's nnU-Net root."""
        return [a.replace("nnUNet_raw/", f"{self.folder / 'nnunet' / 'nnUNet_raw'}/", 1)
                if a.startswith("nnUNet_raw/") else a for a in arguments]  # fmt: skip

    def _reference(self, key: Path, withheld: Path) -> str:
        """Put the withheld mask beside the prediction under the case's id."""
        with key.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))[1:]
        case = next(
            row[0] for row in rows if Path(row[1]).name == f"patient{TRAINING_PATIENTS + 1:03d}"
        )
        (self.folder / "reference").mkdir(exist_ok=True)
        shutil.copyfile(withheld, self.folder / "reference" / f"{case}.nii.gz")
        return case

    def _report(self, case: str, raw: str, seconds: float) -> Path:
        from dataset_conversion.phantoms.sij_ct import LABELS
        from dataset_conversion.preview import BONE, Row, draw
        from nnunet_plugins.reports.page import write_page

        image = Path(self._absolute([f"{raw}/imagesTs/{case}_0000.nii.gz"])[0])
        reference = self.folder / "reference" / f"{case}.nii.gz"
        prediction = self.folder / "predictions" / f"{case}.nii.gz"
        rows = [
            Row("reference", image, reference),
            Row("prediction", image, prediction, centre=reference),
        ]
        picture = self.folder / "overlay.png"
        names = {value: name for name, value in LABELS.items() if value}
        draw(
            picture,
            rows,
            names,
            "Withheld synthetic patient",
            BONE,
            self.folder / "logs",
            "label maps",
        )
        page = self.folder / "report.html"
        write_page(
            page,
            title="nnunet-plugins demo",
            lead=f"{NETWORK} trained for {self.epochs * ITERATIONS} steps on fold 0 of {TRAINING_PATIENTS} synthetic "
            f"patients ({self.device}), tested on one more; {seconds:.0f} s in all. A check that everything "
            "works, not a result.",
            scores=json.loads((self.folder / "scores.json").read_text(encoding="utf-8")),
            picture=picture,
            commands={"What was run": [ENVIRONMENT, *self.commands], "Your own data": OWN_DATA},
        )
        return page


ENVIRONMENT = 'eval "$(nnunet-plugins env --root nnunet --cpu)"'
OWN_DATA = (
    'eval "$(nnunet-plugins env --root ~/nnunet)"        # once in each shell',
    "nnunet-plugins doctor",
    "nnunet-plugins convert hospital-ct YOUR_FOLDER -d 661 --labels labels.json",
    "nnunet-plugins plan 661 --network MAGUNet            # --preset cpu to try it without a card",
    "nnUNetv2_train 661 3d_fullres 0 -p MAGUNetPlans -tr MAGUNetTrainer",
    "nnUNetv2_predict -i NEW_IMAGES -o PREDICTIONS -d 661 -c 3d_fullres -f 0 -p MAGUNetPlans -tr MAGUNetTrainer",
    "nnunet-plugins evaluate PREDICTIONS REFERENCES -o scores.json",
)
