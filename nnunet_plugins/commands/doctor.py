"""Examine this machine: folders, trainers, torch, memory; status 1 if something is broken."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing to declare."""


def run(arguments: argparse.Namespace) -> int:
    """Print the report."""
    from nnunet_plugins.doctor import examine, report

    findings = examine()
    print(report(findings))
    return int(any(finding.level == "broken" for finding in findings))
