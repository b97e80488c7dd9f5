"""Print shell lines, for eval, that tell nnU-Net its folders and our trainers."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare [--root DIR] [--cpu]."""
    parser.add_argument(
        "--root",
        metavar="DIR",  # stays text: an empty one is a mistake, and Path("") would be "."
        help="holds nnUNet_raw, nnUNet_preprocessed and nnUNet_results; else those set are kept",
    )
    parser.add_argument(
        "--cpu", action="store_true", help="also the settings for a small machine without a GPU"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the exports, and nothing else: a shell evaluates them."""
    from nnunet_plugins.environment import exports

    print(exports(arguments.root, cpu=arguments.cpu), end="")
    return 0
