"""The demo from segmentation to diagnosis: phantoms with a diagnosis, two folds of a segmenter, a classifier."""

from __future__ import annotations

import shutil
from pathlib import Path

from nnunet_plugins.demo import CONFIGURATION, ITERATIONS, NETWORK, PLANS, Demo, Example

PATIENTS = 36
SHARES = ("18", "6", "12")  # training, validation, test
EXAMPLE = Example(
    664, "SacroiliacMRI", "hospital_diagnoses", "tilted DICOM series with masks, and diagnoses",
    ("--keep-names", "--split", "2-fold"), epochs=4,
)  # fmt: skip


class DiagnosisDemo(Demo):
    """Segment the lesions of synthetic patients out of fold, and distinguish two diagnoses."""

    @property
    def example(self) -> Example:
        """Settings of the dataset."""
        return EXAMPLE

    def run(self) -> Path:
        """Run all steps and return the path of the report.

        Raises:
            UserError: a step failed; the message ends with the tail of its log.
        """
        from dataset_conversion.phantoms.catalogue import WRITERS

        example, number = self.example, str(self.example.id)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.say(f"1 patients   {PATIENTS} synthetic patients: {example.files}")
        for name in (example.source, "classifier", "classified", "classification"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        WRITERS["sij-mri"](self.folder / example.source, PATIENTS, size="small", diagnosed=True)
        model = ["-p", PLANS, "-tr", f"{NETWORK}Trainer", "-device", self.device]
        self._step("convert", "nnunet-plugins", "convert", "sij-mri", example.source, "-d", number,
                   *example.options)  # fmt: skip
        self._step("plan", "nnunet-plugins", "plan", number, "--network", NETWORK, "--preset", "cpu",
                   "-c", CONFIGURATION, "--epochs", str(self.epochs or example.epochs), "--iterations",
                   str(ITERATIONS), "--force")  # fmt: skip
        for fold in ("0", "1"):
            self._step("train", "nnUNetv2_train", number, CONFIGURATION, fold, *model)
        self._step("classify", "nnunet-plugins", "classify", "train", number, f"{example.source}/diagnoses.csv",
                   "-o", "classifier", "--positive", "axSpA", "--model", self.model, "--shares", *SHARES,
                   "--network", "densenet-small", "--size", "8", "48", "64", "--spacing", "14", "4", "4",
                   "--epochs", "40", "--learning-rate", "0.003", "-device", self.device)  # fmt: skip
        self._step("classify", "nnunet-plugins", "classify", "predict", "classifier", "-o", "classified",
                   "--grad-cam", "2", "-device", self.device)  # fmt: skip
        self._step("classify", "nnunet-plugins", "classify", "evaluate", "classified", "-o", "classification",
                   "--paper")  # fmt: skip
        return self.folder / "classification" / "report.html"
