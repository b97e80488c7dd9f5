"""Read DICOM's decimal strings: the numbers, the unit of their last digit, and decimal commas.

Some exporters write numbers in the language of the computer ('1,500000') or pad them with zero
bytes. The standard allows a decimal point only, so a single comma in each number can only be a
decimal comma.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydicom.dataelem import RawDataElement

from dataset_conversion.dicom.elements import tag_of

_BLANK = " \0\t\r\n"
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}")


@dataclass(frozen=True)
class Decimals:
    """Numbers of one attribute.

    `units` are the values of their last digits (0.01 for '-63.90'). `comma`: written with decimal
    commas. `bad` is the text if it is not as many finite numbers, and None otherwise.
    """

    values: tuple[float, ...]
    units: tuple[float, ...]
    comma: bool = False
    bad: str | None = None


def read_decimals(holder: Any, name: str, count: int) -> Decimals | None:
    """Return an attribute of `count` numbers; None if it is missing or empty."""
    found = None if holder is None else holder.get_item(tag_of(name))
    if found is None or found.value is None:
        return None
    if isinstance(found, RawDataElement) and found.VR in ("FD", "FL"):
        found = holder[tag_of(name)]
    text = _text(found.value)
    # A decimal comma, or one between thousands: -1,024 HU may be either.
    if name == "RescaleIntercept" and _THOUSANDS.fullmatch(text.strip(_BLANK)):
        return Decimals((), (), True, text.strip(_BLANK))
    return parse(text, count) if text.strip(_BLANK) else None


@lru_cache(maxsize=4096)
def parse(text: str, count: int) -> Decimals | None:
    r"""Parse numbers that are separated by backslashes.

    >>> parse("1,500000\\1,000000 ", 2)
    Decimals(values=(1.5, 1.0), units=(1e-06, 1e-06), comma=True, bad=None)
    >>> parse("1,5,2.0", 2).bad
    '1,5,2.0'
    """
    items = [item.strip(_BLANK) for item in text.strip(_BLANK).split("\\")]
    comma = "," in text
    # Ambiguous: commas as separators ('1,5' for two numbers), or as separators of thousands.
    if comma and (len(items) != count or "." in text or any(i.count(",") > 1 for i in items)):
        return Decimals((), (), comma, text.strip(_BLANK))
    try:
        values = tuple(float(item.replace(",", ".")) for item in items if item)
    except ValueError:
        return Decimals((), (), comma, text.strip(_BLANK))
    if not values:
        return None
    if len(values) != count or not all(math.isfinite(value) for value in values):
        return Decimals((), (), comma, text.strip(_BLANK))
    return Decimals(values, tuple(_unit(item.replace(",", ".")) for item in items), comma)


def _unit(number: str) -> float:
    """Return the value of a number's last digit.

    >>> _unit("-63.90"), _unit("5"), _unit("6.25e-1")
    (0.01, 1.0, 0.001)
    """
    mantissa, _, exponent = number.lower().partition("e")
    digits = len(mantissa.partition(".")[2])
    return float(f"1e{int(exponent or 0) - digits}")


def _text(stored: Any) -> str:
    if isinstance(stored, bytes):
        return stored.decode("latin-1")
    if isinstance(stored, str) or not hasattr(stored, "__iter__"):
        stored = [stored]
    return "\\".join(str(getattr(item, "original_string", item)) for item in stored)
