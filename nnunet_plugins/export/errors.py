"""What is told when a file that was read back is not what was meant."""

from __future__ import annotations

from pathlib import Path

from nnunet_plugins.errors import UserError


class UnequalError(UserError):
    """A written file does not hold what was meant."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"{path.name}: read back, it does not hold what was written ({what}); nothing is kept of it. "
            "This is a defect of nnunet-plugins or of a library: please report it"
        )
