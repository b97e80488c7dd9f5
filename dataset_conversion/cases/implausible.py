"""Warnings on implausible cases: masks that do not fit, other units, other values, exchanged sequences.

No number proves a mistake, so these are warnings. Most limits come from the dataset itself: a case must differ
from the others by `_SPREADS` robust standard deviations, and by a least distance. The least distances leave out
the variation of right data: in 260 hippocampi (Decathlon) contrasts reach from -0.93 to 0.03. Masks that were
flipped, moved or taken from another patient lose 0.9 or more of a contrast of 1.5 (phantoms of sacroiliac joints).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from dataset_conversion.cases.measures import Measures
from dataset_conversion.errors import some

_FEWEST = 3  # cases from which others can be distinguished
_SPREADS = 6.0  # robust standard deviations
_CONTRAST = 0.75  # standard deviations of the values
_NEXT_TO = 1.4  # see `edge_next_to`
_HU = 300.0
_DENSE = 500.0  # HU; of bone
_AIR = -300.0  # HU; lung is below
_AIRY = re.compile(
    r"lung|air|trachea|bronch|sinus|gas|bowel|colon|stomach|body|skin|background", re.I
)
_SCAN = 32  # voxels along the longest side of a scan, at least
_EXTENTS = (40.0, 2000.0)  # mm
_FINE = (0.15, 100.0)  # mm: voxels of a scanner for people are larger, unless the volume is
_TIMES = 4.0  # by which extents differ between the cases of one dataset
#: Mean of the spinal canal over that of the vertebrae: 0.5 to 0.8 in T1, 1.5 to 4 in T2.
_CANAL = {"t1": (0.0, 1.3), "t2": (0.8, np.inf)}
_SEQUENCE = re.compile(
    r"(?<![a-z0-9])(t1|t2|pd|stir|flair|dixon|space|vibe|dwi|adc)(?![a-z0-9])", re.I
)


@dataclass(frozen=True)
class Looked:
    """The cases of a dataset.

    Attributes:
        measures: case -> its measures.
        groups: case -> patient.
        channels: names of the channels.
        labels: name -> values in the label maps.
    """

    measures: Mapping[str, Measures]
    groups: Mapping[str, str]
    channels: Sequence[str]
    labels: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def sequences(self, channel: int) -> dict[str, list[str]]:
        """Return the cases of each MRI sequence, as the names of channel and case state it."""
        found: dict[str, list[str]] = {}
        for name in self.measures:
            found.setdefault(self.sequence(name, channel), []).append(name)
        return found

    def sequence(self, name: str, channel: int) -> str:
        """Return the sequence of one image; "" if no name states it."""
        for text in (self.channels[channel], name):
            if words := _SEQUENCE.findall(text.replace("_", " ")):
                return "_".join(sorted(word.lower() for word in words))
        return ""


def implausible(looked: Looked) -> list[str]:
    """Return the warnings on a dataset.

    >>> volumes = {name: Measures(300.0, 375, 0.8, (-1000.0,)) for name in "abc"}
    >>> volumes["d"] = Measures(30.0, 375, 0.08, (-1000.0,))
    >>> implausible(Looked(volumes, {}, ["CT"]))
    ['d: the longest side of the volume is 30 mm: are its lengths in cm? Export it in mm']
    """
    found = [*_extents(looked), *_same_masks(looked), *_canals(looked)]
    for channel in range(len(looked.channels)):
        reported: set[str] = set()
        for texts in _by_case(looked, channel):  # one warning for each case and channel
            found += [text for name, text in texts.items() if name not in reported]
            reported |= set(texts)
    return found


def _by_case(looked: Looked, channel: int) -> Iterator[dict[str, str]]:
    if _is_ct(looked, channel):
        yield _borders(looked, channel)
        yield {
            name: f"{name}: {text}, as air: are the values in HU, and is the mask of this image?"
            for name, text in _air(looked, channel).items()
        }
        yield _values(looked, channel)
    yield _contrasts(looked, channel)
    yield _moved(looked, channel)


def _is_ct(looked: Looked, channel: int) -> bool:
    borders = [m.border[channel] for m in looked.measures.values() if len(m.border) > channel]
    return looked.channels[channel].casefold() == "ct" or bool(
        borders and float(np.median(borders)) < -500
    )


def _outliers(values: Mapping[str, float], least: float) -> dict[str, float]:
    """Return the cases that differ from the median, and that median."""
    if len(values) < _FEWEST:
        return {}
    every = np.array(list(values.values()))
    middle = float(np.median(every))
    off = np.abs(every - middle)
    limit = max(_SPREADS * 1.4826 * float(np.median(off)), least)
    if (off <= limit).mean() <= 0.5:  # two groups of one size: neither is the outlier
        return {}
    return {name: middle for name, value in values.items() if abs(value - middle) > limit}


def _extents(looked: Looked) -> list[str]:
    low, high = _EXTENTS
    extents = {name: m.extent for name, m in looked.measures.items()}
    small = [n for n, m in looked.measures.items()
             if m.longest >= _SCAN
             and (m.extent < low or (m.finest < _FINE[0] and m.extent < _FINE[1]))]  # fmt: skip
    large = [n for n, mm in extents.items() if mm > high]
    found = [
        f"{some(names)}: the longest side of the volume is {_span([extents[n] for n in names])} mm: are its lengths "
        f"in {unit}? Export it in mm"
        for names, unit in ((small, "cm"), (large, "micrometres"))
        if names
    ]
    odd = _outliers(
        {name: float(np.log(mm)) for name, mm in extents.items()}, float(np.log(_TIMES))
    )
    return found + [
        f"{name}: the longest side of the volume is {extents[name]:g} mm, of the others {np.exp(middle):.0f} mm: is "
        "its voxel size right?"
        for name, middle in odd.items()
        if name not in (*small, *large)
    ]


def _span(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.3g}" if f"{low:.3g}" == f"{high:.3g}" else f"{low:.3g} to {high:.3g}"


def _same_masks(looked: Looked) -> list[str]:
    same: dict[str, list[str]] = {}
    for name, m in sorted(looked.measures.items()):
        if m.mask:
            same.setdefault(m.mask, []).append(name)
    return [
        f"{some(names)} have the same label voxels, of several patients: is each mask that of its image?"
        for names in same.values()
        if _several_patients(names, looked)
    ]


def _several_patients(names: Sequence[str], looked: Looked) -> bool:
    """Return whether cases are of several patients; where these are unknown, whether they are most cases."""
    if looked.groups:
        return len({looked.groups.get(name, name) for name in names}) > 1
    return len(names) >= _FEWEST and len(names) > 0.5 * len(looked.measures)


def _contrasts(looked: Looked, channel: int) -> dict[str, str]:
    """Compare how labels differ from their surroundings, within each sequence."""
    found: dict[str, str] = {}
    for names in looked.sequences(channel).values():
        values = {name: looked.measures[name].contrast[channel] for name in names
                  if len(looked.measures[name].contrast) > channel}  # fmt: skip
        for name, middle in _outliers(values, _CONTRAST).items():
            value = values[name]
            if value * np.sign(middle) < 0.6 * abs(middle):
                found[name] = (
                    f"{name}: the labels differ from their surroundings by {value:.2g} standard deviations, in the "
                    f"other cases by {middle:.2g}: is the mask moved, flipped or of another patient, or the image "
                    "inverted?"
                )
    return found


def _moved(looked: Looked, channel: int) -> dict[str, str]:
    return {
        name: f"{name}: the edges of the image are one voxel next to those of the labels, {m.next_to[channel]:.1f} "
        "times as steep: is the mask moved by one slice?"
        for name, m in looked.measures.items()
        if len(m.next_to) > channel and m.next_to[channel] > _NEXT_TO
    }


def _values(looked: Looked, channel: int) -> dict[str, str]:
    """Compare the mean HU of each label."""
    found: dict[str, str] = {}
    for label, values in looked.labels.items():
        if len(values) != 1 or values[0] == 0:
            continue
        means = _means(looked, values, channel)
        for name, middle in _outliers(means, _HU).items():
            found.setdefault(
                name,
                f"{name}: {label} has a mean of {means[name]:.0f} HU, in the other cases {middle:.0f} HU: are the "
                "values in HU, and is the mask of this image?",
            )
    return found


def _means(looked: Looked, values: Sequence[int], channel: int) -> dict[str, float]:
    """Return the mean of a label, or of several together, in each case that has it."""
    found = {}
    for name, m in looked.measures.items():
        parts = [m.means[str(v)][channel] for v in values if len(m.means.get(str(v), ())) > channel]
        if parts:
            found[name] = float(np.mean(parts))
    return found


def _air(looked: Looked, channel: int) -> dict[str, str]:
    """Return case -> its first label whose mean is that of air, as text."""
    found: dict[str, str] = {}
    for label, values in looked.labels.items():
        if len(values) != 1 or values[0] == 0 or _AIRY.search(label):
            continue
        for name, mean in _means(looked, values, channel).items():
            if mean < _AIR:
                found.setdefault(name, f"{label} has a mean of {mean:.0f} HU")
    return found


def _borders(looked: Looked, channel: int) -> dict[str, str]:
    return {
        name: f"{name}: the border of the image has {m.border[channel]:g} HU, air -1000: are its values inverted?"
        for name, m in looked.measures.items()
        if len(m.border) > channel and m.border[channel] > _DENSE
    }


def _canals(looked: Looked) -> list[str]:
    """Compare the spinal canal with the vertebrae: cerebrospinal fluid is dark in T1 and bright in T2."""
    canal = _named(looked.labels, r"(spinal[ _])?canal|csf|liquor")
    vertebrae = _named(looked.labels, r"vertebrae?([ _].*)?|[tl]\d{1,2}")
    found: list[str] = []
    for channel in range(len(looked.channels)):
        bright, middle = (_means(looked, values, channel) for values in (canal, vertebrae))
        odd: dict[str, list[str]] = {}
        for name in sorted(set(bright) & set(middle)):
            words = looked.sequence(name, channel).split("_")
            sequence = next((word for word in _CANAL if word in words), "")
            limits = _CANAL.get(sequence)
            ratio = bright[name] / middle[name] if middle[name] > 0 else 1.0
            if limits and not limits[0] <= ratio <= limits[1]:
                odd.setdefault(sequence, []).append(f"{name} ({ratio:.1f})")
        found += [_exchanged(sequence, names) for sequence, names in odd.items()]
    return found


def _exchanged(sequence: str, names: Sequence[str]) -> str:
    name, other, shade = ("T1", "T2", "dark") if sequence == "t1" else ("T2", "T1", "bright")
    return (
        f"{some(names)}: brightness of the canal over that of the vertebrae, but fluid is {shade} in {name}: is this "
        f"{other}?"
    )


def _named(labels: Mapping[str, Sequence[int]], pattern: str) -> list[int]:
    fits: Callable[[str], object] = re.compile(pattern, re.IGNORECASE).fullmatch
    return [value for name, values in labels.items() if fits(name) for value in values]
