"""Options of converters as values: a field is a Python argument, a command-line flag and a record.

`Common` is what every converter understands; a dataset's own options are a subclass of it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dataset_conversion.cases.case import Output
from dataset_conversion.cases.transforms import Step
from dataset_conversion.errors import DatasetError
from dataset_conversion.parallel import Run
from dataset_conversion.raw_format.splits import Splits

_ID = 8  # hex digits of a case id


def option(default: Any, help: str, *flags: str, **how: Any) -> Any:
    """Make a dataclass field that is also a command-line option.

    Args:
        default: its type is the option's where `how` has no `type`; False makes a switch.
        help: for --help.
        flags: instead of the field's name with dashes.
        how: more of argparse's add_argument: choices, metavar, nargs, type.
    """
    return field(default=default, metadata={"help": help, "flags": flags, "how": how})


def declared(options: type[Any]) -> list[tuple[str, tuple[str, ...], dict[str, Any]]]:
    """Return field name, flags and argparse's keywords of every option, the dataset's own first."""
    found = []
    for item in fields(options):
        if "help" not in item.metadata:
            continue
        how = {"help": item.metadata["help"], "default": item.default, **item.metadata["how"]}
        if item.default is False:
            how["action"] = "store_true"
        elif "type" not in how and item.default is not None:
            how["type"] = type(item.default)
        flags = item.metadata["flags"] or ("--" + item.name.replace("_", "-"),)
        found.append((item.name, flags, how))
    common = {item.name for item in fields(Common)}
    return sorted(found, key=lambda entry: entry[0] in common)


def window_option() -> Any:
    """The option `window`, for datasets with values in HU or the like."""
    return option(
        None,
        "window mapped to 0..1, e.g. -200 1200 (default: values stay as they are)",
        type=float,
        nargs=2,
        metavar=("LO", "HI"),
    )


@dataclass(frozen=True)
class Common:
    """What every converter understands; see `Splits`, `Output` and `Run`.

    Attributes:
        drop: source label values that become background.
        key: CSV of case ids and sources, outside the dataset.
        salt: file whose bytes are mixed into private case ids; its content is never written.
    """

    split: str = option(
        "5-fold",
        "K-fold, or training:validation such as 7:3 or 80/20, or own (default: %(default)s); a "
        "patient is never in two",
    )
    test: str = option(
        "", "test set for imagesTs: rest:test such as 80/20, or the dataset's own subset val",
        metavar="SPEC",
    )  # fmt: skip
    seed: int = option(0, "of the drawn splits (default: %(default)s)", metavar="N")
    drop: tuple[int, ...] = option(
        (), "mask values to send to background", type=int, nargs="+", metavar="V"
    )
    allow_empty: bool = option(False, "let masks without a label through")
    resample_mask: bool = option(
        False, "let masks on another grid be resampled (nearest) where the overlap is proven"
    )
    key: Path | None = option(
        None, "write which source became which case, outside the dataset", type=Path, metavar="CSV"
    )
    salt: Path | None = option(
        None, "file with a secret that case ids depend on; keep it with the key", type=Path,
        metavar="FILE",
    )  # fmt: skip
    jobs: int = option(1, "cases at a time (default: %(default)s)", "-j", "--jobs", metavar="N")
    keep_going: bool = option(
        False, "leave bad cases out and convert the rest; the exit status is then 1"
    )
    dry_run: bool = option(False, "read and check everything, say what would be, write nothing")

    def __post_init__(self) -> None:
        """Stop at numbers that cannot be meant."""
        window = getattr(self, "window", None)
        if window is not None:
            low, high = window
            if not (np.isfinite([low, high]).all() and low < high):
                raise DatasetError(
                    f"window {low:g} to {high:g}: the first must be below the second"
                )
        self.splits()
        self.run()

    def splits(self) -> Splits:
        """Return how cases are shared out."""
        return Splits(self.split, self.test, self.seed)

    def run(self) -> Run:
        """Return how the conversion runs."""
        return Run(self.jobs, self.keep_going, self.dry_run)

    def output(self, *, window: tuple[float, float] | None = None, steps: tuple[Step, ...] = (),
               orientation: str = "LPS") -> Output:  # fmt: skip
        """Return how cases are written, with the user's permissions."""
        return Output(window, steps, orientation, self.allow_empty, self.resample_mask)

    def case_id(self, prefix: str, sha256: str) -> str:
        """Return a case id that follows a source's content, not its name: `prefix_1a2b3c4d`."""
        if not self.secret:
            return f"{prefix}_{sha256[:_ID]}"
        mixed = hashlib.blake2b(sha256.encode(), key=self.secret, digest_size=_ID // 2)
        return f"{prefix}_{mixed.hexdigest()}"

    @cached_property
    def secret(self) -> bytes:
        """32 bytes from the salt's file; none without one."""
        if self.salt is None:
            return b""
        try:
            content = Path(self.salt).read_bytes()
        except OSError as error:
            raise DatasetError(
                f"{self.salt}: the salt cannot be read ({error.strerror or error}); make it with "
                "e.g. head -c 32 /dev/urandom > salt, and keep it"
            ) from error
        if len(content.strip()) < 8:
            raise DatasetError(f"{self.salt}: {len(content)} bytes are too few for a salt; take 32")
        return hashlib.sha256(content).digest()
