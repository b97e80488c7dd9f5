"""Examine this machine: folders, trainers, torch, memory; status 1 if something is broken."""

import argparse
import os


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare [--report]."""
    parser.add_argument(
        "--report", action="store_true",
        help="print a block for a bug report: versions, machine, variables, failures; without paths and names",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Print what was found."""
    from nnunet_plugins.doctor import examine, report
    from nnunet_plugins.doctor.bug_report import bug_report

    findings = examine()
    print(bug_report(findings, os.environ) if arguments.report else report(findings))
    return int(any(finding.level == "broken" for finding in findings))
