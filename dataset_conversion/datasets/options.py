"""Options of converters: a dataclass field is a Python argument and a command-line option.

Every converter accepts `Common`; the options of one dataset are a subclass of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, fields
from functools import cached_property
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from dataset_conversion.cases.case import Output
from dataset_conversion.cases.transforms import Step
from dataset_conversion.datasets.case_ids import read_salt
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.orientation import SLICES_FIRST
from dataset_conversion.parallel import Run
from dataset_conversion.raw_format.splits import Splits

#: Type of an option -> types of values that are accepted in Python, and their name.
_KINDS: dict[Any, tuple[Any, str]] = {
    bool: (bool | np.bool_, "True or False"),
    int: (Integral, "an integer"),
    float: (Real, "a number"),
    str: (str, "text"),
    Path: (str | os.PathLike, "a path"),
}


def option(default: Any, help: str, *flags: str, **how: Any) -> Any:
    """Make a dataclass field that is also a command-line option.

    Args:
        default: sets the type of the option unless `how` does; False makes it a switch.
        help: text for --help.
        flags: replace the default flag, the field's name with dashes.
        how: further arguments of argparse's add_argument: choices, metavar, nargs, type.
    """
    return field(default=default, metadata={"help": help, "flags": flags, "how": how})


def declared(options: type[Any]) -> list[tuple[str, tuple[str, ...], dict[str, Any]]]:
    """Return field name, flags and argparse's keywords of each option, the dataset's own first."""
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


def checked(options: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of Python arguments as argparse would return them: its types, choices, numbers of values.

    >>> checked(Common, {"drop": 3, "jobs": 2})
    {'drop': (3,), 'jobs': 2}
    >>> checked(Common, {"jobs": "2"})
    Traceback (most recent call last):
    dataset_conversion.errors.DatasetError: jobs='2': expected an integer

    Args:
        options: `Common` or a subclass.
        values: names of options and their values; names that `declared` does not return are left out.

    Raises:
        DatasetError: a value that is not allowed; the message states the option and what is allowed.
    """
    found: dict[str, Any] = {}
    for name, _, how in declared(options):
        if name not in values:
            continue
        value, default = values[name], how["default"]
        if value is default or (value is None and default is None):
            found[name] = value
        elif "nargs" in how:
            found[name] = _several(name, value, how)
        else:
            found[name] = _one(name, value, value, how)
    return found


def _several(name: str, value: Any, how: Mapping[str, Any]) -> tuple[Any, ...]:
    if isinstance(value, np.ndarray) and value.ndim:
        value = value.tolist()
    several = isinstance(value, Sequence | Set) and not isinstance(value, str | bytes)
    given = tuple(value) if several else (value,)
    found = tuple(_one(name, one, value, how) for one in given)
    wanted = how["nargs"]
    if isinstance(wanted, int) and len(found) != wanted:
        raise DatasetError(f"{name}={value!r}: expected {wanted} values, not {len(found)}")
    if wanted == "+" and not found and how["default"]:
        raise DatasetError(f"{name}={value!r}: expected one value or more")
    return found


def _one(name: str, value: Any, given: Any, how: Mapping[str, Any]) -> Any:
    kind = bool if how.get("action") == "store_true" else how.get("type", str)
    if kind not in _KINDS:
        return value
    accepted, expected = _KINDS[kind]
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        allowed = f" of {', '.join(how['choices'])}" if "choices" in how else ""
        raise DatasetError(f"{name}={given!r}: expected {expected}{allowed}")
    if "choices" in how and value not in how["choices"]:
        raise DatasetError(f"{name}={given!r}: allowed: {', '.join(how['choices'])}")
    return kind(value)


def window_option() -> Any:
    """Make the option `window`, for datasets with absolute values such as HU."""
    return option(
        None,
        "range of values to map to 0..1, in HU, e.g. -200 1200 (default: keep the values)",
        type=float,
        nargs=2,
        metavar=("LO", "HI"),
    )


def follow_links_option() -> Any:
    """Make the option `follow_links`, for sources that may come from git-annex or DataLad."""
    return option(
        False, "read what symbolic links point to, e.g. the files of git-annex and DataLad"
    )


@dataclass(frozen=True)
class Common:
    """Options of every converter; see also `Splits`, `Output` and `Run`.

    >>> Common(split="7:3").splits().split
    '7:3'

    Attributes:
        drop: source label values that become background.
        key: CSV file of case ids and sources, outside the dataset.
        salt: file with a secret mixed into private case ids; its content is never written.
        groups: CSV file of cases and their patients; its content is never written.
    """

    split: str = option(
        "5-fold",
        "K-fold, or training:validation such as 7:3 or 80/20, or own (the dataset's own subsets); "
        "a patient is never in two folds (default: %(default)s)",
    )
    test: str = option(
        "", "test set for imagesTs: rest:test such as 80/20, or val (the dataset's own subset) "
        "(default: none)",
        metavar="SPEC",
    )  # fmt: skip
    seed: int = option(0, "random seed of the splits (default: %(default)s)", metavar="N")
    drop: tuple[int, ...] = option(
        (), "mask values that become background", type=int, nargs="+", metavar="V"
    )
    allow_empty: bool = option(False, "accept masks without any label")
    resample_mask: bool = option(
        False,
        "resample masks on another grid (nearest neighbour) if position and volumes prove that they fit",
    )
    ignore_mask_header: bool = option(
        False,
        "give a mask that its header does not place the grid of its image, if both have the same size; such a "
        "mask may be flipped without notice: compare left and right in preview.png with the source",
    )
    slices_first: bool = option(
        False,
        "store each volume with its slice axis first (axial as LPS, coronal as LIP, sagittal as PIR; default: "
        "all as LPS), for data whose slices run along different body axes",
    )
    sides_as_labelled: bool = option(
        False,
        "accept labels of left and right whose positions in the body are exchanged (default: an error)",
    )
    key: Path | None = option(
        None, "write a table of case ids and sources, outside the dataset", type=Path, metavar="CSV"
    )
    salt: Path | None = option(
        None, "file with a secret that is mixed into case ids; keep it with the key", type=Path,
        metavar="FILE",
    )  # fmt: skip
    groups: Path | None = option(
        None, "table of cases and their patients (columns case, or folder, and patient): follow-ups of a "
        "patient stay in one fold", type=Path, metavar="CSV",
    )  # fmt: skip
    jobs: int = option(1, "parallel jobs (default: %(default)s)", "-j", "--jobs", metavar="N")
    keep_going: bool = option(
        False, "skip cases with errors and convert the rest; the exit status is then 1"
    )
    overwrite: bool = option(
        False,
        "replace masks that were changed in the dataset, and remove cases that are no longer in the source; a copy "
        "is kept next to the dataset (default: an error)",
    )
    dry_run: bool = option(False, "read and check everything, print the summary, write nothing")

    def __post_init__(self) -> None:
        """Reject invalid values."""
        window = getattr(self, "window", None)
        if window is not None:
            low, high = window
            if not (np.isfinite([low, high]).all() and low < high):
                raise DatasetError(
                    f"window {low:g} to {high:g}: the first value must be below the second"
                )
        self.splits()
        self.run()

    def splits(self) -> Splits:
        """Return how cases are split into folds and a test set."""
        return Splits(self.split, self.test, self.seed)

    def run(self) -> Run:
        """Return parallelism and handling of errors."""
        return Run(self.jobs, self.keep_going, self.dry_run, self.overwrite)

    def output(self, *, window: tuple[float, float] | None = None, steps: tuple[Step, ...] = (),
               orientation: str = "LPS") -> Output:  # fmt: skip
        """Return how cases are written.

        Raises:
            DatasetError: `slices_first` in a conversion that needs an orientation of its own.
        """
        if self.slices_first and orientation != "LPS":
            raise DatasetError(
                f"--slices-first: this conversion stores every volume as {orientation}; leave the option out"
            )
        wanted = SLICES_FIRST if self.slices_first else orientation
        return Output(window, steps, wanted, self.allow_empty, self.resample_mask,
                      self.ignore_mask_header, self.sides_as_labelled)  # fmt: skip

    @cached_property
    def secret(self) -> bytes:
        """32 bytes derived from the salt's file; empty without a salt."""
        return b"" if self.salt is None else read_salt(Path(self.salt))
