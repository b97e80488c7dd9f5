"""Predict images or DICOM series in bounded memory, with the label maps of nnUNetv2_predict."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nnunet_plugins.commands.model_arguments import add_weights


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare INPUT -o OUT --model FOLDER, and nnU-Net's options under nnU-Net's names."""
    parser.add_argument(
        "input", metavar="INPUT", type=Path,
        help="folder of images (CASE_0000.nii.gz), an image, a DICOM series, or a folder with one per patient",
    )  # fmt: skip
    parser.add_argument("-o", dest="output", metavar="OUT", type=Path, required=True)
    parser.add_argument(
        "--model", "-m", metavar="FOLDER", type=Path, required=True,
        help="folder TRAINER__PLANS__CONFIGURATION",
    )  # fmt: skip
    add_weights(parser)
    parser.add_argument(
        "-step_size", type=float, default=0.5, metavar="S",
        help="between windows, in window lengths, up to 1 (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--disable_tta", action="store_true", help="do not predict mirrored images")
    parser.add_argument(
        "--not_on_device", action="store_true", help="keep the logits out of the GPU's memory"
    )
    parser.add_argument(
        "--save_probabilities", action="store_true", help="also write CASE.npz and CASE.pkl"
    )
    parser.add_argument(
        "--save_entropy", action="store_true",
        help="also write CASE_entropy, a map of the uncertainty of each voxel, in nats",
    )  # fmt: skip
    parser.add_argument(
        "--save_disagreement", action="store_true",
        help="also write CASE_disagreement, the share of folds that have another label at a voxel, 0 to 1",
    )  # fmt: skip
    parser.add_argument(
        "--continue_prediction", "--c", action="store_true", help="leave out complete cases"
    )
    parser.add_argument(
        "-prev_stage_predictions", dest="previous", metavar="DIR", type=Path,
        help="label maps of the previous stage of a cascade",
    )  # fmt: skip
    parser.add_argument(
        "--key", metavar="CSV", type=Path, help="write which series became which case (DICOM)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Predict, and print one line per case; the status is 1 if a case failed."""
    from dataset_conversion.datasets.key_file import check_key, write_key
    from nnunet_plugins.inference.run import predict_all, prepare
    from nnunet_plugins.inference.setting import Setting
    from nnunet_plugins.prediction import find_model
    from nnunet_plugins.prediction.outputs import Outputs
    from nnunet_plugins.text_table import count, remark

    model = find_model(arguments.model, arguments.folds, arguments.checkpoint)
    setting = Setting(
        arguments.device, not arguments.disable_tta, arguments.step_size,
        not arguments.not_on_device,
        Outputs(arguments.save_probabilities, arguments.save_entropy, arguments.save_disagreement),
        arguments.previous,
    )  # fmt: skip
    found = prepare(
        model, arguments.input, arguments.output, setting, resume=arguments.continue_prediction
    )
    if arguments.key:
        check_key(arguments.key, arguments.output)
        write_key(arguments.key, found.sources)

    def tell(note: str) -> None:
        print(remark("note  ", note), file=sys.stderr)

    for note in (model.warning, *found.notes):
        tell(note)
    if found.done:
        tell(f"{count(found.done, 'case')} complete from an earlier run")
    failed, number = 0, len(found.cases) + len(found.refused)
    for place, result in enumerate(predict_all(found, tell), 1):
        failed += bool(result.failure)
        said = f"FAILED  {result.failure}" if result.failure else f"{result.seconds:.1f} s"
        peak = f", peak {result.peak / 1e9:.1f} GB" if result.peak and not result.failure else ""
        print(f"{place}/{number}  {result.case}  {said}{peak}", flush=True)
        if result.note:
            tell(f"{result.case}: {result.note}")
    print(f"written  {arguments.output}: {count(number - failed, 'label map')}")
    if failed:
        tell(
            f"{count(failed, 'case')} failed; run the command again with --continue_prediction to repeat only those"
        )
    return 1 if failed else 0
