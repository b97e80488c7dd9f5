"""Access to the findings of a check."""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_plugins.doctor import Finding


def by_subject(findings: Sequence[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


def only(findings: Sequence[Finding], level: str) -> Finding:
    """The one finding of a level, which has a fix."""
    found = [finding for finding in findings if finding.level == level]
    assert len(found) == 1, findings
    assert found[0].fix
    return found[0]
