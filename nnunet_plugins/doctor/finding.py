"""Findings of a check, and their layout as text."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "broken"]
Environ = Mapping[str, str]

SET_ENV = 'eval "$(nnunet-plugins env --root FOLDER)"'


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes:
        level: broken stops nnU-Net or our plugins; a warning does not.
        subject: a variable, a package or a part of the machine.
        detail: what was found.
        fix: what to do; empty if the level is ok. Each command has its own line.
    """

    level: Level
    subject: str
    detail: str
    fix: str = ""


def report(findings: list[Finding], *, width: int = 96) -> str:
    """Lay out findings as text: level, subject, detail, and the fix below them.

    Fixes are not wrapped, so that commands can be copied.

    >>> print(report([Finding("warning", "nnUNet_n_proc_DA", "12 workers on 4 cores", "export nnUNet_n_proc_DA=4")]))
    warning  nnUNet_n_proc_DA  12 workers on 4 cores
             -> export nnUNet_n_proc_DA=4
    <BLANKLINE>
    0 broken, 1 warning
    """
    subjects = max((len(finding.subject) for finding in findings), default=0)
    lines = []
    for finding, below in zip(findings, [*findings[1:], None], strict=True):
        head = f"{finding.level:7}  {finding.subject:{subjects}}  "
        wrap = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False)
        wrap.initial_indent, wrap.subsequent_indent = head, " " * len(head)
        lines += wrap.wrap(finding.detail)
        if below is None or below.fix != finding.fix:  # consecutive findings may share a fix
            arrows = ["-> ", *["   "] * finding.fix.count("\n")]
            fix = finding.fix.splitlines()
            lines += [f"{'':9}{arrow}{line}" for arrow, line in zip(arrows, fix, strict=False)]
    levels = [finding.level for finding in findings]
    broken, warnings = levels.count("broken"), levels.count("warning")
    plural = "" if warnings == 1 else "s"
    verdict = (
        f"{broken} broken, {warnings} warning{plural}" if broken + warnings else "no problems found"
    )
    return "\n".join([*lines, "", verdict])
