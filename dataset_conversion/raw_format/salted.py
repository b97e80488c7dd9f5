"""Digests in conversion.json that depend on the user's salt.

Without it, whoever has a source could hash it, or convert it, and find its case in conversion.json. What a
salted record still shows: sizes, spacings and voxels of each label. Whoever has the images of the dataset itself
can compare their voxels with any source; no salt prevents that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from dataset_conversion.cases.intensities import Intensities


def keyed(digest: str, secret: bytes) -> str:
    """Return a digest mixed with the secret; itself without a secret, or if it is empty.

    >>> keyed("1a2b", b""), keyed("", b"secret"), keyed("1a2b", b"secret") == "1a2b"
    ('1a2b', '', False)
    """
    if not (digest and secret):
        return digest
    return hashlib.blake2b(digest.encode(), key=secret, digest_size=32).hexdigest()


def keyed_sources(sources: Mapping[str, str], secret: bytes) -> dict[str, str]:
    """Return role -> keyed digest."""
    return {role: keyed(digest, secret) for role, digest in sources.items()}


def keyed_facts(facts: Intensities, secret: bytes) -> Intensities:
    """Return facts with keyed keys, which find copies, and without the values that identify an image."""
    if not secret:
        return facts
    return replace(
        facts,
        key=keyed(facts.key, secret),
        near=keyed(facts.near, secret),
        lowest=0.0,
        highest=0.0,
        levels=0,
        negative=0.0,
    )


def mark(name: str, secret: bytes) -> str:
    """Return a text for a file's header, so that its digest cannot be made from the source; "" without a secret.

    >>> mark("labelsTr/a.nii.gz", b""), len(mark("labelsTr/a.nii.gz", b"secret"))
    ('', 32)
    """
    return keyed(name, secret)[:32] if secret else ""
