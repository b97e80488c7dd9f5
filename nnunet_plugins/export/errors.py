"""The error for a written file whose content differs when it is read back."""

from __future__ import annotations

from pathlib import Path

from nnunet_plugins.errors import UserError


class UnequalError(UserError):
    """A written file, read back, differs from its source."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"{path.name}: read back, it does not hold what was written ({what}); the file is deleted. "
            "This is a bug in nnunet-plugins or a library: please report it"
        )
