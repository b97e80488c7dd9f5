"""Images whose values do not fit: label maps in their place, HU under another channel name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dataset_conversion.cases.intensities import FEW, Intensities
from dataset_conversion.checks.case import CheckedCase
from dataset_conversion.checks.finding import Finding
from dataset_conversion.checks.layout import Layout
from dataset_conversion.errors import some
from dataset_conversion.raw_format.channels import misnamed, z_scored


def channel_findings(layout: Layout, looked: Sequence[CheckedCase]) -> list[Finding]:
    """Check the values of each channel over all cases.

    A channel that holds label values in every case may be intended, e.g. a rough segmentation as
    an input; it gives one warning.
    """
    top = max((value for values in layout.labels.values() for value in values), default=0)
    findings = [one for one in map(_repeated, looked) if one]
    for channel in sorted({channel for one in looked for channel in one.facts}):
        facts = {one.case.name: one.facts[channel] for one in looked if channel in one.facts}
        copied = _label_maps(channel, facts, looked)
        like = [n for n, fact in facts.items() if n in copied or _like_labels(fact, top)]
        if like and len(like) == len(facts):
            text = (
                f"channel {channel} holds at most {max(facts[n].levels for n in like)} different values "
                "in every case: are these label maps, not images?"
            )
            findings.append(Finding(text, error=layout.channels == 1 and bool(copied)))
        else:
            findings += copied.values()
            rare = [name for name in like if name not in copied]
            findings += _few_values(channel, facts, rare, top, alone=layout.channels == 1)
        rest = {name: fact for name, fact in facts.items() if name not in like}
        if channel < len(layout.channel_names):
            findings += _normalisation(channel, layout.channel_names[channel], rest)
    return findings


def _repeated(one: CheckedCase) -> Finding | None:
    """Return a finding for a case of which two channels hold the same image."""
    keys: dict[str, list[str]] = {}
    for channel, fact in one.facts.items():
        keys.setdefault(fact.key, []).append(str(channel))
    same = next((channels for key, channels in keys.items() if key and len(channels) > 1), None)
    if same is None:
        return None
    text = f"channels {' and '.join(same)} hold the same image; replace all but one"
    return Finding(text, one.case.name, error=False)


def _label_maps(channel: int, facts: Mapping[str, Intensities],
                looked: Sequence[CheckedCase]) -> dict[str, Finding]:  # fmt: skip
    """Return a finding for each image with the values and voxel numbers of a label map."""
    own = {one.case.name: one.label_key for one in looked}
    owners = {key: name for name, key in reversed(own.items()) if key}
    found = {}
    for name, fact in facts.items():
        if fact.key and fact.key in owners:
            whose = (
                "its own label map"
                if own[name] == fact.key
                else f"the label map of {owners[fact.key]}"
            )
            text = f"channel {channel} holds {whose}; replace it with the image"
            found[name] = Finding(text, name)
    return found


def _like_labels(fact: Intensities, top: int) -> bool:
    """Return whether an image holds one value, or few whole numbers from 0, as a label map does."""
    if fact.levels == 1:
        return True
    whole = fact.lowest == int(fact.lowest) and fact.highest == int(fact.highest)
    few = fact.highest <= top or fact.levels <= FEW
    return whole and fact.lowest >= 0 and few and fact.levels <= fact.highest - fact.lowest + 1


def _few_values(channel: int, facts: Mapping[str, Intensities], like: Sequence[str],
                top: int, *, alone: bool) -> list[Finding]:  # fmt: skip
    """Return findings on images of few values; one of several channels may be empty on purpose."""
    findings = []
    for name in like:
        fact = facts[name]
        span = f"{fact.lowest:g} to {fact.highest:g}" if fact.levels > 1 else f"{fact.lowest:g}"
        text = (
            f"channel {channel} holds only {fact.levels} different values ({span}): is it a label map, "
            "or empty? Replace it with the image"
        )
        findings.append(
            Finding(text, name, error=fact.highest <= top and (alone or fact.levels > 1))
        )
    return findings


def _normalisation(channel: int, name: str, facts: Mapping[str, Intensities]) -> list[Finding]:
    """Warn of HU that nnU-Net does not take as CT, and of a channel CT without HU."""
    texts = []
    hounsfield = [case for case, fact in facts.items() if fact.hounsfield]
    if hounsfield and z_scored(name):
        texts.append(f"channel {channel} of {some(hounsfield)}: {misnamed(name)}")
    positive = [case for case, fact in facts.items() if fact.lowest >= 0]
    if positive and name.casefold() == "ct":
        texts.append(
            f"channel {channel} of {some(positive)}: no value below 0 in a channel named {name}, so "
            "these are not HU: was the rescale intercept lost?"
        )
    return [Finding(text, error=False) for text in texts]
