"""The main job on synthetic patients, run through the commands that a user types."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_plugins.environment import variables
from nnunet_plugins.errors import UserError

NETWORK = "MAGUNet"
PLANS = "MAGUNetPlansCPU"
CONFIGURATION = "3d_fullres"
PATIENTS = 6  # one of them is the test set
ITERATIONS = 20  # per epoch


@dataclass(frozen=True)
class Example:
    """The demo's settings for one dataset.

    Attributes:
        id: nnU-Net's dataset id.
        name: nnU-Net's dataset name.
        source: folder for the phantom.
        files: description of the phantom's files.
        options: options of `convert`; one patient goes to the test set.
        epochs: default number of training epochs.
    """

    id: int
    name: str
    source: str
    files: str
    options: tuple[str, ...]
    epochs: int = 5


EXAMPLES = {
    "hospital-ct": Example(
        660, "SacroiliacCT", "hospital", "DICOM series with masks",
        ("--labels", "hospital/labels.json", "--test", "5:1", "--seed", "3"),
    ),
    "spider": Example(
        661, "SPIDER", "spider", "MetaImage volumes (T1, T2, SPACE) with masks and tables",
        ("--sequences", "t2", "--test", "val"),
    ),
    "csig": Example(
        662, "CSIG", "csig", "NIfTI volumes with masks",
        ("--scheme", "aspp", "--drop", "4", "5", "6", "7", "8", "--crop", "464", "--test", "5:1"), epochs=6,
    ),
    "sij-mri": Example(
        663, "SacroiliacMRI", "hospital_mri", "tilted DICOM series with masks",
        ("--allow-empty", "--keep-names", "--test", "5:1"),
    ),
}  # fmt: skip


@dataclass
class Demo:
    """Runs the steps in one folder and records the commands.

    Attributes:
        folder: all output goes here.
        device: nnU-Net's ``-device``: cpu, cuda or mps.
        epochs: number of training epochs; None takes the example's.
        say: receives the lines of progress.
        dataset: a key of `EXAMPLES`.
        commands: the commands run so far.
    """

    folder: Path
    device: str
    epochs: int | None
    say: Callable[[str], None]
    dataset: str = "hospital-ct"
    commands: list[str] = field(default_factory=list)

    @property
    def example(self) -> Example:
        """Settings of the dataset."""
        return EXAMPLES[self.dataset]

    @property
    def raw(self) -> str:
        """Path of the converted dataset in the printed commands."""
        return f"nnUNet_raw/Dataset{self.example.id}_{self.example.name}"

    @property
    def model(self) -> str:
        """Path of the trained model's folder, relative to the demo's nnU-Net root."""
        dataset = self.raw.removeprefix("nnUNet_raw/")
        return f"nnUNet_results/{dataset}/{NETWORK}Trainer__{PLANS}__{CONFIGURATION}"

    @property
    def predictions(self) -> str:
        """Path of the predictions in the printed commands."""
        return f"predictions/{self.dataset}"

    def scored(self) -> tuple[Path, Path]:
        """Return the folders of the predictions and of the reference masks."""
        return self.folder / self.predictions, self._in_root(f"{self.raw}/labelsTs")

    def run(self) -> Path:
        """Run all steps and return the path of the report.

        Raises:
            UserError: a step failed; the message ends with the tail of its log.
        """
        start = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._patients()
        number, epochs = str(self.example.id), str(self.epochs or self.example.epochs)
        model = ["-p", PLANS, "-tr", f"{NETWORK}Trainer", "-device", self.device]
        self._step("convert", "nnunet-plugins", "convert", self.dataset, self.example.source, "-d", number,
                   *self.example.options)  # fmt: skip
        self._step("plan", "nnunet-plugins", "plan", number, "--network", NETWORK, "--preset", "cpu",
                   "-c", CONFIGURATION, "--epochs", epochs, "--iterations", str(ITERATIONS),
                   "--force")  # fmt: skip
        self._step("train", "nnUNetv2_train", number, CONFIGURATION, "0", *model)
        self._step("predict", "nnUNetv2_predict", "-i", f"{self.raw}/imagesTs", "-o", self.predictions,
                   "-d", number, "-c", CONFIGURATION, "-f", "0", *model)  # fmt: skip
        self._step("evaluate", "nnunet-plugins", "evaluate", self.predictions, f"{self.raw}/labelsTs",
                   "-o", "scores.json")  # fmt: skip
        return self._report(time.monotonic() - start)

    def _patients(self) -> None:
        """Write the phantom, and remove an earlier phantom and its predictions."""
        from dataset_conversion.phantoms.catalogue import WRITERS

        self.say(f"1 patients   {PATIENTS} synthetic patients: {self.example.files}")
        for folder in (self.folder / self.example.source, self.folder / self.predictions):
            shutil.rmtree(folder, ignore_errors=True)
        WRITERS[self.dataset](self.folder / self.example.source, PATIENTS, size="demo")

    def _step(self, name: str, *command: str) -> None:
        self.commands.append(shlex.join(command))
        number = len(self.commands) + 1
        self.say(f"{number} {name:<10} {shlex.join(command)}")
        log = self.folder / "logs" / f"{number}_{name}.txt"
        log.parent.mkdir(exist_ok=True)
        environment = {**os.environ, **variables(self.folder / "nnunet", cpu=self.device == "cpu")}
        if name == "train" and self.device == "cpu":
            environment["nnUNet_n_proc_DA"] = (
                "0"  # loading is cheap; a worker would compete for the cores
            )
        program = Path(sys.executable).with_name(command[0])
        start = time.monotonic()
        with subprocess.Popen(
            [str(program) if program.exists() else command[0], *self._absolute(command[1:])],
            cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            encoding="utf-8", errors="replace",
        ) as process:  # fmt: skip
            try:
                self._follow(process.stdout or (), log)
            except BaseException:
                process.terminate()  # leaving the block waits for it
                raise
        if process.returncode:
            tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-8:])
            raise UserError(
                f"demo: {name} ended with status {process.returncode}; its log {log} ends with:\n{tail}"
            )
        self.say(f"  {'':<10} {time.monotonic() - start:.0f} s")

    def _follow(self, lines: Iterable[str], log: Path) -> None:
        """Write a step's output to its log, and report each epoch that begins."""
        with log.open("w", encoding="utf-8") as stream:
            for line in lines:
                stream.write(line)
                epoch = re.search(r"Epoch (\d+)\s*$", line)
                if epoch:
                    total = self.epochs or self.example.epochs
                    self.say(f"  {'':<10} epoch {int(epoch[1]) + 1} of {total}")

    def _absolute(self, arguments: Sequence[str]) -> list[str]:
        """Replace nnU-Net's folders by those of that name in the demo's nnU-Net root."""
        inside = ("nnUNet_raw/", "nnUNet_results/")
        return [str(self._in_root(a)) if a.startswith(inside) else a for a in arguments]

    def _in_root(self, path: str) -> Path:
        return self.folder / "nnunet" / path

    def _report(self, seconds: float) -> Path:
        from nnunet_plugins.comparison.runs import Options
        from nnunet_plugins.reports.report import PageOptions, write_report
        from nnunet_plugins.reports.sources import read_source

        predictions, references = self.scored()
        source = read_source(
            predictions,
            Options(reference=references, folds=["0"]),
            images=self._in_root(f"{self.raw}/imagesTs"),
            model=self._in_root(self.model),
        )
        steps = (self.epochs or self.example.epochs) * ITERATIONS
        options = PageOptions(
            title=f"nnunet-plugins demo: {self.dataset}",
            lead=f"{NETWORK} trained for {steps} steps on fold 0 of {PATIENTS - 1} synthetic "
            f"patients ({self.device}), tested on one more; {seconds:.0f} s in total. A check that everything "
            "works, not a result.",
            commands={
                "What was run": [ENVIRONMENT, *self.commands],
                "Your own data": own_data(self.dataset),
            },
        )
        page = self.folder / "report.html"
        write_report(page, source, options)
        return page


ENVIRONMENT = 'eval "$(nnunet-plugins env --root nnunet --cpu)"'


def own_data(dataset: str) -> tuple[str, ...]:
    """Return the commands for your own data in a dataset's format."""
    labels = " --labels labels.json" if dataset == "hospital-ct" else ""
    model = "-p MAGUNetPlans -tr MAGUNetTrainer"
    hospital = dataset in ("hospital-ct", "sij-mri")
    new = f"nnunet-plugins convert {dataset} NEW_SCANS --images-only -o NEW_IMAGES --model MODEL_FOLDER"
    return (
        'eval "$(nnunet-plugins env --root ~/nnunet)"        # once in each shell',
        "nnunet-plugins doctor",
        f"nnunet-plugins convert {dataset} YOUR_FOLDER -d 700{labels}",
        "nnunet-plugins plan 700 --network MAGUNet            # --preset cpu to try it without a GPU",
        f"nnUNetv2_train 700 3d_fullres 0 {model}",
        *([new] if hospital else []),
        f"nnUNetv2_predict -i NEW_IMAGES -o PREDICTIONS -d 700 -c 3d_fullres -f 0 {model}",
        "nnunet-plugins evaluate PREDICTIONS REFERENCES -o scores.json",
    )
