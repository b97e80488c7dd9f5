"""What a check says, and how a list of that is laid out."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "broken"]
Environ = Mapping[str, str]

SET_ENV = 'eval "$(nnunet-plugins env --root FOLDER)"'


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        level: broken stops nnU-Net or our part of it; a warning does not.
        subject: a variable, a package, a part of the machine.
        detail: what was found.
        cure: what to do, empty when it is ok; a command stands on a line of its own.
    """

    level: Level
    subject: str
    detail: str
    cure: str = ""


def report(findings: list[Finding], *, width: int = 96) -> str:
    """Lay findings out as text: level, subject, detail, and the cure below it.

    Commands are never broken over lines, so that they can be copied.
    """
    subjects = max((len(finding.subject) for finding in findings), default=0)
    lines = []
    for finding, below in zip(findings, [*findings[1:], None], strict=True):
        head = f"{finding.level:7}  {finding.subject:{subjects}}  "
        wrap = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False)
        wrap.initial_indent, wrap.subsequent_indent = head, " " * len(head)
        lines += wrap.wrap(finding.detail)
        if below is None or below.cure != finding.cure:  # one cure for a run of them
            arrows = ["-> ", *["   "] * finding.cure.count("\n")]
            cure = finding.cure.splitlines()
            lines += [f"{'':9}{arrow}{line}" for arrow, line in zip(arrows, cure, strict=False)]
    levels = [finding.level for finding in findings]
    broken, warnings = levels.count("broken"), levels.count("warning")
    plural = "" if warnings == 1 else "s"
    verdict = f"{broken} broken, {warnings} warning{plural}" if broken + warnings else "all is well"
    return "\n".join([*lines, "", verdict])
