"""What a confidence means: in the disease, from surely negative to surely positive, or in the reader's own call."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from nnunet_plugins.errors import UserError
from nnunet_plugins.readers.accuracy import areas
from nnunet_plugins.readers.reads import Read, Reads

Meaning = Literal["disease", "call"]
#: Below this area of the confidences by the reader's own calls, the confidence hardly follows the call.
_FOLLOWS = 0.8


def as_ratings(reads: Reads, meaning: Meaning | None) -> Reads:
    """Reads whose confidences rise with the likelihood of being positive.

    Args:
        reads: of a study.
        meaning: disease: they do already. call: they are of the call, 0 or more, and become negative for a negative
            call. None: disease, if the confidences follow the calls.

    Raises:
        UserError: without a meaning, confidences of a session do not follow its calls; or a confidence of a call is
            negative or has no call.
    """
    if not reads.has("confidence"):
        return reads
    if meaning == "call":
        return replace(reads, reads=tuple(map(_signed, reads.reads)))
    for reader in reads.readers if meaning is None else ():
        for arm in reads.arms:
            _check(reads, reader, arm)
    return reads


def _signed(read: Read) -> Read:
    if read.confidence is None:
        return read
    if read.call is None or read.confidence < 0:
        raise UserError(
            f"--confidence call: {read.reader}, {read.arm}, {read.case}: a confidence in the call is 0 or more "
            "and needs a call; correct the row"
        )
    return replace(read, confidence=read.confidence if read.call else -read.confidence)


def _check(reads: Reads, reader: str, arm: str) -> None:
    values, calls = reads.numbers(reader, arm, "confidence"), reads.calls(reader, arm)
    both = [case for case in values if case in calls]
    positive = np.array([calls[case] for case in both], bool)
    if min(positive.sum(), (~positive).sum()) < 2:
        return
    area = areas(np.array([[[values[case] for case in both]]]), positive)[0].item()
    if area < _FOLLOWS:
        raise UserError(
            f"the confidences of {reader}, {arm}, do not follow the calls (area {area:.2f}; 1 means that every "
            "positive call has a higher one than every negative call); if they are confidences in the call, "
            "whatever it is, pass --confidence call; if they rise from surely negative to surely positive, pass "
            "--confidence disease"
        )
