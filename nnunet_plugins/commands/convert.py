"""Bring a dataset from its own format into nnU-Net's raw format."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-command a dataset."""
    datasets = parser.add_subparsers(dest="source_format", metavar="DATASET", required=True)
    ct = datasets.add_parser(
        "hospital-ct",
        help="a folder a patient: DICOM series or volume, with a mask",
        description="Convert hospital CT: SRC holds a folder a patient with a DICOM series or a NIfTI, NRRD or "
        "MHA volume, and a mask (NIfTI or .seg.nrrd). Patients without a mask go to imagesTs.",
    )
    ct.add_argument("source", metavar="SRC", type=Path)
    ct.add_argument(
        "-d", dest="dataset_id", type=int, required=True, metavar="ID", help="dataset id, 1 to 999"
    )
    ct.add_argument(
        "-o", dest="raw_root", type=Path, metavar="DIR", help="where to write (default: nnUNet_raw)"
    )
    ct.add_argument("--name", default="SacroiliacCT", help="dataset name (default: %(default)s)")
    ct.add_argument(
        "--labels",
        type=Path,
        metavar="JSON",
        help="label names and values, like dataset.json's labels",
    )
    ct.add_argument(
        "--drop",
        type=int,
        nargs="+",
        default=[],
        metavar="V",
        help="mask values to send to background",
    )
    ct.add_argument(
        "--mask-pattern",
        default=r"mask|seg|label",
        metavar="REGEX",
        help="what names a mask file (default: %(default)s)",
    )
    ct.add_argument(
        "--series",
        metavar="TEXT",
        help="text of the wanted series' description, if there are several",
    )
    ct.add_argument(
        "--modality", default="CT", help="expected DICOM modality (default: %(default)s)"
    )
    ct.add_argument(
        "--window",
        type=float,
        nargs=2,
        metavar=("LO", "HI"),
        help="HU window mapped to 0..1, as in the papers: -200 1200 (default: off)",
    )
    ct.add_argument(
        "--drop-empty-slices",
        action="store_true",
        help="cut slices above and below the target, as in the papers (default: off)",
    )
    ct.add_argument(
        "--keep-names",
        action="store_true",
        help="folder names become case ids: you say that they identify nobody",
    )
    ct.add_argument(
        "--key",
        type=Path,
        metavar="CSV",
        help="write which folder became which case, outside the dataset",
    )
    ct.add_argument("--allow-empty-masks", action="store_true")


def run(arguments: argparse.Namespace) -> int:
    """Convert and print the report."""
    import os

    from tqdm import tqdm

    from dataset_conversion.hospital_ct import Options, convert
    from nnunet_plugins.errors import UserError

    root = arguments.raw_root or os.environ.get("nnUNet_raw")
    if not root:
        raise UserError(
            'nnUNet_raw is not set; pass -o DIR, or run eval "$(nnunet-plugins env --root FOLDER)" first'
        )
    report = convert(
        arguments.source,
        Path(root),
        arguments.dataset_id,
        arguments.name,
        Options(
            labels=arguments.labels,
            drop=tuple(arguments.drop),
            mask_pattern=arguments.mask_pattern,
            series=arguments.series,
            window=tuple(arguments.window) if arguments.window else None,
            drop_empty_slices=arguments.drop_empty_slices,
            keep_names=arguments.keep_names,
            key=arguments.key,
            allow_empty_masks=arguments.allow_empty_masks,
            modality=arguments.modality,
        ),
        progress=lambda cases: tqdm(cases, desc="converting", unit="case"),
    )
    print(report)
    return 0
