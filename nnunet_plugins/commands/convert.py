"""Convert a dataset from its original format to nnU-Net's raw format."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

from dataset_conversion.datasets.registry import CONVERTERS
from nnunet_plugins.commands.argument_parser import Parser


class _Dataset(Parser):
    """A dataset's parser; it imports the converter only when the dataset is chosen."""

    dataset = ""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        from dataset_conversion.datasets.options import declared
        from dataset_conversion.datasets.registry import converter

        found = converter(self.dataset)
        self.set_defaults(converter=found)
        if not any(action.dest == "name" for action in self._actions):
            self.add_argument(
                "--name", default=found.name, help="dataset name (default: %(default)s)"
            )
            for field, flags, how in declared(found.options):
                self.add_argument(*flags, dest=field, **how)
        return super().parse_known_args(args, namespace)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare one sub-command per registered converter."""
    datasets = parser.add_subparsers(
        dest="source_format", metavar="DATASET", required=True, parser_class=_Dataset
    )
    for name, entry in CONVERTERS.items():
        about = f"{entry.about[0].upper()}{entry.about[1:]}."
        one: Any = datasets.add_parser(name, help=entry.about, description=about)
        one.dataset = name
        one.add_argument("source", metavar="SRC", type=Path, help=entry.source)
        one.add_argument(
            "-d", dest="dataset_id", type=int, metavar="ID",
            help="dataset id, 1 to 999; required except with --images-only",
        )  # fmt: skip
        one.add_argument(
            "-o", dest="raw_root", type=Path, metavar="DIR",
            help="output folder (default: $nnUNet_raw); with --images-only, a new folder for the images",
        )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Convert and print the summary; return status 1 if cases were left out."""
    from tqdm import tqdm

    from dataset_conversion.datasets.options import declared
    from nnunet_plugins.api import convert

    options = {
        field: getattr(arguments, field) for field, *_ in declared(arguments.converter.options)
    }
    # The converter looks at all sources first; `disable=None`: no bars in a log file.
    stages = itertools.chain(
        ["reading"], itertools.repeat("checking" if arguments.dry_run else "converting")
    )
    report = convert(
        arguments.source_format,
        arguments.source,
        arguments.dataset_id,
        name=arguments.name,
        raw_root=arguments.raw_root,
        progress=lambda items: tqdm(items, desc=next(stages), unit="case", disable=None),
        **options,
    )
    print(report)
    return 1 if report.problems else 0
