"""Print shell commands, for eval, that set nnU-Net's folders and make our trainers available."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare [--root DIR] [--cpu]."""
    parser.add_argument(
        "--root", metavar="DIR",
        help="folder for nnUNet_raw, nnUNet_preprocessed and nnUNet_results (default: keep the current values)",
    )  # fmt: skip
    parser.add_argument(
        "--cpu", action="store_true", help="add settings for a small machine without a GPU"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the exports and nothing else: a shell evaluates them."""
    from nnunet_plugins.environment import exports

    print(exports(arguments.root, cpu=arguments.cpu), end="")
    return 0
