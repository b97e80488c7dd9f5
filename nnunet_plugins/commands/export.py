"""Write predictions as NIfTI, .seg.nrrd, DICOM SEG, STL, or a model as ONNX; each file is read back and compared."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from nnunet_plugins.commands.model_arguments import add_weights

FORMATS = ("nii.gz", "seg.nrrd", "dicom-seg", "stl", "onnx")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare PRED and the options, named as in nnU-Net where it has them."""
    parser.add_argument(
        "prediction", metavar="PRED", type=Path, nargs="?", help="label map or folder of them"
    )
    parser.add_argument(
        "-o", dest="output", metavar="DIR", type=Path, default=Path("export"),
        help="folder for the files (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--to", nargs="+", choices=FORMATS,
        help="formats (default: seg.nrrd and stl; with a series, dicom-seg as well; with --key, nii.gz and "
        "dicom-seg). onnx: the networks of --model DIR and their preprocessing, without PRED",
    )  # fmt: skip
    parser.add_argument(
        "--key", metavar="CSV", type=Path,
        help="key of convert --key: every case is written on the grid of its patient's own image",
    )  # fmt: skip
    parser.add_argument(
        "--dicom", metavar="DIR", type=Path,
        help="folder of the series that was predicted; for several cases, a folder with one series folder per case",
    )  # fmt: skip
    parser.add_argument(
        "-djfile", metavar="FILE", type=Path,
        help="nnU-Net's dataset.json (default: searched in and above the folder of PRED)",
    )  # fmt: skip
    parser.add_argument(
        "--series", metavar="TEXT",
        help="selects one of several series: part of its description, or the end of its UID",
    )  # fmt: skip
    parser.add_argument(
        "--smooth", type=int, default=10, metavar="N",
        help="iterations of smoothing for STL, 0 for none (default: %(default)s)",
    )  # fmt: skip
    direct = parser.add_argument_group("from DICOM in one step, instead of PRED")
    direct.add_argument(
        "--from-dicom", metavar="DIR", type=Path, help="folder of the series to predict"
    )
    direct.add_argument(
        "--model", metavar="DIR", type=Path,
        help="trained model folder, TRAINER__PLANS__CONFIGURATION in nnUNet_results",
    )  # fmt: skip
    add_weights(direct)
    direct.add_argument(
        "--name", help="stem of the file names (default: made from the series' content)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write and list the files."""
    from nnunet_plugins.errors import UserError
    from nnunet_plugins.export.dicom_seg import Algorithm
    from nnunet_plugins.export.run import Request, export

    if "onnx" in (arguments.to or ()):
        return _onnx(arguments)
    if (arguments.prediction is None) == (arguments.from_dicom is None):
        raise UserError("export: expected either PRED or --from-dicom DIR with --model DIR")
    if not 0 <= arguments.smooth <= 100:
        raise UserError(f"--smooth {arguments.smooth}: 0 to 100 iterations are allowed")
    if arguments.key and (arguments.dicom or arguments.from_dicom):
        raise UserError("export: --key finds the series; leave out --dicom and --from-dicom")
    request = Request(
        formats=tuple(arguments.to or _usual(arguments)),
        output=arguments.output,
        dicom=arguments.dicom,
        key=arguments.key,
        series=arguments.series,
        dataset_json=arguments.djfile,
        smoothing=arguments.smooth,
    )
    if arguments.from_dicom is None:
        from tqdm import tqdm

        def progress(cases: Any) -> Any:
            return tqdm(cases, unit="case", desc="export", file=sys.stderr, disable=None)

        written = export(arguments.prediction, request, progress)
    else:
        from dataclasses import replace

        from nnunet_plugins.export.from_dicom import export_dicom
        from nnunet_plugins.prediction import find_model, load

        if arguments.model is None:
            raise UserError("export: --from-dicom needs --model DIR, a trained model folder")
        model = find_model(arguments.model, arguments.folds, arguments.checkpoint)
        print(f"note   {model.warning}", file=sys.stderr)
        predictor = load(model, arguments.device)
        named = replace(request, algorithm=Algorithm(f"nnU-Net {predictor.trainer_name}"))
        written = [export_dicom(arguments.from_dicom, model, predictor, named, name=arguments.name)]
    print(_listed(written))
    return 0


def _onnx(arguments: argparse.Namespace) -> int:
    """Write a model as ONNX."""
    from nnunet_plugins.errors import UserError
    from nnunet_plugins.prediction import find_model, load

    others = [arguments.prediction, arguments.from_dicom, arguments.dicom, arguments.key]
    if arguments.to != ["onnx"] or arguments.model is None or any(others):
        raise UserError(
            "export: --to onnx exports a model, not predictions: nnunet-plugins export --to onnx --model DIR -o OUT"
        )
    model = find_model(arguments.model, arguments.folds, arguments.checkpoint)
    print(f"note   {model.warning}", file=sys.stderr)
    predictor = load(model, "cpu")

    from nnunet_plugins.export.onnx_model import JSON, export_onnx
    from nnunet_plugins.text_table import columns

    written = export_onnx(model, predictor, arguments.output)
    rows = [("file", "size", "largest difference of the logits")]
    for name, difference in written.items():
        size = (arguments.output / name).stat().st_size
        rows.append((str(arguments.output / name), f"{size / 1e6:.1f} MB", f"{difference:.1e}"))
    print(columns([*rows, (str(arguments.output / JSON), "", "")], right=(1, 2)))
    return 0


def _usual(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The formats without --to."""
    if arguments.key:
        return ("nii.gz", "dicom-seg")
    if arguments.from_dicom:
        return ("seg.nrrd", "dicom-seg")
    return ("seg.nrrd", "dicom-seg", "stl") if arguments.dicom else ("seg.nrrd", "stl")


def _listed(written: Any) -> str:
    """All files, and each note once with its cases."""
    from nnunet_plugins.text_table import columns, remark

    rows = [("case", "file", "size")]
    notes: dict[str, list[str]] = {}
    for case in written:
        for number, path in enumerate(case.files):
            size = path.stat().st_size
            shown = f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
            rows.append(("" if number else case.name, str(path), shown))
        for note in case.notes:
            notes.setdefault(note, []).append(case.name)
    lines = [columns(rows, right=(2,))]
    for note, names in notes.items():
        whose = (
            ""
            if len(names) == len(written)
            else f" ({', '.join(names[:5])}{', ...' * (len(names) > 5)})"
        )
        lines.append(remark("note  ", note + whose))
    return "\n".join(lines)
